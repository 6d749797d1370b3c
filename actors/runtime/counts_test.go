package runtime

import (
	"slices"
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
)

// A mailbox knows how many wait in it, and for how long one of them did.
func TestMailboxesAreMeasured(t *testing.T) {
	held, goOn := make(chan bool), make(chan bool)
	s := newStage(t, func(env actors.Env, slot uint64) {
		if slot == 1 {
			held <- true
			<-goOn
		}
		say(env, slot)
	})
	s.tell(1)
	<-held
	before := s.node.Stats().Kinds["leader"]
	s.tell(2)
	s.tell(3)
	if got := s.node.Stats().Kinds["leader"]; got.Waiting != 2 || got.Handled != before.Handled || got.Alive != 1 || got.Started != 1 {
		t.Errorf("with two in the mailbox: %+v", got)
	}
	began := time.Now()
	for time.Since(began) < time.Millisecond { // the clock is seen to go on
	}
	close(goOn)
	s.hears(1, 2, 3)
	after := s.node.Stats().Kinds["leader"]
	if after.Waiting != 0 || after.Handled != before.Handled+2 {
		t.Errorf("with none in the mailbox: %+v", after)
	}
	if waits := after.Waits.Since(before.Waits); waits.Count() == 0 || waits.Sum < 0.001 {
		t.Errorf("%d waits of %g s in all, want one of a millisecond or more", waits.Count(), waits.Sum)
	}
}

// What comes to a role that has no use for it is counted by both.
func TestRefusalsAreCounted(t *testing.T) {
	s := newStage(t, func(env actors.Env, slot uint64) {
		env.Refuse(&messages.P2B{})
		say(env, slot)
	})
	s.tell(1)
	s.tell(2)
	s.hears(1, 2)
	if got := s.node.Stats().Refused[Refusal{"leader", "P2b"}]; got != 2 {
		t.Errorf("%d are counted, want 2: %v", got, s.node.Stats().Refused)
	}
}

// Scouts and commanders are counted by how they end, and what they ask again.
func TestLivesAreCounted(t *testing.T) {
	acceptors := []actors.Addr{listenerAddr}
	ballot := actors.Ballot{Round: 1, Leader: 1}
	commander := func(slot uint64, resend time.Duration) func() actors.Role {
		return func() actors.Role {
			return actors.NewCommander(actors.CommanderOptions{
				Leader: puppetAddr, Acceptors: acceptors, Resend: resend, PValue: &messages.PValue{Ballot: ballot.Proto(), Slot: slot},
			})
		}
	}
	s := newStage(t, func(env actors.Env, slot uint64) {
		env.Spawn("commander-1-1", commander(1, time.Hour))
		env.Spawn("commander-1-2", commander(2, time.Hour))
		env.Spawn("commander-1-3", commander(3, time.Millisecond))
		env.Spawn("scout-1", func() actors.Role {
			return actors.NewScout(actors.ScoutOptions{Leader: puppetAddr, Acceptors: acceptors, Ballot: ballot, Resend: time.Millisecond, Tries: 2})
		})
	})
	s.tell(1)
	eventually(t, "all have begun", func() bool { return s.node.Stats().Kinds["commander"].Started == 3 })
	s.node.Send(puppetAddr+"/commander-1-1", &messages.P2B{From: string(listenerAddr), Ballot: ballot.Proto()})
	s.node.Send(puppetAddr+"/commander-1-2", &messages.P2B{From: string(listenerAddr), Ballot: actors.Ballot{Round: 2}.Proto()})
	eventually(t, "two and the scout have ended", func() bool {
		all := s.node.Stats().Kinds
		return all["commander"].Alive == 1 && all["scout"].Started == 1 && all["scout"].Alive == 0
	})
	eventually(t, "one asks again", func() bool { return s.node.Stats().P2AsAgain > 0 })
	if err := s.node.Stop(puppetAddr); err != nil {
		t.Fatal(err)
	}
	all := s.node.Stats()
	for outcome, d := range map[Outcome]measure.Distribution{
		Succeeded: all.Kinds["commander"].Lives[Succeeded], Preempted: all.Kinds["commander"].Lives[Preempted],
		Interrupted: all.Kinds["commander"].Lives[Interrupted], GaveUp: all.Kinds["scout"].Lives[GaveUp],
	} {
		if d.Count() != 1 || d.Sum == 0 {
			t.Errorf("%s: %d lives of %g s in all, want one", outcome, d.Count(), d.Sum)
		}
	}
	if all.P1AsAgain != 1 || all.Noops != 3 {
		t.Errorf("the scout asked %d times again, want 1; %d no-ops, want 3", all.P1AsAgain, all.Noops)
	}
}

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// What a node remembers of offices is bounded, and what a leader found out again after a
// crash is not news.
func TestOfficesAreRemembered(t *testing.T) {
	c := newCounts(time.Now())
	elected := actors.Stand{Standing: "passive", InOffice: actors.Ballot{Round: 1, Leader: 2}, Why: actors.WhyElected}
	now := time.Now()
	c.changed(Change{At: now, Epoch: 1, Stand: elected})
	c.changed(Change{At: now.Add(1), Epoch: 1, Stand: elected})
	if o := c.office; o.Elected != 1 || len(o.Changes) != 1 || o.Since != now {
		t.Errorf("one in office, who is found again: %+v", o)
	}
	c.changed(Change{At: now.Add(2), Epoch: 1, Stand: actors.Stand{Standing: "scouting", InOffice: elected.InOffice, Why: actors.WhySilence}})
	if o := c.office; o.Since != now {
		t.Errorf("a run for office changes since when another one has it: %+v", o)
	}
	c.changed(Change{At: now.Add(3), Epoch: 2, Stand: actors.Stand{Standing: "scouting", Why: actors.WhyEpoch}})
	c.changed(Change{At: now.Add(3), Epoch: 2, Stand: actors.Stand{Standing: "active", InOffice: actors.Ballot{Round: 2, Leader: 2}, Why: actors.WhyEpoch}})
	if o := c.office; o.Elected != 1 || o.Since != now || o.Reasons[actors.WhyEpoch] != 2 {
		t.Errorf("the same one in the next epoch: %+v", o)
	}
	for round := range uint64(2 * ChangesKept) {
		c.changed(Change{Epoch: 1, Stand: actors.Stand{InOffice: actors.Ballot{Round: round + 2, Leader: 1}, Why: actors.WhyPreempted}})
	}
	o := c.office
	if len(o.Changes) != ChangesKept || o.Changes[ChangesKept-1].InOffice.Round != 2*ChangesKept+1 {
		t.Errorf("%d changes, the last %+v", len(o.Changes), o.Changes[len(o.Changes)-1])
	}
	if o.Elected != 1+2*ChangesKept || o.Reasons[actors.WhyPreempted] != 2*ChangesKept {
		t.Errorf("%d elected, for %v", o.Elected, o.Reasons)
	}
}

// Each actor of the supervision tree is of a kind that is counted.
func TestAllOfTheTreeAreCounted(t *testing.T) {
	for _, rule := range Tree {
		if kind := kindName(rule.Name); !slices.Contains(Kinds, kind) {
			t.Errorf("%s is counted as no kind: %q is not in Kinds", rule.Name, kind)
		}
	}
}
