package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pmmc-go/pmmc/messages"
)

// newShelving is an acceptor with ten slots of four bytes each, of which eight are executed
// and six do not stay in memory.
func newShelving(t *testing.T) (*Acceptor, *notes) {
	a, env := newTestAcceptor(), &notes{self: "alpha/epoch-1/acceptor"}
	a.MemoryBytes, a.ChunkBytes = 16, 1<<13
	a.RetainSlots = 100
	for slot := uint64(1); slot <= 10; slot++ {
		a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(1, 1, slot, fmt.Sprintf("%4d", slot))})
	}
	learned(a, env, 9, 1)
	if len(a.shelf.sizes) != 6 || a.shelf.bytes != 24 || a.View().Bytes != 40 {
		t.Fatalf("%d of 10 decrees are on the shelf, with %d of %d bytes; want 6, 24, 40", len(a.shelf.sizes), a.shelf.bytes, a.View().Bytes)
	}
	take[*messages.P2B](env)
	return a, env
}

func learned(a *Acceptor, env Env, executed, durable uint64) {
	for _, from := range []string{"alpha/replica", "beta/replica"} {
		a.Receive(env, &messages.Learned{From: from, Executed: executed, Durable: durable})
	}
}

// accepted is what a p1b says that is accepted from a slot on.
func accepted(t *testing.T, a *Acceptor, env *notes, first uint64) (decrees []string) {
	t.Helper()
	a.Receive(env, &messages.P1A{From: "gamma/s", Ballot: ballot(9, 3), Slot: first})
	answers := take[*messages.P1B](env)
	if len(answers) != 1 {
		t.Fatalf("%d answers to a p1a", len(answers))
	}
	for _, v := range answers[0].Accepted {
		decrees = append(decrees, fmt.Sprintf("%d %s", BallotOf(v.Ballot).Round, v.Decree))
	}
	return decrees
}

// A3: what an acceptor left to its journal it still tells, and the slots in between too.
func TestWhatIsOnTheShelfIsTold(t *testing.T) {
	a, env := newShelving(t)
	if got, want := fmt.Sprint(accepted(t, a, env, 2)), "[1    2 1    3 1    4 1    5 1    6 1    7 1    8 1    9 1   10]"; got != want {
		t.Errorf("p1b says %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(accepted(t, a, env, 9)), "[1    9 1   10]"; got != want {
		t.Errorf("p1b says %s, want %s", got, want)
	}
	a.Receive(env, &messages.CatchUp{From: "beta/replica", Slot: 3, Runs: []*messages.DecidedRun{{Ballot: ballot(1, 1), First: 1, Below: 9}}})
	answers := take[*messages.CaughtUp](env)
	if len(answers) != 1 || len(answers[0].Decided) != 6 || string(answers[0].Decided[0].Decree) != "   3" || string(answers[0].Decided[5].Decree) != "   8" {
		t.Errorf("who lags is told %v", answers)
	}
}

// What is not executed stays in memory: scouts ask for it, and wait.
func TestWhatIsNotExecutedIsNotShelved(t *testing.T) {
	a, env := newShelving(t)
	a.MemoryBytes = 0
	learned(a, env, 9, 1)
	if _, shelved := a.shelf.sizes[9]; shelved || len(a.shelf.sizes) != 8 {
		t.Errorf("on the shelf are %v", a.shelf.sizes)
	}
	if accepted(t, a, env, 9); env.recalls != 0 {
		t.Error("it reads from its journal for what is in memory")
	}
	env.records = append(env.records, env.records[7]) // as if it had been accepted again
	if accepted(t, a, env, 8); env.recalls != 1 || env.recalled != 1 {
		t.Errorf("it reads from its journal %d times, and %d pvalues; want the one that is not in memory", env.recalls, env.recalled)
	}
}

// A no-op takes no memory, and nothing has to be read for it; a chunk of many is as short
// as one of decrees.
func TestNoOpsAreNotShelved(t *testing.T) {
	a, env := newShelving(t)
	a.MemoryBytes = 0
	for slot := uint64(11); slot <= 99; slot++ {
		a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(1, 1, slot, "")})
	}
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(2, 1, 20, "some")}) // in place of a no-op
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(2, 1, 10, "")})     // and a no-op in place of a decree
	take[*messages.P2B](env)
	if len(a.shelf.loaded) != 4 {
		t.Errorf("loaded are %v; want slots 7 to 9, and 20", a.shelf.loaded)
	}
	learned(a, env, 100, 1)
	if _, shelved := a.shelf.sizes[20]; !shelved || len(a.shelf.sizes) != 10 || len(a.shelf.loaded) != 0 {
		t.Errorf("on the shelf are %v", a.shelf.sizes)
	}
	if told := accepted(t, a, env, 21); len(told) != a.ChunkBytes/pvalueBytes || env.recalls != 0 {
		t.Errorf("a p1b has %d no-ops, and %d reads were for it", len(told), env.recalls)
	}
}

// C2: of a slot that was accepted again, that is told, from memory or from the journal,
// which holds both.
func TestAShelvedSlotIsAcceptedAgain(t *testing.T) {
	a, env := newShelving(t)
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(2, 2, 3, "new")})
	if _, shelved := a.shelf.sizes[3]; shelved || a.View().Bytes != 39 || a.shelf.bytes != 20 {
		t.Errorf("%d bytes, %d of them on the shelf; slot 3 is there: %t", a.View().Bytes, a.shelf.bytes, shelved)
	}
	told := func(when string) {
		t.Helper()
		if got, want := fmt.Sprint(accepted(t, a, env, 1)[:4]), "[1    1 1    2 2 new 1    4]"; got != want {
			t.Errorf("%s p1b says %s, want %s", when, got, want)
		}
	}
	told("from memory")
	a = NewAcceptor(a.AcceptorOptions) // after that p1b no p2a of a lower ballot would be taken
	for _, rec := range env.records[:11] {
		a.Restore(rec)
	}
	a.MemoryBytes = 0
	learned(a, env, 11, 1)
	if len(a.shelf.sizes) != 10 {
		t.Errorf("on the shelf are %v", a.shelf.sizes)
	}
	a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(2, 2, 3, "new")}) // sent once more
	if a.shelf.sizes[3] != 3 {
		t.Errorf("it is off the shelf with what it had: %v", a.shelf.sizes)
	}
	told("from the journal")
}

// A slot that loses its decree to a no-op, and gets another, is in memory once.
func TestADecreeAfterANoOp(t *testing.T) {
	a, env := newTestAcceptor(), &notes{self: "alpha/epoch-1/acceptor"}
	for round := uint64(1); round < 9; round++ {
		decree := ""
		if round%2 == 1 {
			decree = "decree"
		}
		a.Receive(env, &messages.P2A{From: "beta/c", Pvalue: pvalue(round, 1, 3, decree)})
		if want := int(round % 2); len(a.shelf.loaded) != want {
			t.Errorf("after ballot %d.1 %v are loaded, want %d", round, a.shelf.loaded, want)
		}
	}
}

// A3: of a journal that cannot be read in part, a scout is told nothing, and one who lags
// what comes before that part.
func TestAPvalueThatCannotBeRead(t *testing.T) {
	a, env := newShelving(t)
	env.records = slices.DeleteFunc(env.records, func(r *messages.Record) bool { return r.GetPvalue().GetSlot() == 5 })
	told := func(slot uint64) (decrees string) {
		a.Receive(env, &messages.CatchUp{From: "beta/replica", Slot: slot, Runs: []*messages.DecidedRun{{Ballot: ballot(1, 1), First: 1, Below: 9}}})
		for _, m := range take[*messages.CaughtUp](env) {
			for _, v := range m.Decided {
				decrees += string(v.Decree)
			}
		}
		return decrees
	}
	if got := told(3) + "," + told(5) + "," + told(6); got != "   3   4,,   6   7   8" {
		t.Errorf("who lags is told %q", got)
	}
	a.Receive(env, &messages.P1A{From: "gamma/s", Ballot: ballot(9, 3), Slot: 3})
	if len(env.sent) != 0 {
		t.Errorf("a scout is told %v", env.sent)
	}
}

// A3: an acceptor that cannot read its journal says nothing rather than too little.
func TestAJournalThatCannotBeRead(t *testing.T) {
	a, env := newShelving(t)
	env.records = nil
	a.Receive(env, &messages.P1A{From: "gamma/s", Ballot: ballot(9, 3), Slot: 2})
	a.Receive(env, &messages.CatchUp{From: "beta/replica", Slot: 3, Runs: []*messages.DecidedRun{{Ballot: ballot(1, 1), First: 1, Below: 9}}})
	if len(env.sent) != 0 {
		t.Errorf("it answers %v", env.sent)
	}
	if a.ballot != (Ballot{9, 3}) || len(env.records) != 1 {
		t.Errorf("its promise is %v, with %d records", a.ballot, len(env.records))
	}
	if got := accepted(t, a, env, 7); len(got) != 4 {
		t.Errorf("of what is in memory it says %q", got)
	}
	reads := env.recalls
	for _, step := range []struct{ slot, next uint64 }{{2, 2}, {8, 8}, {11, 0}} { // who is preempted looks at no pvalues
		a.Receive(env, &messages.P1A{From: "beta/s", Ballot: ballot(5, 2), Slot: step.slot})
		answers := take[*messages.P1B](env)
		if len(answers) != 1 || BallotOf(answers[0].Ballot) != (Ballot{9, 3}) || len(answers[0].Accepted) != 0 || answers[0].Next != step.next {
			t.Errorf("a scout that is preempted asks from slot %d on, and is told %v", step.slot, answers)
		}
	}
	if env.recalls != reads {
		t.Error("it reads from its journal for a scout that is preempted")
	}
}

// S5: what is forgotten is gone from the shelf, too.
func TestTheShelfForgets(t *testing.T) {
	a, env := newShelving(t)
	a.RetainSlots, a.MemoryBytes = 1, 0
	learned(a, env, 9, 9)
	learned(a, env, 3, 9) // late
	if a.executed != 9 {
		t.Errorf("slots below %d are executed; it was told of 9", a.executed)
	}
	if a.forgotten != 8 || len(a.shelf.sizes) != 1 || a.shelf.bytes != 4 || a.View().Bytes != 12 || len(a.shelf.loaded) > 2 {
		t.Errorf("forgotten below %d; on the shelf %v, %d bytes of %d; loaded %v", a.forgotten, a.shelf.sizes, a.shelf.bytes, a.View().Bytes, a.shelf.loaded)
	}
}

// What is read back at a restart is in the journal already: it takes no more memory than before.
func TestTheShelfAfterARestart(t *testing.T) {
	before, env := newShelving(t)
	a := NewAcceptor(before.AcceptorOptions)
	for _, rec := range env.records {
		a.Restore(rec)
		if v := a.View(); v.InMemory > a.MemoryBytes {
			t.Errorf("%d of %d bytes are in memory", v.InMemory, v.Bytes)
		}
	}
	if len(a.shelf.sizes) != 6 || len(accepted(t, a, env, 1)) != 10 {
		t.Errorf("on the shelf are %v", a.shelf.sizes)
	}
}

// Whatever is asked of two acceptors, of which one has next to nothing in memory, they
// answer the same, write the same, and count the same.
func TestTheShelfChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, shelving := newTestAcceptor(), newTestAcceptor()
		whole.MemoryBytes, shelving.MemoryBytes = 1<<20, rapid.IntRange(0, 1000).Draw(t, "memory")
		whole.RetainBytes = rapid.IntRange(0, 8*pvalueBytes).Draw(t, "retained")
		whole.RetainSlots = rapid.Uint64Range(1, 12).Draw(t, "slots")
		shelving.RetainBytes, shelving.RetainSlots = whole.RetainBytes, whole.RetainSlots
		envs := [2]*notes{{self: "alpha/epoch-1/acceptor"}, {self: "alpha/epoch-1/acceptor"}}
		slot := rapid.Uint64Range(1, 12)
		vote := rapid.Custom(func(t *rapid.T) *messages.PValue { // under one ballot, one decree for a slot (C1)
			round, slot := rapid.Uint64Range(1, 3).Draw(t, "round"), slot.Draw(t, "slot")
			if (slot+round)%5 == 0 {
				return pvalue(round, 1, slot, "") // a no-op
			}
			return pvalue(round, 1, slot, strings.Repeat(fmt.Sprint("decree"[:round], slot), 60))
		})
		executed := uint64(1)
		for range rapid.IntRange(1, 40).Draw(t, "turns") {
			var m proto.Message
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				m = &messages.P1A{From: "gamma/s", Ballot: ballot(rapid.Uint64Range(1, 3).Draw(t, "round"), 1), Slot: slot.Draw(t, "first")}
			case 1, 2:
				m = &messages.P2A{From: "beta/c", Pvalue: vote.Draw(t, "vote")}
			case 3:
				m = &messages.Decided{From: "alpha/replica", Decided: []*messages.PValue{vote.Draw(t, "decided")}}
			case 4:
				executed = max(executed, slot.Draw(t, "executed"))
				from := rapid.SampledFrom([]string{"alpha/replica", "beta/replica"}).Draw(t, "from")
				m = &messages.Learned{From: from, Executed: executed, Durable: rapid.Uint64Range(1, executed).Draw(t, "durable")}
			case 5:
				run := &messages.DecidedRun{Ballot: ballot(1, 1), First: 1, Below: executed}
				m = &messages.CatchUp{From: "beta/replica", Slot: slot.Draw(t, "missed"), Runs: []*messages.DecidedRun{run}}
			}
			for i, a := range []*Acceptor{whole, shelving} {
				a.Receive(envs[i], proto.Clone(m))
				a.wantCounted(t)
			}
		}
		if v, w := whole.View(), shelving.View(); v.Accepted != w.Accepted || v.Bytes != w.Bytes || v.Forgotten != w.Forgotten {
			t.Errorf("%+v, and with a shelf %+v", v, w)
		}
		if !slices.EqualFunc(envs[0].sent, envs[1].sent, func(a, b sent) bool { return a.to == b.to && proto.Equal(a.m, b.m) }) {
			t.Errorf("sent\n%v, and with a shelf\n%v", envs[0].sent, envs[1].sent)
		}
		if !slices.EqualFunc(envs[0].records, envs[1].records, func(a, b *messages.Record) bool { return proto.Equal(a, b) }) {
			t.Errorf("written\n%v, and with a shelf\n%v", envs[0].records, envs[1].records)
		}
	})
}

// wantCounted looks at what is counted of decrees.
func (a *Acceptor) wantCounted(t *rapid.T) {
	inMemory, shelved := 0, 0
	for _, v := range a.accepted {
		inMemory += len(v.Decree)
	}
	for slot, n := range a.shelf.sizes {
		if v, accepted := a.accepted[slot]; !accepted || len(v.Decree) > 0 {
			t.Errorf("slot %d is on the shelf, and accepted: %t, %v", slot, accepted, v)
		}
		shelved += n
	}
	if a.bytes != inMemory+shelved || a.shelf.bytes != shelved {
		t.Errorf("it counts %d bytes, %d of them on the shelf; they are %d and %d", a.bytes, a.shelf.bytes, inMemory+shelved, shelved)
	}
	for slot, v := range a.accepted {
		times := 0
		for _, loaded := range a.shelf.loaded {
			if loaded == slot {
				times++
			}
		}
		if _, shelved := a.shelf.sizes[slot]; times > 1 || !shelved && len(v.Decree) > 0 && times == 0 {
			t.Errorf("slot %d is loaded %d times; on the shelf: %t", slot, times, shelved)
		}
	}
}
