package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/messages"
)

// list is a State that lists the operations that it executed.
type list struct {
	out      uint64
	log      []string
	records  []*messages.SessionRecord
	epochs   []*messages.Configuration
	installs int
	chain    uint64
}

func (s *list) SlotOut() uint64                           { return s.out }
func (s *list) Sessions() []*messages.SessionRecord       { return s.records }
func (s *list) Configurations() []*messages.Configuration { return s.epochs }
func (s *list) Chain() uint64                             { return s.chain }
func (s *list) Execute(_ uint64, operations [][]byte) (results [][]byte) {
	for _, op := range operations {
		s.log = append(s.log, string(op))
		results = append(results, fmt.Appendf(nil, "%s at place %d", op, len(s.log)))
	}
	return results
}

func (s *list) Commit(slot uint64, c Changes) {
	s.records = slices.DeleteFunc(s.records, func(r *messages.SessionRecord) bool { return slices.Contains(c.Drop, r) })
	s.records = append(s.records, c.Put...)
	if c.Configurations != nil {
		s.epochs = c.Configurations
	}
	s.chain = c.Chain
	s.out = slot + 1
}

// A snapshot of a list is "SLOT_OUT OP OP …", a few bytes at a time.
func (s *list) Snapshot() SnapshotReader {
	return &text{rest: fmt.Sprintf("%d %s", s.out, strings.Join(s.log, " "))}
}
func (s *list) Restore() SnapshotWriter { return &text{of: s} }

type text struct {
	of   *list
	rest string
}

func (x *text) Next(n int) ([]byte, bool, error) {
	n = min(n, len(x.rest))
	part := x.rest[:n]
	x.rest = x.rest[n:]
	return []byte(part), x.rest == "", nil
}
func (x *text) Write(data []byte) error { x.rest += string(data); return nil }
func (x *text) Close()                  {}
func (x *text) Finish() error {
	words := strings.Fields(x.rest)
	if _, err := fmt.Sscan(words[0], &x.of.out); err != nil {
		return err
	}
	x.of.log = words[1:]
	x.of.installs++
	return nil
}

// newTestReplica is alpha's, with a window and nobody in office.
func newTestReplica(window uint64) (*Replica, *list, *notes) {
	c := world3()
	c.Window = window
	state := &list{out: 1}
	r := NewReplica(ReplicaOptions{
		ID: 1, Name: "alpha", Incarnation: 1, Configuration: c, State: state, Pipeline: 100, BatchCommands: 1,
		BatchBytes: 1 << 20, ChunkBytes: 4, Tick: 50 * time.Millisecond,
	})
	env := &notes{self: ReplicaAddr("alpha")}
	r.Start(env)
	r.Receive(env, &messages.CaughtUp{From: string(AcceptorAddr("alpha", 1)), Slot: 1, Forgotten: 1})
	env.sent, env.log = nil, nil
	return r, state, env
}

func operation(client uint32, sequence uint64, op string) *messages.Command {
	return &messages.Command{Client: client, Incarnation: 1, Sequence: sequence, Settled: 1, Operation: []byte(op)}
}

func request(ops ...string) *messages.Request {
	m := &messages.Request{From: string(ClientAddr("alpha"))}
	for _, op := range ops {
		m.Commands = append(m.Commands, operation(1, uint64(op[0]-'a')+1, op))
	}
	return m
}

// decided is what a commander says: one operation of beta's client, or a no-op.
func decided(slot uint64, op string) *messages.Decision {
	v := &messages.PValue{Ballot: ballot(1, 2), Slot: slot}
	if op != "" {
		v.Decree = encode([]*messages.Command{operation(2, slot, op)})
	}
	return &messages.Decision{From: "beta/epoch-1/leader/commander", Pvalue: v}
}

// echo is the decision for what this replica proposed.
func echo(p *messages.Propose) *messages.Decision {
	return &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 2), Slot: p.Slot, Decree: p.Decree}}
}

// proposed lists the slots and operations of what was proposed to beta's leader.
func proposed(env *notes) (all []string) {
	for _, s := range env.sent {
		if p, ok := s.m.(*messages.Propose); ok && s.to.Member() == "beta" {
			all = append(all, fmt.Sprintf("%d:%s", p.Slot, decreeOf(p.Decree).Commands[0].Operation))
		}
	}
	return all
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Fig. 1 l. 3, R5: slots below slot_out + WINDOW are proposed for, and no other.
func TestReplicaProposesWithinItsWindow(t *testing.T) {
	for _, window := range []uint64{1, 2, 3} {
		r, _, env := newTestReplica(window)
		r.Receive(env, request("a", "b", "c", "d", "e"))
		var want []string
		for slot := range window {
			want = append(want, fmt.Sprintf("%d:%c", slot+1, 'a'+rune(slot)))
		}
		expect(t, fmt.Sprintf("with WINDOW %d", window), proposed(env), want)
		first := env.sent[0].m.(*messages.Propose)
		env.sent = nil
		r.Receive(env, echo(first)) // slot_out is 2
		expect(t, fmt.Sprintf("with WINDOW %d and slot_out 2", window), proposed(env), []string{fmt.Sprintf("%d:%c", window+1, 'a'+rune(window))})
	}
}

// Fig. 1 l. 5: a slot that is decided already is left out.
func TestReplicaLeavesOutDecidedSlots(t *testing.T) {
	r, _, env := newTestReplica(4)
	r.Receive(env, decided(1, "x"))
	r.Receive(env, decided(3, "z"))
	env.sent = nil
	r.Receive(env, request("a", "b"))
	expect(t, "proposed", proposed(env), "[2:a 4:b]")
}

// Fig. 1 l. 14–16: decisions are executed in the order of slots, each once.
func TestReplicaExecutesInTheOrderOfSlots(t *testing.T) {
	r, state, env := newTestReplica(8)
	for _, m := range []*messages.Decision{decided(2, "b"), decided(4, "d"), decided(1, "a"), decided(1, "A"), decided(2, "B")} {
		r.Receive(env, m)
	}
	expect(t, "executed", state.log, "[a b]")
	r.Receive(env, decided(3, ""))
	expect(t, "executed after the hole was filled", state.log, "[a b d]")
	expect(t, "slot_out", state.out, 5)
	r.Receive(env, decided(4, "again"))
	r.Receive(env, decided(100, "far ahead"))
	expect(t, "executed after a stale decision", state.log, "[a b d]")
	expect(t, "decisions kept", len(r.decisions), 0)
}

// Fig. 1 l. 15: what lost its slot is proposed again, once, for another.
func TestReplicaProposesAgainWhatLostItsSlot(t *testing.T) {
	r, state, env := newTestReplica(2)
	r.Receive(env, request("a"))
	expect(t, "proposed", proposed(env), "[1:a]")
	env.sent = nil
	r.Receive(env, decided(1, "x"))
	expect(t, "proposed after the slot was lost", proposed(env), "[2:a]")
	won := take[*messages.Propose](env)[0]
	r.Receive(env, echo(won))
	r.Receive(env, decided(3, "y"))
	expect(t, "proposed after it was decided", proposed(env), "[]")
	expect(t, "executed", state.log, "[x a y]")
}

// Fig. 1 l. 10, S6: a command that is decided twice is executed in the first slot, and
// each time that its client asks it is told what came of that.
func TestS6_ACommandIsExecutedOnce(t *testing.T) {
	r, state, env := newTestReplica(8)
	r.Receive(env, request("a"))
	p := env.sent[0].m.(*messages.Propose)
	r.Receive(env, echo(p))
	again := echo(p)
	again.Pvalue.Slot = 2
	r.Receive(env, again)
	expect(t, "executed", state.log, "[a]")
	for _, answer := range take[*messages.Response](env) {
		expect(t, "answer", string(answer.Answers[0].Result), "a at place 1")
	}
	r.Receive(env, request("a"))
	answers := take[*messages.Response](env)
	if len(answers) != 1 || string(answers[0].Answers[0].Result) != "a at place 1" {
		t.Errorf("a client that asks again is told %v", answers)
	}

	reborn, env := NewReplica(r.ReplicaOptions), &notes{self: ReplicaAddr("alpha")}
	reborn.Receive(env, echo(p))
	again.Pvalue.Slot = 3
	reborn.Receive(env, again)
	expect(t, "executed after a restart with the sessions of the state", state.log, "[a]")
}

// S6: a session ends when a later incarnation of its client is executed, by decree: what
// the earlier one asked for is refused from then on.
func TestS6_ALaterIncarnationEndsTheSession(t *testing.T) {
	r, state, env := newTestReplica(8)
	old, next := operation(2, 7, "old"), operation(2, 1, "next")
	next.Incarnation = 2
	for slot, c := range []*messages.Command{next, old} {
		r.Receive(env, &messages.Decision{Pvalue: &messages.PValue{
			Ballot: ballot(1, 2), Slot: uint64(slot + 1), Decree: encode([]*messages.Command{c}),
		}})
	}
	expect(t, "executed", state.log, "[next]")
}

// D9: a client's command goes to the replica beside the leader in office; one that comes
// again is proposed here, and one that was handed over goes to the next in office.
func TestReplicaHandsOver(t *testing.T) {
	r, _, env := newTestReplica(8)
	office := func(leader uint32) {
		r.Receive(env, &messages.Office{Ballot: ballot(uint64(leader), leader), Epoch: 1})
	}
	handed := func() (to []string) {
		for _, s := range env.sent {
			if _, ok := s.m.(*messages.Request); ok {
				to = append(to, string(s.to))
			}
		}
		return to
	}
	office(2)
	env.sent = nil
	r.Receive(env, request("a"))
	expect(t, "handed to", handed(), "[beta/replica]")
	expect(t, "proposed", proposed(env), "[]")
	env.sent = nil
	office(3)
	expect(t, "handed, when the office changes, to", handed(), "[gamma/replica]")
	env.sent = nil
	again := request("a")
	again.Again = true
	r.Receive(env, again)
	expect(t, "handed, when it comes again, to", handed(), "[]")
	if p := take[*messages.Propose](env); len(p) != 1 {
		t.Errorf("%d proposals when a command comes again, want 1", len(p))
	}
	r.Receive(env, again)
	if p := take[*messages.Propose](env); len(p) != 0 {
		t.Errorf("%d proposals when it comes a third time, want none: it is proposed", len(p))
	}
}

// D9: what loses its slot to the replica beside the leader in office goes there, with all
// that waits behind it: here it would lose the next slots, too, for as long as the other
// has work. Another member's command goes on, but is that member's to ask for again.
func TestReplicaHandsOverWhatLostItsSlot(t *testing.T) {
	r, _, env := newTestReplica(1)
	again := request("a", "b")
	again.Again = true
	r.Receive(env, again)
	r.Receive(env, &messages.Request{From: string(ReplicaAddr("gamma")), Commands: []*messages.Command{operation(3, 1, "c")}})
	expect(t, "proposed while nobody is known to be in office", proposed(env), "[1:a]")
	r.Receive(env, &messages.Office{Ballot: ballot(2, 2), Epoch: 1})
	env.sent = nil

	r.Receive(env, decided(1, "x"))
	expect(t, "proposed after the slot was lost", proposed(env), "[]")
	handed := func() (all []string) {
		for _, s := range env.sent {
			if m, ok := s.m.(*messages.Request); ok {
				for _, c := range m.Commands {
					all = append(all, fmt.Sprintf("%s:%s", s.to, c.Operation))
				}
			}
		}
		return all
	}
	expect(t, "handed over", handed(), "[beta/replica:a beta/replica:b beta/replica:c]")
	env.sent = nil
	r.Receive(env, &messages.Office{Ballot: ballot(3, 3), Epoch: 1})
	expect(t, "handed to the next in office", handed(), "[gamma/replica:a gamma/replica:b]")

	env.sent = nil
	r.Receive(env, again)
	expect(t, "proposed when they come again", proposed(env), "[]") // to gamma's leader
	if p := take[*messages.Propose](env); len(p) != 1 || p[0].Slot != 2 {
		t.Errorf("commands that come again are proposed as %v, want one proposal for slot 2", p)
	}
}

// D7: a proposal that comes to nothing is sent again, to all leaders, less and less often.
func TestReplicaProposesAgainToAllLeaders(t *testing.T) {
	r, _, env := newTestReplica(8)
	r.Receive(env, &messages.Office{Ballot: ballot(1, 1), Epoch: 1})
	r.Receive(env, request("a"))
	env.sent = nil
	var at []int
	for tick := 1; tick <= 20; tick++ {
		r.Receive(env, &messages.Tick{})
		if n := len(take[*messages.Propose](env)); n == 3 {
			at = append(at, tick)
		} else if n != 0 {
			t.Errorf("%d leaders were asked again, want 3", n)
		}
	}
	expect(t, "asked again at ticks", at, "[2 4 8 16]")
}

// The number of slots in flight follows the load: what waits gets a slot when none is in
// flight, or when it is as much as the largest decree that is.
func TestBatchesGrowWithTheLoad(t *testing.T) {
	r, _, env := newTestReplica(100)
	r.BatchCommands = 4
	sizes := func() (all []int) {
		for _, p := range take[*messages.Propose](env) {
			all = append(all, len(decreeOf(p.Decree).Commands))
		}
		env.sent = nil
		return all
	}
	r.Receive(env, &messages.Office{Ballot: ballot(1, 1), Epoch: 1})
	env.sent = nil
	step := func(what string, m proto.Message, want ...int) {
		t.Helper()
		if r.Receive(env, m); !slices.Equal(sizes(), want) {
			t.Errorf("%s: want decrees of %d commands", what, want)
		}
	}
	own := func(slot uint64) *messages.Decision {
		return &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 1), Slot: slot, Decree: r.proposals[slot].decree}}
	}
	step("none in flight", request("a"), 1)
	step("two wait, one is in flight", request("b", "c"), 2)
	step("fewer than the two in flight", request("d"))
	step("the one is done", own(1))
	step("none is in flight any more", own(2), 1)
	step("a full decree never waits", request("e", "f", "g", "h", "i"), 4)
}
