package actors

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// ScoutOptions are a scout's arguments. The first three are the figure's.
type ScoutOptions struct {
	Leader    Addr   // λ, who is told the outcome
	Acceptors []Addr // all of them; a majority must promise
	Ballot    Ballot // b, which belongs to the leader
	Released  Ballot // its leader uses no lease any more (S8); ⊥ for none

	// Slot is the first that the leader wants to hear about: its replica has
	// executed those below (§4.1).
	Slot uint64
	// Resend is how long to wait before asking the silent acceptors again
	// (Divergence D7), and Tries how often to ask in vain: a scout that reaches no majority
	// must not go on and preempt, much later, somebody who does (S10).
	Resend time.Duration
	Tries  int
}

// Scout is the process of Fig. 6(b): it gets one ballot adopted by a majority.
type Scout struct {
	ScoutOptions
	waitfor   waitfor
	pvalues   pvalues
	forgotten uint64          // the highest that an acceptor told
	next      map[Addr]uint64 // from which slot an acceptor must go on
	moved     map[Addr]bool   // who sent a chunk since all were last asked
	tries     int             // since the last chunk
}

// NewScout returns a scout for the ballot of its options.
func NewScout(o ScoutOptions) *Scout {
	// Fig. 6(b) l. 1
	s := &Scout{
		ScoutOptions: o,
		waitfor:      waitForAll(o.Acceptors),
		pvalues:      make(pvalues),
		next:         make(map[Addr]uint64),
		moved:        make(map[Addr]bool),
	}
	for _, a := range o.Acceptors {
		s.next[a] = o.Slot
	}
	return s
}

// Start is the figure before "for ever": ask every acceptor.
func (s *Scout) Start(env Env) { s.askAll(env) }

// Receive is the loop of Fig. 6(b).
func (s *Scout) Receive(env Env, m proto.Message) {
	switch m := m.(type) {
	case *messages.P1B:
		s.onP1B(env, m)
	case *messages.Tick:
		s.askAll(env)
	default:
		env.Refuse(m)
	}
}

// onP1B is Fig. 6(b), "⟨p1b, α, b′, r⟩". An acceptor has answered when its last
// chunk came (Divergence D5); an answer with b′ < b is a stray (Divergence D1).
func (s *Scout) onP1B(env Env, m *messages.P1B) { // Fig. 6(b) l. 2
	from := Addr(m.From)
	switch b := BallotOf(m.Ballot); b.Compare(s.Ballot) {
	case 0:
		if !s.waitfor.isSilent(from) || m.Slot != s.next[from] {
			return // a stranger's, or a chunk that came before
		}
		for _, v := range m.Accepted {
			s.pvalues.add(v)
		}
		s.forgotten = max(s.forgotten, m.Forgotten)
		if m.Next != 0 {
			s.next[from], s.moved[from] = m.Next, true
			s.tries = 0 // and so the next pause is the shortest
			env.Send(s.Leader, &messages.Promising{From: string(env.Self()), Ballot: s.Ballot.Proto()})
			s.ask(env, from)
			return
		}
		s.waitfor.remove(from)
		// Fig. 6(b) l. 3
		if s.waitfor.majorityAnswered() {
			s.adopted(env)
		}
	// Fig. 6(b) l. 4: a lower ballot is a stray (Divergence D1)
	case +1:
		env.Send(s.Leader, &messages.Preempted{From: string(env.Self()), Ballot: m.Ballot})
		env.Exit()
	}
}

func (s *Scout) adopted(env Env) {
	// Fig. 6(b) l. 3
	accepted := make([]*messages.PValue, 0, len(s.pvalues))
	for _, slot := range slices.Sorted(maps.Keys(s.pvalues)) {
		accepted = append(accepted, s.pvalues[slot])
	}
	env.Send(s.Leader, &messages.Adopted{
		From: string(env.Self()), Ballot: s.Ballot.Proto(), Accepted: accepted, Forgotten: s.forgotten,
	})
	env.Exit()
}

// askAll asks every silent acceptor, and will do so again, but not for ever. One that sent a
// chunk since is at work on the next.
func (s *Scout) askAll(env Env) {
	if s.tries == s.Tries {
		env.Exit()
		return
	}
	// Fig. 6(b) l. 1: and again (Divergence D7)
	for _, a := range s.Acceptors {
		if s.waitfor.isSilent(a) && !s.moved[a] {
			s.ask(env, a)
		}
	}
	clear(s.moved)
	env.After(resendIn(env, s.Resend, s.tries), &messages.Tick{})
	s.tries++
}

func (s *Scout) ask(env Env, a Addr) {
	// Fig. 6(b) l. 1
	m := &messages.P1A{From: string(env.Self()), Ballot: s.Ballot.Proto(), Slot: s.next[a]}
	if s.Released != (Ballot{}) {
		m.Released = s.Released.Proto()
	}
	env.Send(a, m)
}
