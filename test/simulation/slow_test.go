package simulation

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// TestASlowNetworkHasALeader: time-outs that are far too short for a network grow until
// somebody can take office.
func TestASlowNetworkHasALeader(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		for seed := uint64(1); seed <= 8; seed++ {
			w := NewWorld(seed, nodes, Faults{Delay: tick / 5, Sync: tick / 20})
			for _, n := range w.Nodes {
				n.slow = 16 * tick // a message to it
				n.Start()
			}
			ticks := 0
			for ; ticks < 600 && w.findOffice() == nil; ticks++ {
				w.Run(tick)
			}
			t.Logf("%d nodes, seed %d: a leader after %d ticks, %d scouts", nodes, seed, ticks, w.Counts["scout"])
			if w.findOffice() == nil {
				t.Errorf("%d nodes, seed %d: no leader", nodes, seed)
			}
		}
	}
}

// TestDuelsEnd: where a round trip takes longer than the time-outs, candidates preempt each
// other, until their time-outs have grown apart and one of them stays in office.
func TestDuelsEnd(t *testing.T) {
	const stays = 150 // ticks in one office
	duels := 0
	for _, slow := range []int{2, 4, 6, 8} { // ticks that a message takes to any node
		for seed := uint64(1); seed <= 6; seed++ {
			w := NewWorld(seed, 5, Faults{Delay: tick / 5, Sync: tick / 20})
			w.Observe = func(e actors.Event) {
				m, ok := e.Message.(*messages.Preempted)
				if ok && e.Kind == actors.Sent && actors.BallotOf(m.Ballot).Leader != 0 {
					duels++
				}
			}
			for _, n := range w.Nodes {
				n.slow = tick * time.Duration(slow)
				n.Start()
				n.Client.Stop()
			}
			office, since, ticks := (*Node)(nil), 0, 0
			for ; ticks < 1500 && since < stays; ticks++ {
				w.Run(tick)
				now := w.findOffice()
				if since++; now == nil || now != office {
					office, since = now, 0
				}
			}
			if since < stays {
				t.Errorf("messages of %d ticks, seed %d: after %d ticks nobody stays in office", slow, seed, ticks)
			}
			t.Logf("messages of %d ticks, seed %d: one stays after %d ticks", slow, seed, ticks-stays)
		}
	}
	if duels == 0 {
		t.Error("nobody was preempted: the test shows nothing")
	}
}
