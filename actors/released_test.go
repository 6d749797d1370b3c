package actors

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

const testLease = 100 * time.Millisecond

// leased is a leader in office that has a lease.
func leased(t *testing.T) (*Leader, *notes) {
	t.Helper()
	l, env := newTestLeader()
	l.Lease = testLease
	takeOfficeNow(t, l, env)
	grant(l, l.office.number)
	if env.now >= l.office.leased {
		t.Fatal("it has no lease: the test shows nothing")
	}
	return l, env
}

// grant has two of three acceptors confirm a round, with a lease.
func grant(l *Leader, number uint64) {
	env := &notes{}
	for _, from := range []string{"alpha", "beta"} {
		l.Receive(env, &messages.Confirmed{
			From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: number, Lease: uint64(testLease),
		})
	}
}

// S8, lease: a lease lasts from the question on, not from the answer: the acceptor may have
// granted it at any time in between.
func TestS8_ALeaseCountsFromItsQuestion(t *testing.T) {
	l, env := newTestLeader()
	l.Lease = testLease
	takeOfficeNow(t, l, env)
	asked := env.now
	env.now += testLease / 2
	for _, from := range []string{"alpha", "beta"} {
		l.Receive(env, &messages.Confirmed{
			From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: l.office.number, Lease: uint64(testLease),
		})
	}
	if want := asked + testLease; l.office.leased != want {
		t.Errorf("asked at %s and answered at %s, its lease of %s lasts until %s, want %s", asked, env.now, testLease, l.office.leased, want)
	}
}

// S8, lease: a leader that asks for a successor has stopped to use its lease before it does,
// and gets no other one under its ballot, not even from a round that was under way.
func TestS8_ALeaderReleasesItsLeaseBeforeItsSuccessorRuns(t *testing.T) {
	l, env := leased(t)
	l.Receive(env, &messages.Tick{}) // another round is under way
	under := l.office.number
	env.sent = nil
	l.Receive(env, &messages.Succeed{Ballot: l.ballot.Proto(), Heir: 2})
	asked := take[*messages.Succeed](env)
	if len(asked) != 1 || !asked[0].Released || BallotOf(asked[0].Ballot) != l.ballot || asked[0].Heir != 2 {
		t.Fatalf("it asks %v, want member 2 to succeed %v, released", asked, l.ballot)
	}
	grant(l, under)
	for range 3 {
		l.Receive(env, &messages.Tick{})
		for _, m := range take[*messages.Confirm](env) {
			if m.Lease != 0 {
				t.Errorf("it asks for a lease of %d ns again", m.Lease)
			}
		}
		grant(l, l.office.number)
		l.Receive(env, &messages.ReadRequest{From: "beta/replica", Number: 1})
		if marks := take[*messages.ReadMark](env); len(marks) != 0 {
			t.Fatalf("a read is answered without a round: %v", marks)
		}
	}
	if l.standing != inOffice {
		t.Errorf("it is %s: nobody else is in office yet", l.standing)
	}
}

// A leader hands over its own office only, and to another leader only.
func TestALeaderHandsOverItsOwnOfficeOnly(t *testing.T) {
	for name, m := range map[string]*messages.Succeed{
		"another ballot":    {Ballot: ballot(9, 2), Heir: 2},
		"itself":            {Heir: 1},
		"nobody":            {Heir: 7},
		"of a build before": {},
	} {
		l, env := leased(t)
		if m.Ballot == nil {
			m.Ballot = l.ballot.Proto()
		}
		env.sent = nil
		l.Receive(env, m)
		if len(env.sent) != 0 || env.now >= l.office.leased || l.standing != inOffice {
			t.Errorf("%s: it sent %v and is %s with a lease until %s", name, env.sent, l.standing, l.office.leased)
		}
	}
}

// S8, lease: within a lease an acceptor promises another leader's ballot only if that one
// knows, from the leader that holds it, that this ballot's lease is used no more.
func TestS8_OnlyItsHolderEndsALease(t *testing.T) {
	for _, tt := range []struct {
		name     string
		released *messages.Ballot
		promises bool
	}{
		{"no word", nil, false},
		{"its holder's word", ballot(3, 2), true},
		{"a word of a lower ballot", ballot(2, 2), false},
		{"a word of a higher ballot", ballot(4, 2), false},
		{"a word of nobody", ballot(0, 0), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, env := newTestAcceptor(), &notes{now: time.Second}
			a.Lease = testLease
			a.Receive(env, &messages.Confirm{From: "x", Ballot: ballot(3, 2), Lease: uint64(testLease)})
			env.sent = nil
			for range 2 { // it may come twice
				a.Receive(env, &messages.P1A{From: "s", Ballot: ballot(5, 1), Slot: 1, Released: tt.released})
			}
			for _, m := range take[*messages.P1B](env) {
				if promised := BallotOf(m.Ballot) == (Ballot{5, 1}); promised != tt.promises {
					t.Errorf("it answers %v", m.Ballot)
				}
			}
			env.now += testLease
			a.Receive(env, &messages.P1A{From: "s", Ballot: ballot(5, 1), Slot: 1})
			if a.ballot != (Ballot{5, 1}) {
				t.Errorf("after the lease it holds %v", a.ballot)
			}
		})
	}
	a, env := newTestAcceptor(), &notes{}
	a.Lease = testLease
	a.Start(env) // it may have granted one before, to a ballot that it comes back with
	a.Receive(env, &messages.P1A{From: "s", Ballot: ballot(5, 1), Slot: 1, Released: ballot(0, 0)})
	if a.ballot != (Ballot{}) {
		t.Errorf("at a start, nobody's word has it promise %v", a.ballot)
	}
}

// The heir's scout tells the acceptors what the leader in office said.
func TestAnHeirPassesOnThatTheLeaseIsReleased(t *testing.T) {
	for _, released := range []bool{false, true} {
		l, env := newTestLeader()
		l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(3, 2), Active: true})
		l.Receive(env, &messages.Succeed{Ballot: ballot(3, 2), Heir: 1, Released: released})
		recorded(l, env)
		s, ok := env.spawned["scout-4"].(*Scout)
		if !ok {
			t.Fatalf("it spawned %v, want scout-4", env.spawned)
		}
		out := &notes{}
		s.Start(out)
		want := Ballot{}
		if released {
			want = Ballot{3, 2}
		}
		for _, m := range take[*messages.P1A](out) {
			if BallotOf(m.Released) != want {
				t.Errorf("its scout says that %v is released, want %v", BallotOf(m.Released), want)
			}
		}
	}
}

// L1: only messages of a leader in office, or of one that runs, count as signs of life at an
// acceptor. Repeated p2a of commanders that outlive the office do not.
func TestL1_SignsOfLife(t *testing.T) {
	a, env := newTestAcceptor(), &notes{}
	b := ballot(3, 2)
	for _, step := range []struct {
		what string
		m    any
		sign bool
	}{
		{"its scout asks", &messages.P1A{Ballot: b, Slot: 1}, true},
		{"its leader confirms", &messages.Confirm{Ballot: b, Number: 1}, true},
		{"a first vote is asked for", &messages.P2A{Pvalue: pvalue(3, 2, 1, "a")}, true},
		{"the vote is asked for again", &messages.P2A{Pvalue: pvalue(3, 2, 1, "a")}, false},
		{"another vote is asked for", &messages.P2A{Pvalue: pvalue(3, 2, 2, "b")}, true},
		{"votes are asked for again", &messages.P2A{Pvalue: pvalue(3, 2, 2, "b")}, false},
		{"a lower ballot confirms", &messages.Confirm{Ballot: ballot(2, 1), Number: 1}, false},
		{"a lower ballot asks for a vote", &messages.P2A{Pvalue: pvalue(2, 1, 3, "c")}, false},
		{"a higher ballot asks for a vote", &messages.P2A{Pvalue: pvalue(4, 1, 1, "a")}, true},
		{"a leader asks what it heard", &messages.Canvass{}, false},
	} {
		before := a.heard
		switch m := step.m.(type) {
		case *messages.P1A:
			a.Receive(env, m)
		case *messages.P2A:
			a.Receive(env, m)
		case *messages.Confirm:
			a.Receive(env, m)
		case *messages.Canvass:
			a.Receive(env, m)
		}
		if sign := a.heard != before; sign != step.sign {
			t.Errorf("when %s, a sign of life is heard: %t, want %t", step.what, sign, step.sign)
		}
	}
	a.forgetBelow(3)
	before := a.heard
	a.Receive(env, &messages.P2A{Pvalue: pvalue(4, 1, 1, "a")})
	if a.heard != before {
		t.Error("a commander of a slot that is forgotten counts as a sign of life")
	}
}
