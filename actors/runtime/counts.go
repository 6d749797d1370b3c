package runtime

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
)

// This file is what a node counts of its actors. The roles know nothing of it: shells
// and mailboxes see all that goes in and out of them.

// Stats is what the actors of a node did since it began.
type Stats struct {
	Began time.Time // when the node did

	Kinds   map[string]KindStats // by what an actor is called, as in Kinds
	Refused map[Refusal]uint64   // messages that their receivers had no use for

	P1AsAgain, P2AsAgain uint64 // sent once more to acceptors that had not answered
	Noops                uint64 // commanders of decrees that change nothing

	Office OfficeStats
}

// Kinds lists what is counted apart: the paper's roles and, beside them, who answers
// the callers of a node, who runs its roles, and who shows it to other members.
var Kinds = []string{"replica", "leader", "acceptor", "scout", "commander", "client", "steward", "herald"}

// KindStats is what the actors of one kind did.
type KindStats struct {
	Started uint64 // lives, those after a panic among them
	Alive   int
	Handled uint64               // messages
	Waiting int                  // messages in their mailboxes
	Waits   measure.Distribution // seconds that messages waited there, of a sample: one at a time of each mailbox
	// Lives are the seconds that scouts and commanders lived, by how they ended.
	Lives map[Outcome]measure.Distribution
}

// Refusal is a message that a role had no use for.
type Refusal struct{ Role, Message string }

// Outcome is how the life of a scout or commander ended.
type Outcome string

// The outcomes.
const (
	Succeeded   Outcome = "succeeded"   // a scout's ballot was adopted, a commander's decree decided
	Preempted   Outcome = "preempted"   // by a higher ballot
	GaveUp      Outcome = "gave up"     // a scout reached no majority
	Interrupted Outcome = "interrupted" // its leader or the node ended
)

// kind is what is counted of the actors of one kind.
type kind struct {
	began   time.Time // of the node
	started atomic.Uint64
	handled atomic.Uint64 // by those that have ended
	waits   *measure.Histogram
	lives   map[Outcome]*measure.Histogram // nil for those that live long
}

// counts is what is counted of all actors of a node.
type counts struct {
	kinds                       map[string]*kind // not changed once made
	others                      kind             // of which nothing is shown: supervisors
	p1asAgain, p2asAgain, noops atomic.Uint64

	mu         sync.Mutex
	refused    map[Refusal]uint64
	lasting    map[string]*mailbox // of actors that are no roles, by kind
	office     OfficeStats
	succession succession
}

func newCounts(began time.Time) *counts {
	c := &counts{
		kinds: make(map[string]*kind), others: kind{began: began, waits: measure.Times()},
		refused: make(map[Refusal]uint64), lasting: make(map[string]*mailbox),
		office: OfficeStats{Reasons: make(map[actors.Reason]uint64)},
	}
	for _, name := range Kinds {
		c.kinds[name] = &kind{began: began, waits: measure.Times()}
	}
	for _, name := range []string{"scout", "commander"} {
		c.kinds[name].lives = map[Outcome]*measure.Histogram{
			Succeeded: measure.Times(), Preempted: measure.Times(), GaveUp: measure.Times(), Interrupted: measure.Times(),
		}
	}
	return c
}

// of is the kind of an actor, by its name or address: "scout" of scout-7.
func (c *counts) of(name string) *kind {
	if k, ok := c.kinds[kindName(name)]; ok {
		return k
	}
	return &c.others
}

func kindName(address string) string {
	last := address[strings.LastIndexByte(address, '/')+1:]
	name, _, _ := strings.Cut(last, "-")
	return name
}

func (c *counts) refuse(role actors.Addr, m proto.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[Refusal{kindName(string(role)), string(m.ProtoReflect().Descriptor().Name())}]++
}

// last is the mailbox of an actor that is no role, and lives as long as the node.
func (c *counts) last(name string) *mailbox {
	m := newMailbox(c.of(name))
	m.kind.started.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lasting[name] = m
	return m
}

// life is what is counted of one life of a role.
type life struct {
	kind    *kind
	began   time.Time
	again   bool // the turn under way began with a Tick: what is asked, is asked again
	outcome Outcome
}

func (c *counts) begin(self actors.Addr, role actors.Role) life {
	l := life{kind: c.of(string(self)), began: time.Now(), outcome: Interrupted}
	l.kind.started.Add(1)
	if r, ok := role.(*actors.Commander); ok && actors.IsNoop(r.PValue.GetDecree()) {
		c.noops.Add(1)
	}
	return l
}

// sent takes note of what a role says, where that tells something.
func (c *counts) sent(l *life, m proto.Message) {
	switch m.(type) {
	case *messages.P2A:
		if l.again {
			c.p2asAgain.Add(1)
		}
	case *messages.P1A:
		if l.again {
			c.p1asAgain.Add(1)
		}
	case *messages.Adopted:
		l.outcome = Succeeded
	case *messages.Preempted:
		l.outcome = Preempted
	}
}

// exits takes note that a role ended its own life.
func (l *life) exits(role actors.Role) {
	if l.outcome != Interrupted {
		return
	}
	switch role.(type) {
	case *actors.Commander:
		l.outcome = Succeeded // it exits for nothing else but a preemption
	case *actors.Scout:
		l.outcome = GaveUp
	}
}

// end counts a life that is over, and what was handled in it.
func (l *life) end(m *mailbox) {
	l.kind.handled.Add(m.received.Load())
	if h, ok := l.kind.lives[l.outcome]; ok {
		h.Took(time.Since(l.began))
	}
}

// Stats shows what was counted.
func (n *Node) Stats() Stats {
	c := n.counts
	s := Stats{
		Began: n.began, Kinds: make(map[string]KindStats, len(c.kinds)),
		P1AsAgain: c.p1asAgain.Load(), P2AsAgain: c.p2asAgain.Load(), Noops: c.noops.Load(),
	}
	boxes := make(map[string][]*mailbox)
	n.alive.Range(func(a, m any) bool {
		name := kindName(string(a.(actors.Addr)))
		boxes[name] = append(boxes[name], m.(*mailbox))
		return true
	})
	c.mu.Lock()
	for name, m := range c.lasting {
		boxes[name] = append(boxes[name], m)
	}
	s.Refused, s.Office = maps.Clone(c.refused), c.office
	s.Office.Changes, s.Office.Reasons = slices.Clone(c.office.Changes), maps.Clone(c.office.Reasons)
	c.mu.Unlock()
	for name, k := range c.kinds {
		s.Kinds[name] = k.show(boxes[name])
	}
	return s
}

func (k *kind) show(boxes []*mailbox) KindStats {
	s := KindStats{Started: k.started.Load(), Handled: k.handled.Load(), Alive: len(boxes), Waits: k.waits.Show()}
	for _, m := range boxes {
		received := m.received.Load() // before posted, or there would be fewer than none
		s.Handled += received
		s.Waiting += int(m.posted.Load() - received)
	}
	if k.lives != nil {
		s.Lives = make(map[Outcome]measure.Distribution, len(k.lives))
		for outcome, h := range k.lives {
			s.Lives[outcome] = h.Show()
		}
	}
	return s
}
