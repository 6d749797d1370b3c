package simulation

import (
	"slices"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/test/conformance"
)

// hangBound is what docs/operations.md states: from the moment at which the disk of a
// leader in office hangs to that at which another one is in office: the time-out, and an
// election, for which nobody has to wait until the old one is missed.
const hangBound = diskTimeout + 20*tick

// TestALeaderWhoseDiskHangsLosesOffice hangs the disk of the leader in office, with
// clients at work and without, and that of another one.
func TestALeaderWhoseDiskHangsLosesOffice(t *testing.T) {
	for _, tt := range []struct {
		name       string
		idle       bool // nothing but what roles write by themselves
		leader     bool // it is the leader's disk that hangs
		otherHangs bool // and that of one of four others, who must not run
	}{
		{"at work", false, true, false},
		{"idle", true, true, false},
		{"another hangs, too", true, true, true},
		{"a follower", false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var slowest time.Duration
			for seed := uint64(1); seed <= 8; seed++ {
				w, finish := judged(t, seed, 5)
				w.Run(40 * tick)
				leader := w.inOffice(t)
				if tt.idle {
					for _, n := range w.Nodes {
						n.Client.Stop()
					}
					w.Run(40 * tick)
				}
				hung := leader
				others := slices.DeleteFunc(slices.Clone(w.Nodes), func(n *Node) bool { return n == leader })
				if !tt.leader {
					hung = others[0]
				}
				hung.freeze()
				if tt.otherHangs {
					others[0].freeze()
				}
				begin := w.Now
				for now := leader; (now == leader || now == nil) && w.Now < begin+hangBound; now = w.findOffice() {
					w.Run(tick / 4)
				}
				slowest = max(slowest, w.Now-begin)
				switch now := w.findOffice(); {
				case now == nil:
					t.Fatalf("seed %d: %v after a disk hung, nobody is in office", seed, w.Now-begin)
				case tt.leader && (now == leader || now.hangs):
					t.Errorf("seed %d: %v after its disk hung, %s is in office", seed, w.Now-begin, now.name)
				case !tt.leader && now != leader:
					t.Errorf("seed %d: the disk of a follower hangs, and %s took over", seed, now.name)
				}
				before := len(w.ackedOps)
				w.Run(20 * tick)
				if !tt.idle && len(w.ackedOps) == before {
					t.Errorf("seed %d: nothing is acknowledged while a disk hangs", seed)
				}
				now := w.findOffice()
				hung.thaw()
				w.Run(60 * tick)
				if w.findOffice() != now {
					t.Errorf("seed %d: a disk that goes on disturbs the one in office", seed)
				}
				finish()
			}
			t.Logf("at most %.1f ticks, of %.1f", float64(slowest)/float64(tick), float64(hangBound)/float64(tick))
		})
	}
}

// judged is a world without faults of its own, under the referee, that has started.
func judged(t *testing.T, seed uint64, nodes int) (w *World, finish func()) {
	t.Helper()
	return judgedWith(t, seed, nodes, Faults{Delay: tick / 20, Sync: tick / 20})
}

// judgedWith is such a world with faults.
func judgedWith(t *testing.T, seed uint64, nodes int, f Faults) (w *World, finish func()) {
	t.Helper()
	w = NewWorld(seed, nodes, f)
	referee := conformance.New(conformance.Options{})
	w.Observe = func(e actors.Event) {
		if b := referee.Judge(e); b != nil {
			w.broken("%v", b)
		}
	}
	for _, n := range w.Nodes {
		n.Start()
	}
	return w, func() {
		t.Helper()
		if err := referee.Finish(); err != nil {
			w.broken("%v", err)
		}
		for _, b := range w.Broken {
			t.Errorf("seed %d: %s", seed, b)
		}
	}
}
