package faults

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// endless is a journal that loses the end of an epoch, and what comes after it.
type endless struct {
	*journal.Log
	lost atomic.Bool
	hit  chan struct{} // closed when it does
}

func (e *endless) Append(rec *messages.Record, done func()) {
	if rec.GetForgotten() == math.MaxUint64 && e.lost.CompareAndSwap(false, true) {
		close(e.hit)
	}
	if !e.lost.Load() {
		e.Log.Append(rec, done)
	}
}

// TestAnEpochWhoseEndIsLostEndsAtTheNextStart: gamma's power goes when its identity says that
// epoch 1 is over, and its journal does not yet. What epoch 1 left there does not hold the
// journal for ever.
func TestAnEpochWhoseEndIsLostEndsAtTheNextStart(t *testing.T) {
	p := small()
	p.RetainSlots = 1 << 20 // epoch 1 leaves pvalues
	disk, first := journal.NewMemory(nil), &endless{hit: make(chan struct{})}
	var second *journal.Log
	var left []string // owners of pvalues, when it was opened
	c := watched(t, 3, clustertest.Options{Protocol: p, Change: func(o *cluster.Options) {
		if o.Member != "gamma" {
			return
		}
		_ = o.Journal.Close() // of no use here
		l, err := disk.Open(journal.Options{SegmentBytes: p.SegmentBytes, Failed: func(err error) { t.Error(err) }})
		if err != nil {
			t.Error(err)
			return
		}
		if first.Log == nil {
			first.Log, o.Journal = l, first
			return
		}
		second, left, o.Journal = l, l.Owners(), l
	}})
	acked, stop := load(t, c, 8)
	c.Eventually("loaded", moreThan(acked, 300))
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		c.Reconfigure(func(latest actors.Configuration) (actors.Configuration, error) { return latest, nil })
	}()
	<-first.hit
	gamma := c.Node("gamma")
	gamma.Kill()
	gamma.Start()
	<-changed
	if !slices.Contains(left, "epoch-1/acceptor") {
		t.Fatalf("the journal has pvalues of %q: nothing was lost", left)
	}
	c.Eventually("the journal is cut", func() error {
		if s := second.Stats(); slices.Contains(second.Owners(), "epoch-1/acceptor") || s.Cuts == 0 {
			return fmt.Errorf("cut %d times, with pvalues of %q", s.Cuts, second.Owners())
		}
		return nil
	})
	check(t, c, stop())
}
