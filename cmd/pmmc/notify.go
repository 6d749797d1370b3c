package main

import (
	"context"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
)

// notify tells the service manager that started this process, if it wants to hear of it,
// in the words of sd_notify(3).
func notify(log hclog.Logger, states ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(states, "\n")); err != nil {
		log.Warn("the service manager was not told", "state", states, "error", err)
	}
}

// keepAlive tells the service manager again and again that the process turns, if it wants
// to know: a look at the node takes all of its locks, and asks its roles. It says nothing
// of the cluster: to start again a node that misses a majority would help nobody.
func keepAlive(ctx context.Context, look func(), log hclog.Logger) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the service manager is not told that the process turns", "error", err)
	}
	if limit == 0 {
		return
	}
	again := time.NewTicker(max(limit/3, time.Millisecond))
	defer again.Stop()
	for ctx.Err() == nil { // a look may take longer than the pause, and both be ready
		look()
		notify(log, daemon.SdNotifyWatchdog)
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}
