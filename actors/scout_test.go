package actors

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// A scout that is being answered goes on, and says so to its leader, however many chunks there
// are; one that hears nothing more ends.
func TestAScoutCountsSilenceOnly(t *testing.T) {
	const tries, chunks = 3, 10
	s := NewScout(ScoutOptions{
		Leader: LeaderAddr("alpha", 1), Acceptors: world3().Acceptors(), Ballot: Ballot{1, 1}, Slot: 1, Tries: tries,
	})
	env := &notes{self: "alpha/epoch-1/leader/scout-1"}
	from := AcceptorAddr("beta", 1)
	asks := func() (slots []uint64) {
		for _, e := range env.sent {
			if m, ok := e.m.(*messages.P1A); ok && e.to == from {
				slots = append(slots, m.Slot)
			}
		}
		env.sent = nil
		return slots
	}
	s.Start(env)
	asks()
	for slot := uint64(1); slot <= chunks; slot++ {
		s.Receive(env, &messages.P1B{From: string(from), Ballot: ballot(1, 1), Slot: slot, Accepted: []*messages.PValue{pvalue(1, 1, slot, "x")}, Next: slot + 1})
		told := 0
		for _, e := range env.sent {
			if m, ok := e.m.(*messages.Promising); ok && e.to == s.Leader && BallotOf(m.Ballot) == s.Ballot {
				told++
			}
		}
		if got := asks(); len(got) != 1 || got[0] != slot+1 || told != 1 {
			t.Fatalf("after a chunk it asks from slots %v and tells its leader %d times, want slot %d, once", got, told, slot+1)
		}
		s.Receive(env, &messages.Tick{})
		if got := asks(); len(got) != 0 {
			t.Fatalf("it asks again, from %v, an acceptor that answers", got)
		}
		s.Receive(env, &messages.P1B{From: string(from), Ballot: ballot(1, 1), Slot: slot, Next: slot + 1}) // said again
		if len(env.sent) != 0 {
			t.Fatalf("a chunk that comes twice has it send %v", env.sent)
		}
		s.Receive(env, &messages.Tick{})
		if got := asks(); len(got) != 1 || got[0] != slot+1 {
			t.Fatalf("it asks from %v an acceptor that went silent, want slot %d", got, slot+1)
		}
		if env.exited {
			t.Fatalf("it ended after %d of %d chunks", slot, chunks)
		}
	}
	for range tries {
		s.Receive(env, &messages.Tick{})
	}
	if !env.exited {
		t.Error("it goes on though nobody answers any more")
	}
}

// A chunk that is lost on the way is asked for again after the shortest pause, however many
// were lost before: otherwise the scout pauses for longer than its leader waits.
func TestAScoutThatIsAnsweredPausesBriefly(t *testing.T) {
	const resend = time.Second
	s := NewScout(ScoutOptions{
		Leader: LeaderAddr("alpha", 1), Acceptors: world3().Acceptors(), Ballot: Ballot{1, 1}, Slot: 1, Resend: resend, Tries: scoutTries,
	})
	env := &pauses{notes: &notes{self: "alpha/epoch-1/leader/scout-1"}}
	s.Start(env)
	s.Receive(env, &messages.Tick{})
	if env.last != 2*resend {
		t.Fatalf("while nobody answers it pauses for %v, want %v", env.last, 2*resend)
	}
	s.Receive(env, &messages.P1B{
		From: string(AcceptorAddr("beta", 1)), Ballot: ballot(1, 1), Slot: 1, Accepted: []*messages.PValue{pvalue(1, 1, 1, "x")}, Next: 2,
	})
	s.Receive(env, &messages.Tick{})
	if env.last != resend {
		t.Errorf("after a chunk it pauses for %v, want %v", env.last, resend)
	}
}

// pauses keeps how long a role wants to wait.
type pauses struct {
	*notes
	last time.Duration
}

func (p *pauses) After(d time.Duration, _ proto.Message) { p.last = d }

// A leader waits on while its scout is being answered, and no longer.
func TestALeaderWaitsForAScoutThatIsAnswered(t *testing.T) {
	l, env := newTestLeader()
	scoutNow(t, l, env)
	for range 100 {
		l.Receive(env, &messages.Tick{})
		l.Receive(env, &messages.Promising{Ballot: l.ballot.Proto()})
	}
	if l.standing != scouting {
		t.Fatalf("it is %s though acceptors go on answering its scout", l.standing)
	}
	for range 100 {
		l.Receive(env, &messages.Tick{})
		l.Receive(env, &messages.Promising{Ballot: ballot(1, 1)}) // of an earlier run
		if l.standing != scouting {
			return
		}
	}
	t.Error("it waits for ever for a scout that nobody answers")
}
