package actors

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// CommanderOptions are a commander's arguments. All but Resend are the figure's.
type CommanderOptions struct {
	Leader    Addr   // λ, who is told of a preemption
	Acceptors []Addr // all of them; a majority must accept
	Replicas  []Addr // who are told the decision
	PValue    *messages.PValue

	// Resend is how long to wait before asking the silent acceptors again. The
	// figure assumes that nothing is lost (Divergence D7).
	Resend time.Duration
}

// Commander is the process of Fig. 6(a): it gets one decree accepted for one
// slot under one ballot.
type Commander struct {
	CommanderOptions
	ballot  Ballot
	waitfor waitfor
	p2a     *messages.P2A
	whole   *messages.Decision
	named   *messages.Decision // without the decree (Divergence D11)
	resent  int
}

// NewCommander returns a commander for the pvalue ⟨b, s, c⟩ of its options.
func NewCommander(o CommanderOptions) *Commander {
	// Fig. 6(a) l. 1
	return &Commander{
		CommanderOptions: o,
		ballot:           BallotOf(o.PValue.Ballot),
		waitfor:          waitForAll(o.Acceptors),
	}
}

// Start is the figure before "for ever": ask every acceptor.
func (c *Commander) Start(env Env) {
	// Fig. 6(a) l. 1
	from := string(env.Self())
	c.p2a = &messages.P2A{From: from, Pvalue: c.PValue}
	c.whole = &messages.Decision{From: from, Pvalue: c.PValue}
	c.named = &messages.Decision{From: from, Ballot: c.PValue.Ballot, Slot: c.PValue.Slot}
	c.ask(env)
}

// Receive is the loop of Fig. 6(a).
func (c *Commander) Receive(env Env, m proto.Message) {
	switch m := m.(type) {
	case *messages.P2B:
		c.onP2B(env, m)
	case *messages.Tick:
		c.resent++
		c.ask(env)
	default:
		env.Refuse(m)
	}
}

// onP2B is Fig. 6(a), "⟨p2b, α, b′⟩".
//
// Divergence D1: the figure takes every b′ ≠ b for a preemption. An answer with
// b′ < b can only be a stray, and is dropped.
func (c *Commander) onP2B(env Env, m *messages.P2B) { // Fig. 6(a) l. 2
	switch b := BallotOf(m.Ballot); b.Compare(c.ballot) {
	case 0:
		c.waitfor.remove(Addr(m.From))
		// Fig. 6(a) l. 3
		if c.waitfor.majorityAnswered() {
			for _, r := range c.Replicas {
				env.Send(r, c.decisionFor(env, r)) // the decree, or its name (Divergence D11)
			}
			env.Exit()
		}
	// Fig. 6(a) l. 4: a lower ballot is a stray (Divergence D1)
	case +1:
		env.Send(c.Leader, &messages.Preempted{From: string(env.Self()), Ballot: m.Ballot})
		env.Exit()
	}
}

// ask sends the p2a to every acceptor that is silent, and will do so again.
func (c *Commander) ask(env Env) {
	// Fig. 6(a) l. 1: and again (Divergence D7)
	for _, a := range c.Acceptors {
		if c.waitfor.isSilent(a) {
			env.Send(a, c.p2a)
		}
	}
	env.After(resendIn(env, c.patience(), c.resent), &messages.Tick{})
}

// smallDecree is how many bytes a decree may have to be sent again soon.
const smallDecree = 4 << 10

// patience is how long a commander waits before it asks again: Resend, or half of that where
// it costs next to nothing. A large decree may be on its way for as long, and would come twice.
func (c *Commander) patience() time.Duration {
	if len(c.PValue.GetDecree()) <= smallDecree {
		return c.Resend / 2
	}
	return c.Resend
}
