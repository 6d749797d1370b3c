package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/pmmc-go/pmmc/cluster/journal"
)

// This file reads all files of a node again, now and then: what nobody reads may have
// changed, and is needed on the day of a restart.

// scrubRate is how many bytes are read in a second.
const scrubRate = 16 << 20

// checker is a part of a node that can look at its own files.
type checker interface {
	Check(ctx context.Context, pause func(bytes uint64) time.Duration) error
}

// scrub looks at the files of the journal and of the state every so often, the first time
// soon after the start, until the node ends.
func (n *Node) scrub() {
	if n.options.CheckEvery == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.chores.Go(func() { <-n.ending; cancel() })
	again := time.NewTicker(n.options.CheckEvery)
	defer again.Stop()
	for {
		n.checkFiles(ctx)
		select {
		case <-n.ending:
			return
		case <-again.C:
		}
	}
}

func (n *Node) checkFiles(ctx context.Context) {
	for i, part := range []any{n.journal, n.machine} {
		c, ok := part.(checker)
		if !ok {
			continue
		}
		err := c.Check(ctx, func(bytes uint64) time.Duration { return time.Duration(bytes) * time.Second / scrubRate })
		corrupt := (*journal.CorruptError)(nil)
		if err == nil || i == 0 && !errors.As(err, &corrupt) {
			continue // a journal that ends says why itself
		}
		select {
		case <-n.ending:
			return // and closes the files: that is no damage
		default:
		}
		n.damage.Store(&err)
		hint := "the node begins anew, and fetches its state from the other members"
		if errors.As(err, &corrupt) {
			hint = "do not restart this node, which would refuse to start; what is not executed yet it has in memory. Put a new member in its place, with `pmmc member replace`"
		}
		n.options.Logger.Error("a file is not what was written", "error", err, "hint", hint)
		return
	}
	if ctx.Err() == nil && n.damage.Swap(nil) != nil {
		n.options.Logger.Info("all files are what was written; what was not has been cut off since")
	}
}
