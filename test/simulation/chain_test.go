package simulation

import (
	"strings"
	"testing"

	"github.com/pmmc-go/pmmc/actors"
)

// TestAnotherHistoryIsFound plants a state that executed another decree than the others, in
// a world without a referee: the replicas find it by themselves.
func TestAnotherHistoryIsFound(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		w := NewWorld(seed, 3, Faults{Delay: tick / 20, Sync: tick / 20})
		w.Observe = func(actors.Event) {}
		for _, n := range w.Nodes {
			n.Start()
		}
		w.Run(60 * tick)
		if w.Counts["agreed"] == 0 || len(w.Broken) > 0 {
			t.Fatalf("seed %d: compared %d times, %v", seed, w.Counts["agreed"], w.Broken)
		}
		n := w.Nodes[seed%3]
		n.state.chain ^= 1 << 40
		n.saved = n.state.save() // the last: it shall need no snapshot
		n.Crash()
		n.Start()
		w.Run(60 * tick)
		if len(w.Broken) == 0 || !strings.Contains(w.Broken[0], "R1") {
			t.Errorf("seed %d: found %v", seed, w.Broken)
		}
	}
}
