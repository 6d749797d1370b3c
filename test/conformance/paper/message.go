package paper

import (
	"cmp"
	"fmt"
)

// ID is a process's self(), as it is printed: "acceptor 2".
type ID string

// Ballot is ⟨round, leader⟩, ordered by round, then leader. Leaders count from 1, so
// the zero Ballot is ⊥.
type Ballot struct{ Round, Leader int }

// Above tells whether b > other.
func (b Ballot) Above(other Ballot) bool {
	return cmp.Or(cmp.Compare(b.Round, other.Round), cmp.Compare(b.Leader, other.Leader)) > 0
}

// String prints round and leader.
func (b Ballot) String() string {
	if b == (Ballot{}) {
		return "⊥"
	}
	return fmt.Sprintf("%d.%d", b.Round, b.Leader)
}

// Op is an operation on the state: "append this letter", or, with a number, "go over to
// that configuration".
type Op struct {
	Letter        string
	Configuration int // 0: no reconfiguration
}

// Reconfigures tells whether the operation is a reconfiguration.
func (o Op) Reconfigures() bool { return o.Configuration != 0 }

// String prints the letter or the number.
func (o Op) String() string {
	if o.Reconfigures() {
		return fmt.Sprintf("reconfigure to %d", o.Configuration)
	}
	return o.Letter
}

// Command is ⟨κ, cid, op⟩.
type Command struct {
	Client int
	Cid    int
	Op     Op
}

// String prints the command as the paper does.
func (c Command) String() string { return fmt.Sprintf("⟨%d,%d,%s⟩", c.Client, c.Cid, c.Op) }

// Entry is ⟨s, c⟩: a slot and a command proposed or decided for it.
type Entry struct {
	Slot    int
	Command Command
}

// String prints the entry as the paper does.
func (e Entry) String() string { return fmt.Sprintf("⟨%d,%s⟩", e.Slot, e.Command) }

// PValue is ⟨b, s, c⟩.
type PValue struct {
	Ballot Ballot
	Entry
}

// String prints the pvalue as the paper does.
func (v PValue) String() string { return fmt.Sprintf("⟨%s,%d,%s⟩", v.Ballot, v.Slot, v.Command) }

// A Message is one of those below.
type Message fmt.Stringer

// The messages between clients and replicas, and between replicas and leaders.
type (
	Request  struct{ Command Command }
	Response struct {
		Cid    int
		Result string
	}
	Propose  struct{ Entry Entry }
	Decision struct{ Entry Entry }
)

// The messages of the synod.
type (
	P1A struct {
		Scout  ID
		Ballot Ballot
	}
	P1B struct {
		Acceptor ID
		Ballot   Ballot
		Accepted Set[PValue]
	}
	P2A struct {
		Commander ID
		PValue    PValue
	}
	P2B struct {
		Acceptor ID
		Ballot   Ballot
	}
	Adopted struct {
		Ballot  Ballot
		PValues Set[PValue]
	}
	Preempted struct{ Ballot Ballot }
)

func (m Request) String() string  { return fmt.Sprintf("request %s", m.Command) }
func (m Response) String() string { return fmt.Sprintf("response %d %q", m.Cid, m.Result) }
func (m Propose) String() string  { return fmt.Sprintf("propose %d %s", m.Entry.Slot, m.Entry.Command) }
func (m Decision) String() string {
	return fmt.Sprintf("decision %d %s", m.Entry.Slot, m.Entry.Command)
}
func (m P1A) String() string       { return fmt.Sprintf("p1a %s", m.Ballot) }
func (m P1B) String() string       { return fmt.Sprintf("p1b %s %s", m.Ballot, m.Accepted) }
func (m P2A) String() string       { return fmt.Sprintf("p2a %s", m.PValue) }
func (m P2B) String() string       { return fmt.Sprintf("p2b %s", m.Ballot) }
func (m Adopted) String() string   { return fmt.Sprintf("adopted %s %s", m.Ballot, m.PValues) }
func (m Preempted) String() string { return fmt.Sprintf("preempted %s", m.Ballot) }
