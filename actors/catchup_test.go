package actors

import (
	"hash/crc32"
	"slices"
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

// Where no acceptor is beside the replica that is ahead, that replica says under which
// ballots slots were decided, and the acceptors, told so, have the decrees: such a cluster
// need not send its state each time that somebody is late.
func TestReplicaCatchesUpThoughNoAcceptorKnowsWhatIsDecided(t *testing.T) {
	c := world3()
	c.Members[1].Acceptor = false // beta's
	ahead := NewReplica(ReplicaOptions{ID: 2, Name: "beta", Incarnation: 1, Configuration: c, State: &list{out: 1}})
	atBeta := &notes{self: ReplicaAddr("beta")}
	acceptor, atGamma := NewAcceptor(AcceptorOptions{Configuration: c, ChunkBytes: 1 << 20}), &notes{self: AcceptorAddr("gamma", 1)}
	for slot, op := range []string{1: "a", 2: "b", 3: "c"} {
		if m := decided(uint64(slot), op); slot > 0 {
			ahead.Receive(atBeta, m)
			acceptor.Receive(atGamma, &messages.P2A{From: string(m.From), Pvalue: m.Pvalue})
		}
	}
	r, state, env := behind(4)
	r.epochs = epochs{c}
	for range 2 * stuckPatience {
		r.Receive(env, &messages.Tick{})
	}
	to := destinations[*messages.CatchUp](env)
	if asked := take[*messages.CatchUp](env); len(asked) == 0 || slices.ContainsFunc(to, func(a Addr) bool { return a != "beta/replica" }) {
		t.Fatalf("asked %v, want the replica that is ahead", to)
	}
	asked := &messages.CatchUp{From: "alpha/replica", Slot: 1}

	atGamma.sent, atBeta.sent, env.sent = nil, nil, nil
	acceptor.Receive(atGamma, asked)
	expect(t, "told by an acceptor that knows of no decision", len(take[*messages.CaughtUp](atGamma)[0].Decided), 0)
	ahead.Receive(atBeta, asked)
	r.Receive(env, take[*messages.CaughtUp](atBeta)[0])
	to = destinations[*messages.CatchUp](env)
	with := take[*messages.CatchUp](env)
	if len(with) != 1 || to[0] == AcceptorAddr("beta", 1) || to[0] != AcceptorAddr(to[0].Member(), 1) {
		t.Fatalf("told what is decided, it asks %v, want one acceptor", to)
	}
	atGamma.sent = nil
	acceptor.Receive(atGamma, with[0])
	r.Receive(env, take[*messages.CaughtUp](atGamma)[0])
	expect(t, "executed", state.log, "[a b c]")

	for _, from := range []string{"delta/replica", "gamma/replica"} {
		atBeta.sent = nil
		ahead.Receive(atBeta, &messages.CatchUp{From: from, Slot: 4})
		expect(t, "said to "+from+", of a slot that is not executed", len(atBeta.sent), 0)
		ahead.Receive(atBeta, &messages.CatchUp{From: from, Slot: 3})
		expect(t, "said to a member, not to a stranger, of one that is", len(atBeta.sent) > 0, from == "gamma/replica")
	}
}

// What one who lags was told is of no use to others, and may have gaps: an acceptor keeps
// to what the replica beside it tells.
func TestAcceptorDoesNotKeepWhatOthersWereTold(t *testing.T) {
	a, env := NewAcceptor(AcceptorOptions{Configuration: world3(), ChunkBytes: 1 << 20}), &notes{self: AcceptorAddr("gamma", 1)}
	for slot := range uint64(6) {
		if slot > 0 {
			a.Receive(env, &messages.P2A{From: "commander", Pvalue: &messages.PValue{Ballot: ballot(1, 2), Slot: slot}})
		}
	}
	env.sent = nil
	a.Receive(env, &messages.CatchUp{From: "alpha/replica", Slot: 4, Runs: []*messages.DecidedRun{{Ballot: ballot(1, 2), First: 4, Below: 1 << 63}}})
	expect(t, "told with the runs", len(take[*messages.CaughtUp](env)[0].Decided), 2)
	a.Receive(env, &messages.CatchUp{From: "alpha/replica", Slot: 4})
	expect(t, "told without them", len(take[*messages.CaughtUp](env)[0].Decided), 0)
	a.Receive(env, &messages.Decided{Decided: []*messages.PValue{{Ballot: ballot(1, 2), Slot: 1}, {Ballot: ballot(1, 2), Slot: 2}}})
	a.Receive(env, &messages.CatchUp{From: "alpha/replica", Slot: 1})
	expect(t, "told of what the replica beside it executed", len(take[*messages.CaughtUp](env)[0].Decided), 2)
}

// Told of more than an acceptor says at once, a replica goes on asking there; when all is
// said and others went on, it asks once what there is now, and asks nobody for nothing.
func TestReplicaAsksOnWithWhatItWasTold(t *testing.T) {
	r, state, env := behind(9)
	for i := range r.epochs {
		r.epochs[i].Members[1].Acceptor = false // beta's
	}
	run := func(first, below uint64) *messages.CaughtUp {
		return &messages.CaughtUp{From: "beta/replica", Slot: first, Runs: []*messages.DecidedRun{{Ballot: ballot(1, 2), First: first, Below: below}}}
	}
	r.Receive(env, run(1, 4))
	asked := destinations[*messages.CatchUp](env)
	if len(asked) != 1 || asked[0].Member() == "beta" {
		t.Fatalf("told what is decided, it asks %v, want one acceptor", asked)
	}
	from := string(asked[0])
	env.sent = nil
	r.Receive(env, &messages.CaughtUp{From: from, Slot: 1, Decided: []*messages.PValue{decided(1, "a").Pvalue, decided(2, "b").Pvalue}})
	if on := take[*messages.CatchUp](env); len(on) != 1 || on[0].Slot != 3 || len(on[0].Runs) != 1 || on[0].Runs[0].First != 3 {
		t.Errorf("after a first part it asks %v, want slot 3 with the rest of the run", on)
	}
	r.Receive(env, &messages.CaughtUp{From: from, Slot: 3, Decided: []*messages.PValue{decided(3, "c").Pvalue}})
	env.sent = nil
	r.Receive(env, &messages.CaughtUp{From: from, Slot: 4})
	expect(t, "asked when all is said", destinations[*messages.CatchUp](env), "[beta/replica]")
	env.sent = nil
	r.Receive(env, &messages.CaughtUp{From: from, Slot: 4})
	r.Receive(env, run(1, 4))
	expect(t, "asked for nothing new", destinations[*messages.CatchUp](env), "[]")
	expect(t, "executed", state.log, "[a b c]")
	turns := make(map[Addr]bool)
	for range 4 {
		r.Receive(env, run(4, 9))
		turns[destinations[*messages.CatchUp](env)[0]] = true
		env.sent = nil
	}
	expect(t, "acceptors asked in turn", len(turns), 2)
	r.Receive(env, &messages.CaughtUp{From: from, Slot: 4})
	expect(t, "asked when what it was told brought nothing", destinations[*messages.CatchUp](env), "[]")
}

// destinations are to whom messages of a kind were sent.
func destinations[M any](env *notes) (to []Addr) {
	for _, s := range env.sent {
		if _, ok := s.m.(M); ok {
			to = append(to, s.to)
		}
	}
	return to
}

// What a replica says of slots is of those that the acceptor holds under that ballot or a
// higher one only: it may have accepted another decree, and missed the one that is decided.
func TestAcceptorServesNoOtherDecree(t *testing.T) {
	a, env := NewAcceptor(AcceptorOptions{Configuration: world3(), ChunkBytes: 1 << 20}), &notes{self: AcceptorAddr("gamma", 1)}
	for _, v := range []*messages.PValue{{Ballot: ballot(3, 2), Slot: 2}, {Ballot: ballot(5, 2), Slot: 1}} {
		a.Receive(env, &messages.P2A{From: "beta/epoch-1/leader/commander", Pvalue: v})
	}
	env.sent = nil
	a.Receive(env, &messages.CatchUp{From: "alpha/replica", Slot: 1, Runs: []*messages.DecidedRun{{Ballot: ballot(4, 1), First: 1, Below: 3}}})
	told := take[*messages.CaughtUp](env)[0].Decided
	if len(told) != 1 || told[0].Slot != 1 {
		t.Errorf("told %v, want slot 1 only", told)
	}
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
