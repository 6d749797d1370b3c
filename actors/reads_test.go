package actors

import (
	"testing"

	"github.com/pmmc-go/pmmc/messages"
)

// reader is a replica that knows who is in office.
func reader(t *testing.T) (*Replica, *notes) {
	t.Helper()
	r, _, env := newTestReplica(8)
	r.Receive(env, &messages.Office{Ballot: ballot(1, 2), Epoch: 1})
	env.sent = nil
	return r, env
}

func asked(env *notes) []*messages.ReadRequest { return take[*messages.ReadRequest](env) }

// S8: the reads that come while a question is under way wait for the next one, which is
// asked once for all of them; no question serves a read that came after it.
func TestS8_AReadWaitsForAQuestionThatCameAfterIt(t *testing.T) {
	r, env := reader(t)
	r.Receive(env, &messages.Read{Number: 1})
	first := asked(env)
	for number := uint64(2); number <= 5; number++ {
		r.Receive(env, &messages.Read{Number: number})
	}
	if len(first) != 1 || len(asked(env)) != 0 {
		t.Fatalf("%d questions for the first read, and some for those that came meanwhile", len(first))
	}
	r.Receive(env, &messages.ReadMark{Slot: 0, Number: first[0].Number})
	var ready []*messages.ReadReady
	var second []*messages.ReadRequest
	for _, s := range env.sent {
		switch m := s.m.(type) {
		case *messages.ReadReady:
			ready = append(ready, m)
		case *messages.ReadRequest:
			second = append(second, m)
		}
	}
	if len(ready) != 1 || ready[0].Number != 1 {
		t.Errorf("after the mark it says %v, want that read 1 may look", ready)
	}
	if len(second) != 1 || second[0].Number == first[0].Number {
		t.Fatalf("for those that waited it asks %v, want one new question", second)
	}
	env.sent = nil
	r.Receive(env, &messages.ReadMark{Slot: 0, Number: first[0].Number})
	if again := take[*messages.ReadReady](env); len(again) != 0 {
		t.Errorf("a mark that comes twice lets %v look", again)
	}
	r.Receive(env, &messages.ReadMark{Slot: 0, Number: second[0].Number})
	if all := take[*messages.ReadReady](env); len(all) != 1 || all[0].Number != 5 {
		t.Errorf("after the second mark it says %v, want that reads up to 5 may look", all)
	}
}

// S8: a read looks once the marked slot is executed, and not before.
func TestS8_AReadWaitsForItsSlot(t *testing.T) {
	r, env := reader(t)
	r.Receive(env, &messages.Read{Number: 1})
	r.Receive(env, &messages.ReadMark{Slot: 2, Number: asked(env)[0].Number})
	r.Receive(env, decided(1, "a"))
	if ready := take[*messages.ReadReady](env); len(ready) != 0 {
		t.Errorf("a read looks at slot_out 2, and slot 2 is marked: %v", ready)
	}
	r.Receive(env, decided(2, "b"))
	if ready := take[*messages.ReadReady](env); len(ready) != 1 {
		t.Errorf("%d times ready once the marked slot is executed, want 1", len(ready))
	}
}

// S8: a mark of a leader that left office is worth nothing; the next one is asked.
func TestS8_AMarkEndsWithTheOffice(t *testing.T) {
	r, env := reader(t)
	r.Receive(env, &messages.Read{Number: 1})
	old := asked(env)[0]
	r.Receive(env, &messages.Office{Ballot: ballot(2, 3), Epoch: 1})
	next := asked(env)
	if len(next) != 1 {
		t.Fatalf("the new leader is asked %d times, want once", len(next))
	}
	r.Receive(env, &messages.ReadMark{Slot: 0, Number: old.Number})
	if ready := take[*messages.ReadReady](env); len(ready) != 0 {
		t.Errorf("the old leader's mark lets %v look", ready)
	}
}

// S8, S3: when all of an epoch is executed, a write that was answered may stand in the
// next one: its leader is asked.
func TestS8_AMarkEndsWithItsEpoch(t *testing.T) {
	r, env := reader(t)
	r.Receive(env, &messages.Read{Number: 1})
	first := asked(env)[0]
	next := world3()
	next.Epoch = 2
	c := operation(2, 1, "")
	c.Configuration = next.Proto()
	r.Receive(env, &messages.Decision{Pvalue: &messages.PValue{Ballot: ballot(1, 2), Slot: 1, Decree: encode([]*messages.Command{c})}})
	r.Receive(env, &messages.Office{Ballot: ballot(1, 3), Epoch: 2})
	for slot := uint64(2); slot <= 8; slot++ { // epoch 2 begins at 1 + 8
		r.Receive(env, decided(slot, ""))
	}
	env.sent = nil
	r.reads.asked = []question{{number: first.Number, read: 1, epoch: 1}}
	r.Receive(env, &messages.ReadMark{Slot: 8, Number: first.Number})
	var to []Addr
	for _, s := range env.sent {
		switch s.m.(type) {
		case *messages.ReadReady:
			t.Error("the mark of an epoch that is over lets the read look")
		case *messages.ReadRequest:
			to = append(to, s.to)
		}
	}
	expect(t, "asked", to, "[gamma/epoch-2/leader]")
}

// S8, S13: the answer to a question that an earlier life of the replica asked lets no read of
// this life look, whatever numbers the lives drew: the leader that was asked may be in office
// no more. A restart by the supervisor is another life, one of the process another incarnation.
func TestS8_AMarkOfAnEarlierLifeIsWorthNothing(t *testing.T) {
	for name, change := range map[string]func(r *Replica, env *notes){
		"the supervisor":    func(_ *Replica, env *notes) { env.life++ },
		"the process":       func(r *Replica, _ *notes) { r.Incarnation++ },
		"both, and back in": func(r *Replica, env *notes) { r.Incarnation, env.life = r.Incarnation+1, 0 },
	} {
		r, env := reader(t)
		env.life = 1
		r.Receive(env, &messages.Read{Number: 1})
		first := asked(env)[0]
		again, env2 := reader(t) // it draws the same numbers
		env2.life = 1
		change(again, env2)
		again.Receive(env2, &messages.Read{Number: 2})
		second := asked(env2)[0]
		if first.Number != second.Number {
			t.Fatalf("questions %d and %d: the test shows nothing", first.Number, second.Number)
		}
		mark := func(q *messages.ReadRequest) int {
			again.Receive(env2, &messages.ReadMark{Number: q.Number, Incarnation: q.Incarnation, Life: q.Life})
			return len(take[*messages.ReadReady](env2))
		}
		if mark(first) != 0 {
			t.Errorf("restarted by %s, it lets a read look on a mark of its earlier life", name)
		}
		if mark(second) != 1 {
			t.Errorf("restarted by %s, its own mark lets no read look", name)
		}
	}
}

// A leader answers with all that tells the question apart.
func TestAMarkNamesItsQuestion(t *testing.T) {
	l, env := leased(t)
	l.Receive(env, &messages.ReadRequest{From: "beta/replica", Number: 5, Incarnation: 6, Life: 7})
	marks := take[*messages.ReadMark](env)
	if len(marks) != 1 || marks[0].Number != 5 || marks[0].Incarnation != 6 || marks[0].Life != 7 {
		t.Errorf("it answers %v, want 5, 6, 7", marks)
	}
}
