package actors

import (
	"fmt"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// change is the decision of a configuration for a slot, asked for by alpha's client.
func change(slot, sequence, epoch uint64, edit func(*Configuration)) *messages.Decision {
	next := world3()
	next.Epoch = epoch
	edit(&next)
	c := operation(1, sequence, "")
	c.Configuration = next.Proto()
	return &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 2), Slot: slot, Decree: encode([]*messages.Command{c})}}
}

func withoutGamma(c *Configuration) { c.Members = c.Members[:2] }

// outcome of the last reconfiguration: "" when it was accepted.
func outcomeOf(t *testing.T, env *notes) string {
	t.Helper()
	answers := take[*messages.Response](env)
	if len(answers) != 1 {
		t.Fatalf("%d answers, want 1", len(answers))
	}
	return string(answers[0].Answers[0].Result)
}

// S3: a configuration governs from WINDOW slots after the one that decided it, and
// proposals go to the leaders of their slot's configuration. S4: no-ops fill the window.
func TestS3_AConfigurationGovernsAWindowLater(t *testing.T) {
	r, state, env := newTestReplica(3)
	r.Receive(env, &messages.Office{Ballot: ballot(1, 1), Epoch: 1}) // this replica is beside it
	env.sent = nil
	r.Receive(env, change(1, 1, 2, withoutGamma))
	type to struct {
		leader Addr
		slot   uint64
		noop   bool
	}
	var said []to
	for _, s := range env.sent {
		if p, ok := s.m.(*messages.Propose); ok {
			said = append(said, to{s.to, p.Slot, len(p.Decree) == 0})
		}
	}
	expect(t, "no-ops for the rest of the window", said, []to{{"alpha/epoch-1/leader", 2, true}, {"alpha/epoch-1/leader", 3, true}})
	if got := outcomeOf(t, env); got != "" {
		t.Errorf("refused: %s", got)
	}
	r.Receive(env, decided(2, ""))
	r.Receive(env, request("b", "c"))
	said = nil
	for _, s := range env.sent {
		if p, ok := s.m.(*messages.Propose); ok {
			said = append(said, to{s.to, p.Slot, len(p.Decree) == 0})
		}
	}
	expect(t, "proposed at slots 4 and 5, of epoch 2", said, []to{
		{"alpha/epoch-2/leader", 4, false}, {"beta/epoch-2/leader", 4, false},
		{"alpha/epoch-2/leader", 5, false}, {"beta/epoch-2/leader", 5, false},
	})
	if n := len(state.epochs); n != 2 || state.epochs[1].First != 4 {
		t.Errorf("the state has %d configurations: %v", n, state.epochs)
	}
}

// What a member that leaves had asked for may be decided in a slot of which it does not
// hear: those who stay answer its client, and say to which process.
func TestClientsOfWhoLeavesAreAnswered(t *testing.T) {
	r, _, env := newTestReplica(2)
	answered := func() (all []string) {
		for _, s := range env.sent {
			if m, ok := s.m.(*messages.Response); ok && s.to != ClientAddr("alpha") {
				all = append(all, fmt.Sprintf("%s of process %d: command %d", s.to, m.Incarnation, m.Answers[0].Sequence))
			}
		}
		env.sent = nil
		return all
	}
	of := func(slot uint64, client uint32) *messages.Decision {
		c := operation(client, 7, "x")
		c.Incarnation = 5
		return &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 2), Slot: slot, Decree: encode([]*messages.Command{c})}}
	}
	r.Receive(env, of(1, 3))
	if got := answered(); got != nil {
		t.Errorf("answered while it stays: %v", got)
	}
	r.Receive(env, change(2, 1, 2, withoutGamma))
	r.Receive(env, of(3, 2)) // beta stays
	r.Receive(env, of(4, 3)) // decided once more, and told once more what came of it
	expect(t, "answered while it leaves", answered(), []string{"gamma/client of process 5: command 7"})
}

// One configuration waits at a time, made from the last; a bad one changes nothing.
func TestAReconfigurationIsRefused(t *testing.T) {
	r, _, env := newTestReplica(2)
	for name, bad := range map[string]*messages.Decision{
		"an epoch too far": change(1, 1, 3, withoutGamma),
		"an epoch of old":  change(1, 1, 1, withoutGamma),
		"nobody accepts": change(1, 1, 2, func(c *Configuration) {
			for i := range c.Members {
				c.Members[i].Acceptor = false
			}
		}),
		"a number with another's name": change(1, 1, 2, func(c *Configuration) { c.Members[2].Name = "delta" }),
	} {
		fresh, _, env := newTestReplica(2)
		if fresh.Receive(env, bad); outcomeOf(t, env) == "" || len(fresh.epochs) != 1 {
			t.Errorf("%s: accepted", name)
		}
	}
	r.Receive(env, change(1, 1, 2, withoutGamma))
	take[*messages.Response](env)
	r.Receive(env, change(2, 2, 3, func(*Configuration) {}))
	if outcomeOf(t, env) == "" {
		t.Error("a second configuration is accepted while the first one waits")
	}
	r.Receive(env, change(3, 3, 3, withoutGamma))
	if got := outcomeOf(t, env); got != "" {
		t.Errorf("refused once the first one governs: %s", got)
	}
}

// An epoch is needed until enough replicas of the next one have all of its slots on disk.
// Those that leave do not count: if gamma, which is removed, is down, its epoch ends.
func TestAnEpochEndsWhenItIsOnDisk(t *testing.T) {
	r, _, env := newTestReplica(2)
	r.Receive(env, change(1, 1, 2, withoutGamma)) // epoch 2 begins at slot 3
	r.Receive(env, decided(2, ""))
	told := func() (epochs int) {
		env.sent = nil
		for range quietTicks {
			r.Receive(env, &messages.Tick{})
		}
		all := take[*messages.Configured](env)
		return len(all[len(all)-1].Configurations)
	}
	expect(t, "epochs needed at first", told(), 2)
	r.Receive(env, &messages.Learned{From: "gamma/replica", Executed: 3, Durable: 3})
	expect(t, "epochs needed when the one that leaves has them on disk", told(), 2)
	r.Receive(env, &messages.Learned{From: "beta/replica", Executed: 3, Durable: 2})
	expect(t, "epochs needed when one that stays has all but the last", told(), 2)
	r.Receive(env, &messages.Learned{From: "beta/replica", Executed: 3, Durable: 3})
	expect(t, "epochs needed when one that stays has all", told(), 1)
}

// A new member's replica neither proposes nor executes before it has a snapshot: what is
// decided means nothing without the state before it.
func TestANewMemberFetchesASnapshotFirst(t *testing.T) {
	c := world3()
	c.Epoch, c.First, c.Window = 5, 100, 4
	state := &list{out: 1}
	r := NewReplica(ReplicaOptions{ID: 1, Name: "alpha", Incarnation: 1, Configuration: c, State: state, Pipeline: 4, BatchCommands: 1, BatchBytes: 99, ChunkBytes: 99, Tick: 1})
	env := &notes{self: ReplicaAddr("alpha")}
	r.Start(env)
	r.Receive(env, request("a"))
	r.Receive(env, decided(1, "x"))
	r.Receive(env, &messages.Learned{From: "beta/replica", Executed: 120, Durable: 120})
	for range 3 * quietTicks {
		r.Receive(env, &messages.Tick{})
	}
	for _, s := range env.sent {
		switch s.m.(type) {
		case *messages.Propose, *messages.Configured, *messages.CatchUp, *messages.Learned:
			t.Errorf("it says %T to %s", s.m, s.to)
		}
	}
	expect(t, "executed", state.log, "[]")
	if len(take[*messages.SnapshotRequest](env)) == 0 {
		t.Error("it does not ask for a snapshot")
	}
}
