package simulation

import "testing"

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
