package simulation

import (
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// TestALeaseHoldsWithinTheBoundOnly cuts the leader in office off, with clients on both
// sides. While clocks drift no more than leaders are told its lease is over before another
// one is in office. When they drift more, it answers a read that misses what was
// acknowledged before, and that is caught (S8).
func TestALeaseHoldsWithinTheBoundOnly(t *testing.T) {
	for _, c := range []struct {
		name         string
		leader, rest float64 // how fast their clocks are
		breaks       bool
	}{
		{"within the bound", 0.96, 1.04, false},
		{"beyond it", 0.2, 1.8, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			caught := false
			for seed := uint64(1); seed <= 20; seed++ {
				w := NewWorld(seed, 3, Faults{Delay: tick / 20, Sync: tick / 20, Lease: 10 * tick, Drift: 0.05})
				w.Observe = func(actors.Event) {}
				for _, n := range w.Nodes {
					n.Start()
				}
				w.Run(30 * tick)
				leader := w.inOffice(t)
				for _, n := range w.Nodes {
					if n.setRate(c.rest); n == leader {
						n.setRate(c.leader)
					}
				}
				for _, n := range w.Nodes {
					n.Client.Stop() // what is under way when a leader is cut off holds reads up
				}
				w.Run(30 * tick)
				leader.Client.stopped = false
				leader.Client.readAgain()
				w.Run(10 * tick) // it has a lease
				w.isolate(leader)
				for _, n := range w.Nodes {
					if n.Client.stopped {
						n.Client.stopped = false
						n.Client.write()
					}
				}
				w.Run(60 * tick)
				if w.inOffice(t) == leader {
					t.Fatalf("seed %d: nobody took over", seed)
				}
				for _, b := range w.Broken {
					if caught = true; !strings.Contains(b, "S8") || !c.breaks {
						t.Errorf("seed %d: %s", seed, b)
					}
				}
			}
			if caught != c.breaks {
				t.Errorf("a read that misses a write was caught: %t, want %t", caught, c.breaks)
			}
		})
	}
}

// TestALeaseLetsTheOfficeMove has the office moved while a lease stands that would keep every
// other leader out for far longer.
func TestALeaseLetsTheOfficeMove(t *testing.T) {
	const lease = 40 * tick
	for seed := uint64(1); seed <= 10; seed++ {
		w, finish := judgedWith(t, seed, 3, Faults{Delay: tick / 20, Sync: tick / 20, Lease: lease, Drift: 0.05})
		w.Run(100 * tick) // acceptors wait out a lease that they may have granted before
		for range 10 {
			begin, to := w.Now, w.other(w.inOffice(t))
			if !w.move(to) || w.Now-begin > 6*tick {
				t.Fatalf("seed %d: after %v the office is not with %s:%s", seed, w.Now-begin, to.name, to.view())
			}
			w.Run(w.draw(20 * tick)) // the new one gets a lease of its own, or not yet
		}
		finish()
	}
}

// S8: a leader that asks for a successor uses its lease no more, though it is cut off and does
// not hear that another one is in office, and though the messages of the move come late,
// twice, or not at all.
func TestS8_NoLeaseOutlivesAMove(t *testing.T) {
	moved := 0
	for seed := uint64(1); seed <= 25; seed++ {
		w, finish := judgedWith(t, seed, 3, Faults{
			Delay: tick / 2, Sync: tick / 20, Loss: 0.1, Repeat: 0.2, Lease: 20 * tick, Drift: 0.05, Clocks: 0.05,
		})
		w.Run(100 * tick)
		for range 8 {
			from := w.findOffice()
			if from == nil {
				w.Run(30 * tick)
				continue
			}
			to := w.other(from)
			w.deliver(from.name, actors.LeaderAddr(from.name, w.Config.Epoch), &messages.Succeed{
				Ballot: from.leader().View().Ballot.Proto(), Heir: to.member().ID,
			})
			w.Run(w.draw(2 * tick))
			w.isolate(from) // it may serve reads at its side, if it thinks that it may
			w.Run(15 * tick)
			if w.findOffice() == to {
				moved++
			}
			w.Heal()
			w.Run(20 * tick)
		}
		finish()
	}
	if moved < 20 {
		t.Errorf("the office moved %d times within a lease: the test shows too little", moved)
	}
}

// inOffice is the node of the leader in office.
func (w *World) inOffice(t *testing.T) *Node {
	t.Helper()
	node := w.findOffice()
	if node == nil {
		t.Fatal("nobody is in office")
	}
	return node
}

// isolate cuts a node off from all others.
func (w *World) isolate(n *Node) {
	for _, other := range w.Nodes {
		w.Cut(n.name, other.name)
		w.Cut(other.name, n.name)
	}
}

// setRate makes a node's clock go on at another rate.
func (n *Node) setRate(rate float64) {
	n.ahead += time.Duration(float64(n.world.Now) * (n.rate - rate))
	n.rate = rate
}
