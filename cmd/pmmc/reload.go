package main

import (
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
)

// reloading is how a node reads its configuration again.
type reloading struct {
	path  string
	level string // --log-level, if it was given

	hangups <-chan os.Signal // each SIGHUP
}

// reload takes over what a node can take over of its configuration while it runs, and
// says what it cannot. A configuration with an error changes nothing.
func (r reloading) reload(s *server, log hclog.Logger, err io.Writer) {
	next, bad := loadConfig(r.path, err)
	if bad != nil {
		log.Error("the configuration has errors, so nothing was changed; the lines above say where", "config", r.path)
		return
	}
	if r.level != "" {
		next.Node.LogLevel = r.level
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.config.Differences(next)
	s.config.TakeLive(next)
	if s.gateway != nil {
		s.gateway.SetLimits(gatewayLimits(s.config.Limits))
	}
	log.SetLevel(min(hclog.LevelFromString(next.Node.LogLevel), hclog.Info)) // or nobody would hear of it
	for _, d := range all {
		if d.Live {
			log.Info("changed", "argument", d.Name, "from", d.From, "to", d.To)
		} else {
			log.Warn("cannot change while the node runs, and stays as it was: start it again", "argument", d.Name)
		}
	}
	log.Info("read the configuration again", "config", r.path, "differences", len(all))
	log.SetLevel(hclog.LevelFromString(next.Node.LogLevel))
}
