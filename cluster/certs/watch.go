package certs

import (
	"crypto/tls"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Watch reads the files, and returns a source that takes what is in them when they change.
func Watch(f Files, log hclog.Logger) (Source, error) {
	w := &watcher{files: f, log: log}
	var err error
	if w.seen, err = f.texts(); err != nil {
		return nil, err
	}
	if w.good, err = f.parse(w.seen); err != nil {
		return nil, err
	}
	return w.config, nil
}

type watcher struct {
	files Files
	log   hclog.Logger

	mu   sync.Mutex
	seen texts // in the files when they were last read
	good *tls.Config
	bad  string // why what was last read could not be used
}

// config is the Source. What could not be used is tried again even if nothing has changed:
// a certificate may be of tomorrow.
func (w *watcher) config() *tls.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := w.files.texts()
	if err == nil && w.bad == "" && now == w.seen {
		return w.good
	}
	var next *tls.Config
	if err == nil {
		w.seen = now
		next, err = w.files.parse(now)
	}
	switch {
	case err == nil:
		w.good, w.bad = next, ""
		leaf := next.Certificates[0].Leaf
		w.log.Info("certificate read again", "file", w.files.Cert, "serial", leaf.SerialNumber, "expires", leaf.NotAfter)
	case err.Error() != w.bad:
		w.bad = err.Error()
		w.log.Warn("certificate not read again, the last good one stays in use", "file", w.files.Cert, "error", err)
	}
	return w.good
}
