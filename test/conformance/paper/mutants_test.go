package paper

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/mutants.txt anew")

// A fault is a turn as a mistaken process takes it. It returns false if it has no
// opinion: the turn is then the figure's.
type fault func(p Process, e *Env, m Message) bool

// mutant is a mistake that somebody could make with a figure, a small system in which it
// does harm, and the invariant that must see it first.
type mutant struct {
	name   string
	caught string
	size   Size
	fault  fault
	change func(*System) // in place of a fault: what is set up wrongly

	// For mistakes that void the reasons for a reduction:
	hears  bool // no process is taken to be deaf
	unlike bool // no two processes are taken to be alike
}

// on is a fault of one kind of process with one kind of message.
func on[P Process, M Message](turn func(p P, e *Env, m M)) fault {
	return func(p Process, e *Env, m Message) bool {
		mine, is := p.(P)
		message, fits := m.(M)
		if is && fits {
			turn(mine, e, message)
		}
		return is && fits
	}
}

// system is the mutant's.
func (m mutant) system() System {
	s := NewSystem(m.size)
	if m.change != nil {
		m.change(&s)
		return s
	}
	s.Turn = func(p Process, e *Env, msg Message) {
		if !m.fault(p, e, msg) {
			p.Receive(e, msg)
		}
	}
	if m.hears {
		s.Deaf = func(Process, Message) bool { return false }
	}
	if m.unlike {
		s.Alike = nil
	}
	return s
}

func mutants() []mutant { return slices.Concat(synodMutants, replicaMutants) }

const golden = "testdata/mutants.txt"

// TestEveryMutantIsCaught explores each mutant until an invariant breaks, and holds the
// shortest traces equal to those in testdata/mutants.txt.
func TestEveryMutantIsCaught(t *testing.T) {
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			if r := Explore(NewSystem(m.size), 2_000); r.Violation != nil {
				t.Fatalf("the figures themselves fail here:\n%s", r.Violation)
			}
			r := Explore(m.system(), limit)
			if r.Violation == nil {
				t.Fatalf("not caught in %d states", r.States)
			}
			if r.Violation.Invariant != m.caught {
				t.Errorf("caught by %s, want %s", r.Violation.Invariant, m.caught)
			}
			fmt.Printf("paper: caught by %s after %d messages: %s\n", r.Violation.Invariant, len(r.Violation.Trace), m.name)
			got := fmt.Sprintf("# %s\n%s\n\n", m.name, r.Violation)
			all.WriteString(got)
			if !*rewrite && !strings.Contains(string(want), got) {
				t.Errorf("this trace is not in %s (go test -rewrite writes all anew):\n%s", golden, got)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryInvariantCatchesAMutant: one that catches none might as well say nothing.
func TestEveryInvariantCatchesAMutant(t *testing.T) {
	var names []string
	for _, i := range ofChanges {
		names = append(names, i.name)
	}
	for _, i := range slices.Concat(ofAcceptors, ofReplicas) {
		names = append(names, i.name)
	}
	for _, name := range names {
		if !slices.ContainsFunc(mutants(), func(m mutant) bool { return m.caught == name }) {
			t.Errorf("no mutant is caught by %s", name)
		}
	}
}
