package actors

import (
	"bytes"
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

func long(n int) []byte { return bytes.Repeat([]byte{'x'}, n) }

// The longest operation is proposed. A longer one, which only a peer can ask for, is not: a
// decree that no journal can hold would end every node that is asked to accept it.
func TestAnOperationHasALimit(t *testing.T) {
	r, _, env := newTestReplica(8)
	ask := func(c *messages.Command) []*messages.Propose {
		r.Receive(env, &messages.Request{From: "beta/replica", Commands: []*messages.Command{c}})
		return take[*messages.Propose](env)
	}
	longest := operation(2, 1, "")
	longest.Operation = long(MaxOperationBytes)
	if p := ask(longest); len(p) == 0 || !fits(p[0].Decree) {
		t.Errorf("the longest operation is proposed %d times, want to each leader, in a decree that fits", len(p))
	}
	longest = operation(2, 2, "")
	longest.Operation = long(MaxOperationBytes + 1)
	if p := ask(longest); len(p) != 0 {
		t.Error("an operation beyond the limit is proposed")
	}
	world := world3()
	world.Epoch = 2
	world.Members[0].Client = string(long(MaxOperationBytes))
	if p := ask(&messages.Command{Client: 2, Incarnation: 1, Sequence: 3, Configuration: world.Proto()}); len(p) != 0 {
		t.Error("a configuration beyond the limit is proposed")
	}
}

// A batch has at most BatchBytes, with all that goes around its commands, however short they
// are and however many a decree may have.
func TestABatchHasALimit(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.BatchCommands, r.BatchBytes = 1<<30, 4096
	m := &messages.Request{From: "beta/replica"}
	for i := range uint64(1000) {
		m.Commands = append(m.Commands, &messages.Command{
			Client: 1 << 31, Incarnation: 1<<64 - 1, Sequence: 1<<64 - 1 - i, Settled: 1<<64 - 1,
		})
	}
	world := world3()
	world.Epoch = 2
	m.Commands = append(m.Commands, &messages.Command{Client: 2, Configuration: world.Proto()}, &messages.Command{Client: 3, Operation: long(5000)})
	r.Receive(env, m)
	slots := make(map[uint64]int)
	for ticks := 0; len(r.requests) > 0 && ticks < 1000; ticks++ {
		for _, p := range take[*messages.Propose](env) {
			slots[p.Slot] = len(decreeOf(p.Decree).Commands)
			if len(p.Decree) > r.BatchBytes && slots[p.Slot] > 1 {
				t.Fatalf("the decree of slot %d has %d commands and %d bytes, limit %d", p.Slot, slots[p.Slot], len(p.Decree), r.BatchBytes)
			}
			r.Receive(env, decision(p.Slot, decreeOf(p.Decree).Commands...))
		}
	}
	if len(r.requests) > 0 || slots[1] < 50 {
		t.Errorf("%d commands wait still, and the first decree had %d", len(r.requests), slots[1])
	}
}

// A decree that a peer proposes or has accepted goes into this node's journal only if it fits.
func TestADecreeThatNoJournalHoldsIsDropped(t *testing.T) {
	for _, n := range []int{maxDecreeBytes, maxDecreeBytes + 1} {
		taken := n == maxDecreeBytes
		v := &messages.PValue{Ballot: ballot(1, 1), Slot: 1, Decree: long(n)}

		l, env := newTestLeader()
		l.Receive(env, &messages.Propose{From: "beta/replica", Slot: 1, Decree: v.Decree})
		if held := len(l.proposals) == 1; held != taken {
			t.Errorf("the leader takes a decree of %d bytes: %t, want %t", n, held, taken)
		}

		a, env := newTestAcceptor(), &notes{self: AcceptorAddr("alpha", 1)}
		a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: v})
		if wrote := len(env.records) == 1; wrote != taken || (len(env.sent) == 1) != taken || (len(env.passed) == 1) != taken {
			t.Errorf("the acceptor writes a decree of %d bytes: %t; sends %d messages and passes %d on, want all or nothing", n, wrote, len(env.sent), len(env.passed))
		}

		a, env = newTestAcceptor(), &notes{self: AcceptorAddr("alpha", 1)}
		a.Receive(env, &messages.Decided{From: "alpha/replica", Decided: []*messages.PValue{v}})
		if wrote := len(env.records) == 1; wrote != taken {
			t.Errorf("the acceptor writes a decided decree of %d bytes: %t, want %t", n, wrote, taken)
		}
	}
}
