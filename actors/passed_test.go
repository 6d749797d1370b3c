package actors

import (
	"fmt"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// D11: an acceptor passes on what comes from elsewhere, accepted or not, to the replica
// beside it, if there is one.
func TestD11_AnAcceptorPassesP2aOn(t *testing.T) {
	for _, tt := range []struct {
		from    string
		replica bool
		ballot  *messages.Ballot
		want    []Addr
	}{
		{"beta/epoch-1/leader/commander-3-1", true, ballot(3, 2), []Addr{"alpha/replica"}},
		{"beta/epoch-1/leader/commander-1-1", true, ballot(1, 2), []Addr{"alpha/replica"}}, // it may be decided all the same
		{"alpha/epoch-1/leader/commander-3-1", true, ballot(3, 1), nil},
		{"beta/epoch-1/leader/commander-3-1", false, ballot(3, 2), nil},
	} {
		a, env := newTestAcceptor(), &notes{self: AcceptorAddr("alpha", 1)}
		a.Configuration.Members[0].Replica = tt.replica
		a.ballot = Ballot{2, 1}
		a.Receive(env, &messages.P2A{From: tt.from, Pvalue: &messages.PValue{Ballot: tt.ballot, Slot: 1}})
		expect(t, fmt.Sprintf("p2a %v from %s, replica %t: passed to", tt.ballot, tt.from, tt.replica), env.passed, tt.want)
	}
}

// D11, Fig. 6(a) l. 3: a decision has its decree for those who were not asked to accept it
// over the network.
func TestD11_ADecisionHasTheDecreeWhereItIsMissing(t *testing.T) {
	c := world3()
	c.Members = append(c.Members, Member{ID: 4, Name: "learner", Replica: true})
	env := &notes{self: "alpha/epoch-1/leader/commander-1-4"}
	commander := NewCommander(CommanderOptions{Acceptors: c.Acceptors(), Replicas: c.Replicas(), PValue: pvalue(1, 1, 4, "x")})
	commander.Start(env)
	for _, from := range []string{"alpha", "beta"} {
		commander.Receive(env, &messages.P2B{From: string(AcceptorAddr(from, 1)), Ballot: ballot(1, 1), Slot: 4})
	}
	has := make(map[Addr]string)
	for _, s := range env.sent {
		if m, ok := s.m.(*messages.Decision); ok {
			b, slot := NameOf(m)
			has[s.to] = fmt.Sprintf("%s %d %s", b, slot, m.Pvalue.GetDecree())
		}
	}
	expect(t, "decisions", has, map[Addr]string{
		"alpha/replica": "1.1 4 x", "beta/replica": "1.1 4 ", "gamma/replica": "1.1 4 ", "learner/replica": "1.1 4 x",
	})
}

// D11, C1, C2: a decision that names ⟨b, s⟩ means what was passed on under b or above, never
// below; whichever comes first.
func TestD11_ANamedDecisionTakesNoLowerBallot(t *testing.T) {
	p2a := func(round uint64, op string) *messages.P2A {
		v := decided(1, op).Pvalue
		v.Ballot = ballot(round, 2)
		return &messages.P2A{From: "beta/epoch-1/leader/commander", Pvalue: v}
	}
	named := func(round uint64) *messages.Decision {
		return &messages.Decision{From: "beta/epoch-1/leader/commander", Ballot: ballot(round, 2), Slot: 1}
	}
	for name, tt := range map[string]struct {
		in   []any
		want []string
	}{
		"p2a, decision":                {[]any{p2a(2, "x"), named(2)}, []string{"x"}},
		"decision, p2a":                {[]any{named(2), p2a(2, "x")}, []string{"x"}},
		"a lower ballot":               {[]any{p2a(1, "y"), named(2)}, nil},
		"a lower ballot, later":        {[]any{named(2), p2a(1, "y")}, nil},
		"a lower ballot, and the same": {[]any{named(2), p2a(1, "y"), p2a(2, "x")}, []string{"x"}},
		"a lower ballot behind":        {[]any{p2a(2, "x"), p2a(1, "y"), named(2)}, []string{"x"}},
		"a higher ballot":              {[]any{p2a(3, "x"), named(2)}, []string{"x"}},
		"nobody's ballot":              {[]any{p2a(1, "y"), &messages.Decision{Slot: 1}}, nil},
		"the decree is a no-op":        {[]any{p2a(2, ""), named(2), p2a(2, "x"), named(2)}, nil},
		"told by somebody else":        {[]any{named(2), decided(1, "x"), p2a(2, "x")}, []string{"x"}},
		"again":                        {[]any{p2a(2, "x"), named(2), p2a(2, "x"), named(2)}, []string{"x"}},
	} {
		r, state, env := newTestReplica(4)
		for _, m := range tt.in {
			switch m := m.(type) {
			case *messages.P2A:
				r.Receive(env, m)
			case *messages.Decision:
				r.Receive(env, m)
			}
		}
		expect(t, name+": executed", state.log, tt.want)
		if out := r.slotOut; out > 1 && len(r.passed)+len(r.named)+len(r.decisions) > 0 {
			t.Errorf("%s: at slot_out %d it keeps %v, %v, %v", name, out, r.passed, r.named, r.decisions)
		}
	}
}

// D11: what a replica tells the acceptor beside it has the ballot under which it was decided.
func TestD11_DecidedHasTheBallotOfTheDecision(t *testing.T) {
	r, _, env := newTestReplica(4)
	v := decided(1, "x").Pvalue
	v.Ballot = ballot(9, 3)
	r.Receive(env, &messages.P2A{Pvalue: v})
	r.Receive(env, &messages.Decision{Ballot: ballot(2, 2), Slot: 1})
	told := take[*messages.Decided](env)
	if len(told) != 1 || BallotOf(told[0].Decided[0].Ballot) != (Ballot{2, 2}) {
		t.Errorf("the acceptor is told %v, want slot 1 under 2.2", told)
	}
}

// S4, D11: a slot that is decided is not proposed for, though its decree is not here yet;
// and what lies far ahead is not kept.
func TestD11_ANamedSlotIsTaken(t *testing.T) {
	r, _, env := newTestReplica(4)
	r.Receive(env, &messages.Decision{Ballot: ballot(1, 2), Slot: 1})
	r.Receive(env, request("a"))
	expect(t, "proposed", proposed(env), []string{"2:a"})
	for _, slot := range []uint64{0, 9, 1 << 63} {
		r.Receive(env, &messages.P2A{Pvalue: pvalue(1, 2, slot, "x")})
		r.Receive(env, &messages.Decision{Ballot: ballot(1, 2), Slot: slot})
	}
	expect(t, "kept", len(r.passed)+len(r.named), 1)
}
