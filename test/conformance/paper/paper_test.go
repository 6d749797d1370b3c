package paper

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

var deep = flag.Bool("deep", false, "explore the larger systems too: ten minutes, 8 GB")

// limit is far above what any system below has: one that reaches it fails.
const limit = 30_000_000

// The commands of the systems below. Clients 1 and 2 want one each at the same time,
// unless one client wants both, one after the other.
var (
	opA, opB = Op{Letter: "a"}, Op{Letter: "b"}
	opNext   = Op{Configuration: 2}
	cmdA     = Command{1, 1, opA}
	cmdB     = Command{2, 1, opB}
)

// What replicas ask of each of two leaders, where only the synod is explored.
var (
	rivals       = [][]Entry{{{1, cmdA}}, {{1, cmdB}}}
	bothRivals   = [][]Entry{{{1, cmdA}, {1, cmdB}}, {{1, cmdA}, {1, cmdB}}}
	twoSlots     = [][]Entry{{{1, cmdA}, {2, cmdB}}, {{1, cmdB}, {2, cmdA}}}
	oneContested = [][]Entry{{{1, cmdA}, {2, cmdB}}, {{1, cmdB}}}
)

// exhaustive are the systems whose every reachable state is visited. Of a synod alone
// the replicas are left out (Listener), of replicas alone the leaders and acceptors
// (Consensus); in a whole system every process is the figure's.
var exhaustive = []struct {
	name string
	deep bool
	size Size
	want []string // witnesses
}{
	{
		"synod alone: 2 leaders, 2 ballots, 3 acceptors, 1 slot", false,
		Size{Configurations: synod(3, 1, 1), Propose: bothRivals},
		[]string{Decided, Adoption},
	}, {
		"synod alone: 2 leaders, 3 ballots, 3 acceptors, 1 slot", false,
		Size{Configurations: synod(3, 2, 1), Propose: bothRivals},
		[]string{Decided, Adoption, Preemption},
	}, {
		"synod alone: 2 leaders, 4 ballots, 3 acceptors, 1 slot", true,
		Size{Configurations: synod(3, 2, 3), Propose: rivals},
		[]string{Decided, Adoption, Preemption},
	}, {
		"synod alone: 2 leaders, 2 ballots, 3 acceptors, 2 slots", false,
		Size{Configurations: synod(3, 1, 1), Propose: twoSlots},
		[]string{Decided, Adoption, DecidedTwice},
	}, {
		"synod alone: 3 leaders, 3 ballots, 3 acceptors, 1 slot", false,
		Size{Configurations: synod(3, 1, 1, 1), Propose: append(slices.Clone(rivals), rivals[0])},
		[]string{Decided, Adoption},
	}, {
		"synod alone: 2 leaders, 2 ballots, 4 acceptors, 1 slot", false,
		Size{Configurations: synod(4, 1, 1), Propose: bothRivals},
		[]string{Decided, Adoption},
	}, {
		"synod alone: 2 leaders, 2 ballots, 5 acceptors, 1 slot", false,
		Size{Configurations: synod(5, 1, 1), Propose: rivals},
		[]string{Decided, Adoption},
	}, {
		"replicas alone: 2 replicas, 2 commands at once, 3 slots, WINDOW 1", false,
		Size{Configurations: abstract(1), Replicas: 2, Window: 1, Slots: 3, Clients: atOnce},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder},
	}, {
		"replicas alone: 2 replicas, 2 commands at once, 3 slots, WINDOW 2", false,
		Size{Configurations: abstract(1), Replicas: 2, Window: 2, Slots: 3, Clients: atOnce},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder},
	}, {
		"replicas alone: 2 replicas, 2 commands in turn, 3 slots, WINDOW 2", false,
		Size{Configurations: abstract(1), Replicas: 2, Window: 2, Slots: 3, Clients: inTurn},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder},
	}, {
		"replicas alone: 2 replicas, 2 configurations, 1 command and a reconfiguration, 3 slots, WINDOW 1", false,
		Size{Configurations: abstract(2), Replicas: 2, Window: 1, Slots: 3, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder, Reconfigured},
	}, {
		"replicas alone: 2 replicas, 2 configurations, 1 command and a reconfiguration, 3 slots, WINDOW 2", false,
		Size{Configurations: abstract(2), Replicas: 2, Window: 2, Slots: 3, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder, Reconfigured},
	}, {
		"replicas alone: 2 replicas, 2 configurations, 1 command and a reconfiguration, 4 slots, WINDOW 2", true,
		Size{Configurations: abstract(2), Replicas: 2, Window: 2, Slots: 4, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, DecidedTwice, OutOfOrder, Reconfigured},
	}, {
		"whole: 2 leaders, 3 ballots, 3 acceptors, 2 replicas, 1 command, 1 slot, WINDOW 1", false,
		Size{Configurations: synod(3, 2, 1), Replicas: 2, Window: 1, Slots: 1, Clients: atOnce[:1]},
		[]string{Decided, AllExecuted, Adoption, Preemption},
	}, {
		"whole: 2 leaders, 3 ballots, 3 acceptors, 2 replicas, 2 commands at once, 1 slot, WINDOW 1", false,
		Size{Configurations: synod(3, 2, 1), Replicas: 2, Window: 1, Slots: 1, Clients: atOnce},
		[]string{Decided, Adoption, Preemption},
	}, {
		"whole: 2 leaders, 2 ballots, 3 acceptors, 2 replicas, 2 commands at once, 2 slots, WINDOW 1", false,
		Size{Configurations: synod(3, 1, 1), Replicas: 2, Window: 1, Slots: 2, Clients: atOnce},
		[]string{Decided, AllExecuted, Adoption, Collision, DecidedTwice},
	}, {
		"whole: 2 configurations of 1 leader, 3 and 1 acceptors, 2 replicas, 1 command and a reconfiguration, 2 slots, WINDOW 1", false,
		Size{Configurations: oneEach(3, 1), Replicas: 2, Window: 1, Slots: 2, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, Reconfigured},
	}, {
		"whole: 2 configurations of 1 leader, 1 and 1 acceptors, 2 replicas, 1 command and a reconfiguration, 3 slots, WINDOW 2", false,
		Size{Configurations: oneEach(1, 1), Replicas: 2, Window: 2, Slots: 3, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, Reconfigured, OutOfOrder},
	}, {
		"whole: 2 configurations of 1 leader, 3 and 1 acceptors, 2 replicas, 1 command and a reconfiguration, 3 slots, WINDOW 2", true,
		Size{Configurations: oneEach(3, 1), Replicas: 2, Window: 2, Slots: 3, Clients: reconfiguring},
		[]string{Decided, AllExecuted, Collision, Reconfigured, OutOfOrder},
	}, {
		"synod alone: 2 leaders, 3 ballots, 3 acceptors, 2 slots, of which one is contested", true,
		Size{Configurations: synod(3, 2, 1), Propose: oneContested},
		[]string{Decided, Adoption, Preemption, DecidedTwice},
	}, {
		"whole: 2 leaders, 2 ballots, 3 acceptors, 2 replicas, 2 commands in turn, 2 slots, WINDOW 2", true,
		Size{Configurations: synod(3, 1, 1), Replicas: 2, Window: 2, Slots: 2, Clients: inTurn},
		[]string{Decided, AllExecuted, Adoption, Collision, DecidedTwice, OutOfOrder},
	}, {
		"whole: 2 leaders, 2 ballots, 3 acceptors, 2 replicas, 2 commands at once, 2 slots, WINDOW 2", true,
		Size{Configurations: synod(3, 1, 1), Replicas: 2, Window: 2, Slots: 2, Clients: atOnce},
		[]string{Decided, AllExecuted, Adoption, Collision, DecidedTwice, OutOfOrder},
	},
}

var (
	atOnce        = [][]Op{{opA}, {opB}}
	inTurn        = [][]Op{{opA, opB}}
	reconfiguring = [][]Op{{opA}, {opNext}}
)

// synod is one configuration, of leaders that begin ballots of so many rounds.
func synod(acceptors int, rounds ...int) []Configuration {
	return []Configuration{{Rounds: rounds, Acceptors: acceptors}}
}

// abstract is so many configurations, each a Consensus.
func abstract(n int) []Configuration { return make([]Configuration, n) }

// oneEach is configurations of one leader each, with one ballot, and so many acceptors.
func oneEach(acceptors ...int) (all []Configuration) {
	for _, n := range acceptors {
		all = append(all, Configuration{Rounds: []int{1}, Acceptors: n})
	}
	return all
}

// TestAllInvariantsHoldInEveryReachableState also fails when exploring was cut off, and
// when something that should have happened never did.
func TestAllInvariantsHoldInEveryReachableState(t *testing.T) {
	for _, e := range exhaustive {
		t.Run(e.name, func(t *testing.T) {
			if e.deep && !*deep {
				t.Skip("only with -deep")
			}
			start := time.Now()
			r := Explore(NewSystem(e.size), limit)
			switch {
			case r.Violation != nil:
				t.Fatal(r.Violation)
			case r.Cut:
				t.Fatalf("cut off at %d states: nothing is known", r.States)
			}
			for _, w := range e.want {
				if !r.Seen[w] {
					t.Errorf("in none of %d states it was seen that %s", r.States, w)
				}
			}
			line := fmt.Sprintf("%d states, %d transitions, up to %d messages delivered, all invariants hold: %s",
				r.States, r.Transitions, r.Depth, e.name)
			fmt.Println("paper:", line)
			t.Logf("%s (%s)", line, time.Since(start).Round(time.Millisecond))
		})
	}
}

// TestWhatIsCutOffProvesNothing and says so.
func TestWhatIsCutOffProvesNothing(t *testing.T) {
	whole := Explore(NewSystem(exhaustive[0].size), limit)
	if r := Explore(NewSystem(exhaustive[0].size), whole.States-1); !r.Cut {
		t.Errorf("%d states of %d, and not cut off", r.States, whole.States)
	}
	if r := Explore(NewSystem(exhaustive[0].size), whole.States); r.Cut {
		t.Errorf("cut off at %d states of %d", r.States, whole.States)
	}
}
