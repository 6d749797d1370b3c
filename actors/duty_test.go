package actors

import (
	"testing"
	"time"

	"github.com/pmmc-go/pmmc/messages"
)

// waiting is the replica of beta, the second of three, while a configuration without alpha
// waits for a window of 8 slots to be filled. The leader in office, delta's, has a
// co-located replica or not.
func waiting(t *testing.T, beside bool) (*Replica, *notes) {
	t.Helper()
	c := Configuration{Epoch: 1, First: 1, Window: 8, LastID: 4, Members: []Member{
		{ID: 1, Name: "alpha", Replica: true, Acceptor: true},
		{ID: 2, Name: "beta", Replica: true, Acceptor: true},
		{ID: 3, Name: "gamma", Replica: true, Acceptor: true},
		{ID: 4, Name: "delta", Replica: beside, Leader: true},
	}}
	r := NewReplica(ReplicaOptions{
		ID: 2, Name: "beta", Incarnation: 1, Configuration: c, State: &list{out: 1}, Pipeline: 2, BatchCommands: 1,
		BatchBytes: 1 << 20, ChunkBytes: 4, Tick: 50 * time.Millisecond,
	})
	env := &notes{self: ReplicaAddr("beta")}
	r.Start(env)
	r.Receive(env, &messages.CaughtUp{From: string(AcceptorAddr("beta", 1)), Slot: 1, Forgotten: 1})
	r.Receive(env, &messages.Office{Ballot: ballot(1, 4), Epoch: 1})
	next := c
	next.Epoch, next.Members = 2, c.Members[1:]
	cmd := operation(2, 1, "")
	cmd.Configuration = next.Proto()
	r.Receive(env, decision(1, cmd))
	take[*messages.Propose](env)
	return r, env
}

func decision(slot uint64, commands ...*messages.Command) *messages.Decision {
	return &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 4), Slot: slot, Decree: encode(commands)}}
}

// S4, L1: who fills the window has a successor. alpha, the first replica, is down; so beta,
// the second, fills the window once nothing has moved for its patience, and goes on to the
// end although each slot that is decided is a move.
func TestL1_TheWindowIsFilledThoughTheFirstReplicaIsDown(t *testing.T) {
	for _, beside := range []bool{false, true} {
		r, env := waiting(t, beside)
		place := 1
		if beside {
			place = 2 // behind delta and alpha
		}
		for range place * fillPatience {
			if n := len(take[*messages.Propose](env)); n > 0 {
				t.Fatalf("beta proposes %d slots before it is its turn", n)
			}
			r.Receive(env, &messages.Tick{})
		}
		first := r.epochs.latest().First
		for ticks := 0; r.slotOut < first; ticks++ {
			if ticks > int(first) {
				t.Fatalf("a replica beside the leader is %t: slot_out is %d, and the configuration governs from slot %d on", beside, r.slotOut, first)
			}
			for _, p := range take[*messages.Propose](env) {
				if len(p.Decree) != 0 {
					t.Fatalf("slot %d is filled with %q, want a no-op", p.Slot, p.Decree)
				}
				r.Receive(env, decision(p.Slot))
			}
			r.Receive(env, &messages.Tick{})
		}
		if r.duty.longest != 0 {
			t.Errorf("the window is full, and beta still takes itself to be on duty: %+v", r.duty)
		}
	}
}

// As long as another replica fills the window, beta does not.
func TestOneReplicaFillsTheWindow(t *testing.T) {
	r, env := waiting(t, false)
	for slot := uint64(2); slot < r.epochs.latest().First; slot++ {
		for range fillPatience - 1 {
			r.Receive(env, &messages.Tick{})
		}
		r.Receive(env, decision(slot))
		r.Receive(env, &messages.Tick{})
		if n := len(take[*messages.Propose](env)); n > 0 {
			t.Fatalf("beta proposes %d slots beside alpha", n)
		}
	}
}

// L1: a read waits for slot 2. beta received neither its decision nor a later one.
// A no-op makes the leader tell its decision again.
func TestL1_AReadThatWaitsForALostDecisionAsksForIt(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.Receive(env, &messages.Office{Ballot: ballot(1, 1), Epoch: 1})
	r.Receive(env, &messages.Read{From: string(ClientAddr(r.Name)), Number: 1})
	asked := take[*messages.ReadRequest](env)
	if len(asked) != 1 {
		t.Fatalf("%d questions for a mark, want 1", len(asked))
	}
	r.Receive(env, &messages.ReadMark{Slot: r.slotOut, Number: asked[0].Number})
	for range stuckPatience + 2 {
		r.Receive(env, &messages.Tick{})
	}
	proposed := take[*messages.Propose](env)
	if len(proposed) == 0 || proposed[0].Slot != r.slotOut {
		t.Errorf("proposed %v, want slot %d", proposed, r.slotOut)
	}
}

// L1: the only replica that was ahead is down. Nobody answers for slot_out, so a no-op has to
// bring its decision to light; and a snapshot that was to come from the dead replica does not
// stand in the way of what comes by decisions.
func TestL1_AReplicaDoesNotWaitForADeadOne(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.Receive(env, &messages.Learned{From: "beta/replica", Executed: 3})
	for range livePatience {
		r.Receive(env, &messages.Tick{})
	}
	if n := len(take[*messages.Propose](env)); n > 0 {
		t.Errorf("%d no-ops are proposed while beta, which is ahead, lives", n)
	}
	for range snapshotPatience {
		r.Receive(env, &messages.Tick{})
	}
	if n := len(take[*messages.Propose](env)); n == 0 {
		t.Error("beta is down, and no no-op is proposed for slot_out, which it alone has executed")
	}
	if r.lag.fetch == nil {
		t.Fatal("no snapshot is fetched, want one that never comes")
	}
	for range snapshotPatience {
		r.Receive(env, &messages.Tick{})
	}
	if n := len(take[*messages.Propose](env)); n == 0 {
		t.Error("no no-op is proposed for slot_out while a snapshot of beta, which is down, is waited for")
	}
	for slot := uint64(1); slot < 3; slot++ {
		r.Receive(env, decision(slot))
	}
	r.Receive(env, &messages.Tick{})
	if r.lag.fetch != nil {
		t.Error("a snapshot of beta is waited for, which is not ahead any more")
	}
}
