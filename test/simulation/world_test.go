package simulation

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/test/conformance"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only")
	seedsFlag = flag.Int("seeds", 60, "how many seeds to run")
)

// TestSeeds runs clusters over a network and disks that fail, then lets faults end:
// every client must get its answers, every replica the same log, and nothing that
// was acknowledged may be missing or doubled.
func TestSeeds(t *testing.T) {
	total := make(map[string]int)
	seeds := []uint64{*seedFlag}
	if *seedFlag == 0 {
		seeds = nil
		for i := range *seedsFlag {
			seeds = append(seeds, uint64(i+1))
		}
	}
	for _, seed := range seeds {
		w := run(seed)
		for _, b := range w.Broken {
			t.Errorf("seed %d: %s (run again with -seed=%d)", seed, b, seed)
		}
		for k, n := range w.Counts {
			total[k] += n
		}
	}
	for _, must := range []string{"acked", "read", "crash", "Preempted", "Adopted", "commander", "restored", "CaughtUp"} {
		if total[must] == 0 && *seedFlag == 0 {
			t.Errorf("nothing of the kind %q happened in all seeds: they show nothing", must)
		}
	}
	t.Log(total)
}

func run(seed uint64) *World {
	w := NewWorld(seed, 3+2*int(seed%2), Faults{
		Loss: 0.1, Repeat: 0.05, Delay: 20 * time.Millisecond, Sync: 10 * time.Millisecond,
	})
	referee := conformance.New(conformance.Options{})
	w.Observe = func(e actors.Event) {
		if b := referee.Judge(e); b != nil {
			w.broken("%v", b)
		}
	}
	for _, n := range w.Nodes {
		n.Start()
	}
	for range 30 {
		w.Run(w.draw(600 * time.Millisecond))
		w.trouble()
		if len(w.Broken) > 0 {
			return w
		}
	}
	w.Loss, w.Repeat = 0, 0
	w.Heal()
	for _, n := range w.Nodes {
		if !n.up {
			n.Start()
		}
	}
	w.Run(20 * time.Second)
	for _, n := range w.Nodes {
		n.Client.Stop()
	}
	w.Run(10 * time.Second)
	w.check()
	if err := referee.Finish(); err != nil && len(w.Broken) == 0 {
		w.broken("%v", err)
	}
	w.Counts["judged"] += int(referee.Counts().Events)
	return w
}

// view shows the roles of a node.
func (n *Node) view() string {
	var all []string
	for _, addr := range slices.Sorted(maps.Keys(n.roles)) {
		switch r := n.roles[addr].role.(type) {
		case *actors.Replica:
			all = append(all, fmt.Sprintf("\n  %s %+v", addr, r.View()))
		case *actors.Leader:
			all = append(all, fmt.Sprintf("\n  %s %+v", addr, r.View()))
		case *actors.Acceptor:
			all = append(all, fmt.Sprintf("\n  %s %+v", addr, r.View()))
		default:
			all = append(all, fmt.Sprintf("\n  %s", addr))
		}
	}
	return strings.Join(all, "")
}

// trouble does something to a node or a link.
func (w *World) trouble() {
	n := w.Nodes[w.rng.IntN(len(w.Nodes))]
	m := w.Nodes[w.rng.IntN(len(w.Nodes))]
	switch w.rng.IntN(8) {
	case 0, 1:
		if n.up {
			n.Crash()
		}
	case 2, 3, 4:
		if !n.up {
			n.Start()
		}
	case 5:
		w.Cut(n.member.Name, m.member.Name)
	case 6:
		w.Heal()
	case 7:
		if w.rng.IntN(4) == 0 {
			for _, n := range w.Nodes {
				if n.up {
					n.Crash()
				}
			}
			for _, n := range w.Nodes {
				n.Start()
			}
		}
	}
}

// check looks at the end of a run.
func (w *World) check() {
	first := w.Nodes[0].state.Log
	for _, n := range w.Nodes {
		log := n.state.Log
		if !slices.Equal(log, first) {
			w.broken("R3: %s and %s differ: %d and %d commands, slot_out %d and %d", w.Nodes[0].member.Name, n.member.Name,
				len(first), len(log), w.Nodes[0].state.Out, n.state.Out)
		}
		if len(n.Client.open) > 0 || len(n.Client.reads) > 0 {
			for _, n := range w.Nodes {
				fmt.Println(n.view())
			}
			w.broken("liveness: %d commands and %d reads of %s have no answer: %s", len(n.Client.open), len(n.Client.reads),
				n.member.Name, n.view())
		}
	}
	sorted := slices.Sorted(slices.Values(first))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			w.broken("S6: %s was executed twice", sorted[i])
		}
	}
	for _, a := range w.ackedOps {
		if _, found := slices.BinarySearch(sorted, a); !found {
			w.broken("lost: %s was acknowledged", a)
			break
		}
	}
	if len(w.ackedOps) == 0 {
		w.broken("liveness: nothing was acknowledged: %s", fmt.Sprint(w.Counts))
	}
}
