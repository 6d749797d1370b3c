package paper

import "fmt"

// A commander that takes one acceptor for a majority: two leaders, each asked for another
// command, and the fewest messages that have both decided for slot 1.
func ExampleExplore() {
	system := NewSystem(Size{
		Configurations: []Configuration{{Rounds: []int{1, 1}, Acceptors: 3}},
		Propose: [][]Entry{
			{{1, Command{1, 1, Op{Letter: "a"}}}},
			{{1, Command{2, 1, Op{Letter: "b"}}}},
		},
	})
	system.Turn = func(p Process, e *Env, m Message) {
		if k, ok := p.(*Commander); ok && m.(P2B).Ballot == k.PValue.Ballot {
			e.SendAll(k.Replicas, Decision{k.PValue.Entry})
			e.Exit()
			return
		}
		p.Receive(e, m)
	}
	fmt.Println(Explore(system, 10_000).Violation)
	// Output:
	// scout 0.1 → acceptor 1  p1a 0.1
	// scout 0.1 → acceptor 2  p1a 0.1
	// scout 0.2 → acceptor 3  p1a 0.2
	// scout 0.2 → acceptor 1  p1a 0.2
	// acceptor 1 → scout 0.1  p1b 0.1 {}
	// acceptor 2 → scout 0.1  p1b 0.1 {}
	// replica 1 → leader 1  propose 1 ⟨1,1,a⟩
	// scout 0.1 → leader 1  adopted 0.1 {}
	// commander ⟨0.1,1,⟨1,1,a⟩⟩ → acceptor 2  p2a ⟨0.1,1,⟨1,1,a⟩⟩
	// acceptor 2 → commander ⟨0.1,1,⟨1,1,a⟩⟩  p2b 0.1
	// acceptor 1 → scout 0.2  p1b 0.2 {}
	// acceptor 3 → scout 0.2  p1b 0.2 {}
	// replica 1 → leader 2  propose 1 ⟨2,1,b⟩
	// scout 0.2 → leader 2  adopted 0.2 {}
	// commander ⟨0.2,1,⟨2,1,b⟩⟩ → acceptor 1  p2a ⟨0.2,1,⟨2,1,b⟩⟩
	// acceptor 1 → commander ⟨0.2,1,⟨2,1,b⟩⟩  p2b 0.2
	// R1 is broken: ⟨1,⟨1,1,a⟩⟩ and ⟨1,⟨2,1,b⟩⟩ were both decided
}
