package actors

import (
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// Fig. 7 l. 6: the next ballot is above the one that preempted, and above one that was
// recognised before and is thought to be gone.
func TestAPreemptedLeaderKnowsTheRound(t *testing.T) {
	l, env := newTestLeader()
	l.Receive(env, &messages.Pong{From: string(LeaderAddr("beta", 1)), Ballot: ballot(9, 2), Active: true})
	scoutNow(t, l, env) // though the acceptors that answer hold 3.2
	if l.ballot.Round != 10 {
		t.Errorf("it runs with %s, want round 10", l.ballot)
	}
	l.Receive(env, &messages.Preempted{Ballot: ballot(12, 2)})
	if l.standing != passive || l.round != 12 {
		t.Errorf("after a preemption by 12.2: %s, round %d; want passive, 12", l.standing, l.round)
	}
}

// S2: a round that an earlier life wrote is of no use to this one, which may have said it.
func TestS2_ARoundOfAnEarlierLifeIsNotSaid(t *testing.T) {
	l, env := newTestLeader()
	l.Restore(&messages.Record{Kind: &messages.Record_Round{Round: 7}})
	l.Receive(env, &messages.Recorded{Round: 7})
	scoutNow(t, l, env)
	if l.ballot.Round <= 7 {
		t.Errorf("it runs with %s, which an earlier life may have said", l.ballot)
	}
}

// A higher round that is seen while one is being written costs another write, not a time-out.
func TestARoundThatIsOutdatedOnDiskIsTakenAgain(t *testing.T) {
	l, env := newTestLeader()
	l.run(env, WhySilence)
	l.round += 5 // as an answer of before says
	recorded(l, env)
	recorded(l, env)
	if l.standing != scouting || l.ballot.Round != l.round {
		t.Errorf("the leader is %s under %s, want scouting in round %d", l.standing, l.ballot, l.round)
	}
}
