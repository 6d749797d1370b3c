package actors

import (
	"slices"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// pinged are those who were asked whether they are in office since it was last asked here.
func pinged(env *notes) (to []Addr) {
	for _, s := range env.sent {
		if _, ping := s.m.(*messages.Ping); ping {
			to = append(to, s.to)
		}
	}
	env.sent = nil
	return to
}

// A passive leader asks nobody but the one in office, while that answers; when it does
// not, anybody may be in office. Were all asked always, there would be n² pings.
func TestAPassiveLeaderPingsTheOneInOffice(t *testing.T) {
	l, env := newTestLeader()
	beta, gamma := LeaderAddr("beta", 1), LeaderAddr("gamma", 1)
	pong := func(b *messages.Ballot, active bool) {
		l.Receive(env, &messages.Pong{From: string(beta), Ballot: b, Active: active})
	}
	for _, step := range []struct {
		when string
		do   func()
		want []Addr
	}{
		{"nobody is known to be in office", func() {}, []Addr{beta, gamma}},
		{"beta answers", func() { pong(ballot(9, 2), true) }, []Addr{beta}},
		{"beta answers again", func() { pong(ballot(9, 2), true) }, []Addr{beta}},
		{"beta is silent", func() {}, []Addr{beta, gamma}},
		{"beta is silent still", func() {}, []Addr{beta, gamma}},
	} {
		step.do()
		l.Receive(env, &messages.Tick{})
		if got := pinged(env); !slices.Equal(got, step.want) {
			t.Errorf("when %s it pings %v, want %v", step.when, got, step.want)
		}
	}
	l.election.silent = 3
	pong(ballot(11, 2), false) // beta runs
	if l.election.silent != 0 || l.election.ballot != (Ballot{11, 2}) {
		t.Errorf("beta runs with 11.2 and says so; it takes %v to be in office, silent for %d ticks", l.election.ballot, l.election.silent)
	}
	pong(ballot(11, 2), true)
	pong(ballot(0, 0), false)
	if got := pinged(env); !slices.Equal(got, []Addr{beta, gamma}) {
		t.Errorf("when beta has given up it pings %v at once, want all", got)
	}
}

// A leader whose canvasses find that somebody is in office looks for who it is, also when
// the one that it knew is gone: such a canvass begins its wait anew, again and again.
func TestALeaderFindsWhoIsInOfficeNow(t *testing.T) {
	l, env := newTestLeader()
	const short = 150 * time.Millisecond // a canvass begins before the wait is over
	l.election.timeout = newTimeout(TimeoutOptions{Initial: short, Min: short, Max: short, Factor: 2})
	l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(9, 2), Active: true})
	asked := 0
	for n := range uint64(20) {
		l.Receive(env, &messages.Tick{})
		said := env.sent
		env.sent = nil
		for _, s := range said {
			switch m := s.m.(type) {
			case *messages.Canvass: // gamma shows itself to the acceptors
				for _, from := range []string{"alpha", "gamma"} {
					l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr(from, 1)), Ballot: ballot(10, 3), Number: m.Number, Heard: n})
				}
			case *messages.Ping:
				if s.to == LeaderAddr("gamma", 1) {
					asked++
				}
			}
		}
	}
	if asked < 18 {
		t.Errorf("in 20 ticks it asked gamma %d times whether it is in office", asked)
	}
}

// A leader that was right to miss the one in office, but slower to run than another one,
// does not wait for longer next time. All but one of those that start a cluster are such.
func TestWhoIsOvertakenGuessedRight(t *testing.T) {
	l, env := newTestLeader()
	before, round := l.election.timeout.now, uint64(0)
	for round < 3 {
		l.Receive(env, &messages.Tick{})
		asked := take[*messages.Canvass](env)
		if env.sent = nil; len(asked) == 0 {
			continue
		}
		from := string(AcceptorAddr("beta", 1))
		l.Receive(env, &messages.Canvassed{From: from, Ballot: ballot(round, 2), Number: asked[0].Number, Heard: round})
		round++
		l.Receive(env, &messages.Canvassed{From: from, Ballot: ballot(round, 2), Number: asked[0].Number, Heard: round})
		if l.standing != passive {
			t.Fatalf("it is %s though another one runs", l.standing)
		}
	}
	if now := l.election.timeout.now; now != before {
		t.Errorf("its time-out went from %s to %s", before, now)
	}
}

// A leader whose scout hears too late from a majority waits for longer, or it would run
// again and again on a slow network, and never be in office.
func TestALateMajorityMakesTimeOutsLonger(t *testing.T) {
	l, env := newTestLeader()
	scoutNow(t, l, env)
	before := l.election.timeout.now
	for l.standing == scouting {
		l.Receive(env, &messages.Tick{})
	}
	after := l.election.timeout.now
	if after <= before || l.why != WhyNoMajority {
		t.Errorf("its time-out went from %s to %s, by %q", before, after, l.why)
	}
	for l.standing != canvassing {
		l.Receive(env, &messages.Tick{})
	}
	from, number := string(AcceptorAddr("beta", 1)), l.election.ticks
	l.Receive(env, &messages.Canvassed{From: from, Ballot: ballot(3, 2), Number: number, Heard: 1})
	l.Receive(env, &messages.Canvassed{From: from, Ballot: l.ballot.Proto(), Number: number, Heard: 2})
	if now := l.election.timeout.now; now <= after {
		t.Errorf("its own late p1a left its time-out at %s", now)
	}
}
