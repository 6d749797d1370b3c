package actors

import (
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// S8: a read is answered by a round of confirmation that began after it came, with
// distinct acceptors, and with the highest slot proposed or adopted.
func TestS8_AReadWaitsForItsOwnRound(t *testing.T) {
	l, env := inOfficeWith(t, 1, pvalue(1, 2, 4, "late"))
	first := take[*messages.Confirm](env)[0].Number // began before the read
	l.Receive(env, &messages.ReadRequest{From: "beta/replica", Number: 77})
	confirm := func(number uint64, from string) {
		l.Receive(env, &messages.Confirmed{From: string(AcceptorAddr(from, 1)), Ballot: l.ballot.Proto(), Number: number})
	}
	confirm(first, "alpha")
	confirm(first, "beta")
	for _, s := range env.sent {
		if _, ok := s.m.(*messages.ReadMark); ok {
			t.Fatal("the read is answered by a round that began before it")
		}
	}
	second := take[*messages.Confirm](env)[0].Number
	confirm(second, "alpha")
	confirm(second, "alpha")
	confirm(second, "stranger")
	if marks := take[*messages.ReadMark](env); len(marks) != 0 {
		t.Fatalf("one acceptor is no majority: %v", marks)
	}
	confirm(second, "gamma")
	if marks := take[*messages.ReadMark](env); len(marks) != 1 || marks[0].Slot != 4 || marks[0].Number != 77 {
		t.Errorf("marks %v, want slot 4 for 77", marks)
	}
}

// S8: an acceptor that is asked by an earlier life of the leader, late, answers with the
// ballot that it holds, which may be the present one's. That is no answer to a round of the
// present life, which began later: the acceptor may hold a higher ballot by now.
func TestS8_AnAnswerToAnEarlierLifeConfirmsNothing(t *testing.T) {
	before, env := inOfficeWith(t, 1)
	late := take[*messages.Confirm](env)[0]
	l, env := newTestLeader()
	l.Restore(&messages.Record{Kind: &messages.Record_Round{Round: before.round}})
	scoutNow(t, l, env)
	l.Receive(env, &messages.Adopted{Ballot: l.ballot.Proto(), Forgotten: 1})

	a, at := NewAcceptor(AcceptorOptions{Configuration: world3()}), &notes{self: AcceptorAddr("gamma", 1)}
	a.Receive(at, &messages.P1A{From: "scout", Ballot: l.ballot.Proto(), Slot: 1})
	a.Receive(at, late)
	answer := take[*messages.Confirmed](at)[0]
	if BallotOf(answer.Ballot) != l.ballot {
		t.Fatalf("the acceptor answers with %v, want the ballot that it holds", answer.Ballot)
	}
	round := take[*messages.Confirm](env)[0]
	l.Receive(env, answer)
	l.Receive(env, &messages.Confirmed{From: string(AcceptorAddr("alpha", 1)), Ballot: l.ballot.Proto(), Number: round.Number})
	if l.office.unheard.majorityAnswered() {
		t.Errorf("round %d is taken for confirmed with an answer to round %d of an earlier life", round.Number, late.Number)
	}
}
