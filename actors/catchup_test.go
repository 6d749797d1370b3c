package actors

import (
	"hash/crc32"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// behind is a replica that hears of others that are ahead.
func behind(executed uint64) (*Replica, *list, *notes) {
	r, state, env := newTestReplica(8)
	r.ChunkBytes = 4
	r.Receive(env, &messages.Learned{From: "beta/replica", Executed: executed, Durable: executed})
	env.sent = nil
	return r, state, env
}

// fetching is a replica that has begun to fetch a snapshot, and from whom.
func fetching(t *testing.T) (*Replica, *list, *notes, Addr) {
	t.Helper()
	r, state, env := behind(9)
	r.Receive(env, &messages.CaughtUp{From: "beta/epoch-1/acceptor", Slot: 1, Forgotten: 5})
	asked := env.sent
	if len(asked) != 1 || asked[0].m.(*messages.SnapshotRequest).Slot != 0 {
		t.Fatalf("a replica whose decrees are forgotten says %v, want a request for a new snapshot", asked)
	}
	env.sent = nil
	return r, state, env, asked[0].to
}

func chunk(from Addr, slot, offset uint64, data string, last bool) *messages.SnapshotChunk {
	return &messages.SnapshotChunk{
		From: string(from), Slot: slot, Offset: offset, Data: []byte(data), Last: last,
		Checksum: crc32.Checksum([]byte(data), castagnoli),
	}
}

// A gap that stays is looked into: the decrees are asked for, and executed as they come,
// but not from a slot that does not fit.
func TestReplicaCatchesUp(t *testing.T) {
	r, state, env := behind(4)
	var asked []Addr
	for range 2 * stuckPatience {
		r.Receive(env, &messages.Tick{})
		for _, s := range env.sent {
			if m, ok := s.m.(*messages.CatchUp); ok && m.Slot == 1 {
				asked = append(asked, s.to)
			}
		}
		env.sent = nil
	}
	if len(asked) == 0 || asked[0] != "beta/epoch-1/acceptor" {
		t.Fatalf("asked %v, want the acceptor beside the replica that is ahead", asked)
	}
	r.Receive(env, &messages.CaughtUp{From: string(asked[0]), Slot: 1, Decided: []*messages.PValue{
		decided(2, "b").Pvalue, decided(1, "a").Pvalue, decided(1, "A").Pvalue,
	}})
	expect(t, "executed of an answer out of order", state.log, "[a]")
	r.Receive(env, &messages.CaughtUp{From: string(asked[0]), Slot: 2, Decided: []*messages.PValue{
		decided(2, "b").Pvalue, decided(3, "c").Pvalue,
	}})
	expect(t, "executed", state.log, "[a b c]")
}

// What nobody executed, and a later slot is decided: a no-op is proposed, which brings to
// light what was proposed there, or fills the hole (S9).
func TestReplicaFillsAHoleThatNobodyExecuted(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.Receive(env, decided(2, "b"))
	env.sent = nil
	for range 2 * stuckPatience {
		r.Receive(env, &messages.Tick{})
	}
	p := take[*messages.Propose](env)
	if len(p) == 0 || p[0].Slot != 1 || len(p[0].Decree) != 0 {
		t.Errorf("proposed %v, want a no-op for slot 1", p)
	}
}

// A snapshot that is no newer than the state is not installed.
func TestReplicaDoesNotFallBack(t *testing.T) {
	r, state, env, from := fetching(t)
	for slot := uint64(1); slot <= 8; slot++ {
		r.Receive(env, decided(slot, string(rune('a'+slot-1))))
	}
	r.Receive(env, chunk(from, 3, 0, "4 a b c", true))
	if state.installs != 0 || r.slotOut != 9 {
		t.Errorf("%d snapshots installed, slot_out %d; want none, and 9", state.installs, r.slotOut)
	}
}

// What a replica had proposed for slots that a snapshot skips is proposed again.
func TestReplicaProposesAgainWhatASnapshotSkips(t *testing.T) {
	r, _, env, from := fetching(t)
	r.Receive(env, request("a"))
	expect(t, "proposed", proposed(env), "[1:a]")
	env.sent = nil
	r.Receive(env, chunk(from, 6, 0, "7 x", true))
	expect(t, "proposed after the snapshot", proposed(env), "[7:a]")
}

// S5: a replica says of itself only what it executed and was told to be on disk, and the
// largest of it.
func TestS5_AReplicaSaysWhatIsOnDisk(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.Receive(env, decided(1, "a"))
	r.Receive(env, decided(2, "b"))
	r.Receive(env, &messages.Flushed{Below: 2})
	r.Receive(env, &messages.Flushed{Below: 1})
	env.sent = nil
	r.Receive(env, &messages.Tick{})
	told := take[*messages.Learned](env)
	if len(told) == 0 {
		t.Fatal("nobody was told")
	}
	for _, m := range told {
		if m.Executed != 3 || m.Durable != 2 {
			t.Errorf("said that it executed below %d and has below %d on disk, want 3 and 2", m.Executed, m.Durable)
		}
	}
}
