package cluster

import "time"

// This file watches the disk of a node from the side. Nothing here decides anything: what
// keeps a leader with a disk that hangs out of office is in actors/disk.go.

// diskLook is how often the disk is looked at.
const diskLook = 250 * time.Millisecond

// DiskWaits is how long the oldest write has been waiting for the disk; 0 when none is.
func (n *Node) DiskWaits() time.Duration {
	oldest := n.journal.Stats().OldestWaiting
	if oldest.IsZero() {
		return 0
	}
	return time.Since(oldest)
}

// watchDisk says when the disk hangs and when it goes on, until the node ends.
func (n *Node) watchDisk() {
	limit := n.options.Protocol.DiskTimeout
	if limit == 0 {
		return
	}
	ticks := time.NewTicker(diskLook)
	defer ticks.Stop()
	var hung time.Time // when what hangs was to be written; zero when nothing does
	for {
		select {
		case <-n.ending:
			return
		case <-ticks.C:
		}
		waits := n.DiskWaits()
		switch {
		case waits > limit && hung.IsZero():
			hung = time.Now().Add(-waits)
			n.options.Logger.Error("the disk hangs: it completes no write. The others go on without this node, which neither is in office nor runs for it",
				"for", waits.Round(time.Millisecond), "dir", n.options.DataDir)
		case waits <= limit && !hung.IsZero():
			n.options.Logger.Warn("the disk completes writes again", "after", time.Since(hung).Round(time.Millisecond))
			hung = time.Time{}
		}
	}
}
