package actors

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// L2: a time-out grows when the leader's own run was disturbed by another candidate, and by
// nothing that is no guess of this leader.
func TestL2_OnlyDuelsMakeTimeOutsLonger(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grows bool
		do    func(t *testing.T, l *Leader, env *notes)
	}{
		{"it runs, and another candidate preempts it", true, func(t *testing.T, l *Leader, env *notes) {
			scoutNow(t, l, env)
			l.Receive(env, &messages.Preempted{Ballot: ballot(9, 2)})
		}},
		{"it is in office, and its successor preempts it", false, func(t *testing.T, l *Leader, env *notes) {
			takeOfficeNow(t, l, env)
			l.Receive(env, &messages.Succeed{Ballot: l.ballot.Proto(), Heir: 2})
			l.Receive(env, &messages.Preempted{Ballot: ballot(9, 2)})
		}},
		{"it is in office and stood still, and the others elected", false, func(t *testing.T, l *Leader, env *notes) {
			takeOfficeNow(t, l, env)
			l.Receive(env, &messages.Confirmed{From: string(AcceptorAddr("beta", 1)), Ballot: ballot(9, 2)})
		}},
		{"it is in office and reaches no majority", false, func(t *testing.T, l *Leader, env *notes) {
			takeOfficeNow(t, l, env)
			for n := 0; n < 100 && l.standing == inOffice; n++ {
				l.Receive(env, &messages.Tick{})
			}
		}},
		{"it is asked to succeed, and another candidate preempts it", false, func(_ *testing.T, l *Leader, env *notes) {
			l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(3, 2), Active: true})
			l.Receive(env, &messages.Succeed{Ballot: ballot(3, 2), Heir: 1})
			recorded(l, env)
			l.Receive(env, &messages.Preempted{Ballot: ballot(9, 3)})
		}},
		{"it canvasses, and acceptors hear the one in office", false, func(_ *testing.T, l *Leader, env *notes) {
			from := string(AcceptorAddr("beta", 1))
			for n := 0; n < 100 && l.standing != canvassing; n++ {
				l.Receive(env, &messages.Tick{})
			}
			l.Receive(env, &messages.Canvassed{From: from, Ballot: ballot(3, 2), Number: l.election.ticks, Heard: 1})
			l.Receive(env, &messages.Canvassed{From: from, Ballot: ballot(3, 2), Number: l.election.ticks, Heard: 2})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, env := newTestLeader()
			before := l.election.timeout.now
			tt.do(t, l, env)
			if l.standing != passive {
				t.Fatalf("it is %s: the test shows nothing", l.standing)
			}
			if now := l.election.timeout.now; now > before != tt.grows || now < before {
				t.Errorf("its time-out went from %s to %s", before, now)
			}
		})
	}
}

// L2: each slot that is executed makes the time-out shorter, however many of them one message
// tells; and so does time, down to where it began.
func TestL2_TimeOutsRecover(t *testing.T) {
	l, env := newTestLeader()
	l.election.timeout.now = l.Timeout.Max
	l.Receive(env, &messages.Tick{})
	l.Receive(env, &messages.Learned{From: "alpha/replica", Executed: 101})
	l.Receive(env, &messages.Tick{})
	if got, want := l.election.timeout.now, l.Timeout.Max-100*l.Timeout.Step; got != want {
		t.Errorf("100 slots were executed, and the time-out is %s, want %s", got, want)
	}
	for name, quiet := range map[string]func(*Leader, *notes){
		"a follower": func(l *Leader, env *notes) {
			l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(9, 2), Active: true})
		},
		"the one in office": func(l *Leader, env *notes) {
			for _, m := range take[*messages.Confirm](env) {
				for _, from := range []string{"alpha", "beta"} {
					l.Receive(env, &messages.Confirmed{From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: m.Number})
				}
			}
		},
	} {
		l, env := newTestLeader()
		if name != "a follower" {
			takeOfficeNow(t, l, env)
		}
		l.election.timeout.now = l.Timeout.Max
		ticks := 0
		for ; ticks < 2000 && l.election.timeout.now > l.Timeout.Initial; ticks++ {
			quiet(l, env)
			l.Receive(env, &messages.Tick{})
		}
		if l.election.timeout.now != l.Timeout.Initial {
			t.Errorf("%s: after %d quiet ticks the time-out is %s, want %s", name, ticks, l.election.timeout.now, l.Timeout.Initial)
		}
	}
	l, env = newTestLeader()
	l.election.timeout.now = l.Timeout.Max
	for range 20 {
		l.Receive(env, &messages.Tick{})
	}
	if l.election.timeout.now < l.Timeout.Max {
		t.Errorf("while nobody is in office the time-out shrinks to %s: a duel would never end", l.election.timeout.now)
	}
}

// The time-out stays within its bounds, whatever happens.
func TestTimeOutsHaveBounds(t *testing.T) {
	o := TimeoutOptions{Initial: 400 * time.Millisecond, Min: 300 * time.Millisecond, Max: time.Second, Factor: 2, Step: time.Millisecond}
	to := newTimeout(o)
	for range 10 {
		to.disturbed()
	}
	if to.now != o.Max {
		t.Errorf("after 10 duels it is %s, want %s", to.now, o.Max)
	}
	if to.decided(^uint64(0)); to.now != o.Min {
		t.Errorf("after all decisions that there can be it is %s, want %s", to.now, o.Min)
	}
	if to.rest(); to.now != o.Min {
		t.Errorf("in quiet times it goes from its minimum to %s", to.now)
	}
}

// takeOfficeNow takes a leader into office.
func takeOfficeNow(t *testing.T, l *Leader, env *notes) {
	t.Helper()
	scoutNow(t, l, env)
	l.Receive(env, &messages.Adopted{Ballot: l.ballot.Proto(), Forgotten: 1})
	if l.standing != inOffice {
		t.Fatalf("the leader is %s, want in office", l.standing)
	}
}

// Fig. 7 l. 4: a leader takes office with the ballot that it runs with, and no other. The word
// of a scout of an earlier run may come while it runs again.
func TestAdoptedOfAnotherBallotIsAStray(t *testing.T) {
	l, env := newTestLeader()
	scoutNow(t, l, env)
	first := l.ballot
	for n := 0; n < 100 && l.standing == scouting; n++ {
		l.Receive(env, &messages.Tick{}) // nobody answers in time
	}
	scoutNow(t, l, env)
	if l.ballot == first {
		t.Fatalf("it runs with %v again", first)
	}
	late := pvalue(first.Round, first.Leader, 1, "late")
	l.Receive(env, &messages.Adopted{Ballot: first.Proto(), Accepted: []*messages.PValue{late}, Forgotten: 1})
	if l.standing != scouting || len(l.proposals) != 0 {
		t.Errorf("it is %s with %d proposals after a stray adopted, want scouting, 0", l.standing, len(l.proposals))
	}
	l.Receive(env, &messages.Adopted{Ballot: l.ballot.Proto(), Forgotten: 1})
	if l.standing != inOffice {
		t.Errorf("it is %s after its own adopted, want in office", l.standing)
	}
}

// S10: the scout of a leader whose disk took long for its round does not speak before the
// acceptors were asked again: somebody else may be in office by now. The round is not lost.
func TestS10_ARoundThatIsLateOnDiskWaits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ticks int // that the disk takes
		runs  bool
	}{
		{"another leader is in office", 2 * minSpacing, false},
		{"nobody is", 2 * minSpacing, true},
		{"another leader is, after so long that it gave the run up", 60, false},
		{"nobody is, after so long that it gave the run up", 60, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, env := newTestLeader()
			var late *messages.Recorded
			heard := uint64(9)
			tick := func() {
				l.Receive(env, &messages.Tick{})
				asked := env.sent
				env.sent = nil
				for _, s := range asked {
					switch m := s.m.(type) {
					case *messages.Canvass:
						if late == nil {
							l.Receive(env, &messages.Probed{From: string(AcceptorAddr("alpha", 1))})
						}
						for _, from := range []string{"beta", "gamma"} {
							l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr(from, 1)), Ballot: ballot(3, 2), Number: m.Number, Heard: heard})
						}
					}
				}
				for _, s := range env.sent {
					if m, ok := s.m.(*messages.Recorded); ok {
						late = m
					}
				}
			}
			for n := 0; n < 40 && late == nil; n++ {
				tick()
			}
			if late == nil {
				t.Fatalf("it is %s, and writes no round", l.standing)
			}
			round := late.Round
			for range tt.ticks {
				tick()
			}
			l.Receive(env, late)
			if len(env.spawned) != 0 {
				t.Fatalf("its round is on disk after %d ticks, and it runs without asking again", tt.ticks)
			}
			late = nil // the disk writes again
			for n := 0; n < 40 && l.standing != scouting; n++ {
				if !tt.runs {
					heard++ // the one in office shows itself to the acceptors
				}
				tick()
			}
			if l.standing != scouting && tt.runs || l.standing == scouting && !tt.runs {
				t.Errorf("it is %s", l.standing)
			}
			if tt.runs && (l.ballot.Round != round || len(env.records) != 1) {
				t.Errorf("it runs with round %d and wrote %v, want the round %d that it had", l.ballot.Round, env.records, round)
			}
		})
	}
}

// S10: a leader whose round is not on disk yet does not run when somebody shows itself.
func TestS10_ASignOfLifeStopsARunThatIsNotOnDisk(t *testing.T) {
	l, env := newTestLeader()
	l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(9, 2), Active: true})
	l.run(env, WhySilence)
	l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(9, 2), Active: true})
	recorded(l, env)
	if l.standing != passive || len(env.spawned) != 0 {
		t.Errorf("it is %s and spawned %v, want passive and nothing", l.standing, env.spawned)
	}
}

// S13: what acceptors answered to an earlier life of the leader is no word on the canvass of
// this one: it is of a time before.
func TestS13_ACanvassHearsNoAnswerToAnEarlierLife(t *testing.T) {
	for name, number := range map[string]func(*Leader) uint64{
		"a lower number":  func(l *Leader) uint64 { return l.election.first - 1 },
		"a higher number": func(l *Leader) uint64 { return l.election.ticks + 100 },
	} {
		l, env := newTestLeader()
		l.election.first, l.election.ticks = 1000, 1000
		for n := 0; n < 100 && l.standing != canvassing; n++ {
			l.Receive(env, &messages.Tick{})
		}
		l.Receive(env, &messages.Canvassed{From: string(AcceptorAddr("beta", 1)), Ballot: ballot(3, 2), Number: number(l), Heard: 7})
		if l.standing != canvassing || len(l.election.before) != 0 {
			t.Errorf("%s: it is %s and took note of %v", name, l.standing, l.election.before)
		}
	}
}

// S13: the canvasses of a life begin at a number of their own.
func TestS13_EachLifeCanvassesWithOtherNumbers(t *testing.T) {
	l, env := NewLeader(LeaderOptions{Configuration: world3(), Tick: time.Second}), &drawn{n: 1 << 40}
	l.Start(env)
	if l.election.first != 1<<39 || l.election.ticks != 1<<39 {
		t.Errorf("its canvasses begin at %d, want what it drew", l.election.first)
	}
	a := NewAcceptor(AcceptorOptions{Configuration: world3()})
	if a.Start(env); a.heard != 1<<39 {
		t.Errorf("an acceptor counts signs of life from %d on, want what it drew", a.heard)
	}
}

// drawn draws one number.
type drawn struct {
	notes
	n uint64
}

func (d *drawn) Rand() uint64 { return d.n }
