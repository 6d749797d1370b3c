package conformance_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/test/conformance"
	"github.com/pmmc-go/pmmc/test/simulation"
)

// good is a trace of a simulated cluster in which much happens: crashes, elections
// with reports, forgetting, snapshots.
func good() []actors.Event { return goodTraces[0]() }

// goodTraces are such traces, each made once. What happens in one may not happen in
// another.
var goodTraces = func() (all []func() []actors.Event) {
	for seed := range uint64(8) {
		all = append(all, sync.OnceValue(func() []actors.Event { return goodTrace(seed + 1) }))
	}
	return all
}()

func goodTrace(seed uint64) (events []actors.Event) {
	w := simulation.NewWorld(seed, 3, simulation.Faults{
		Loss: 0.1, Repeat: 0.05, Delay: 20 * time.Millisecond, Sync: 10 * time.Millisecond,
	})
	w.Observe = func(e actors.Event) { events = append(events, e) }
	for _, n := range w.Nodes {
		n.Start()
	}
	w.Run(3 * time.Second)
	for i := range 6 {
		n := w.Nodes[i%3]
		n.Crash()
		w.Run(1500 * time.Millisecond)
		n.Start()
		w.Run(1500 * time.Millisecond)
	}
	for _, n := range w.Config.Members { // and who was in office is preempted
		for _, m := range w.Config.Members {
			w.Cut(n.Name, m.Name)
			w.Cut(m.Name, n.Name)
		}
		w.Run(1500 * time.Millisecond)
		w.Heal()
		w.Run(500 * time.Millisecond)
	}
	return events
}

// judge runs a referee over a trace.
func judge(events []actors.Event) (conformance.Counts, error) {
	r := conformance.New(conformance.Options{})
	for _, e := range events {
		if b := r.Judge(e); b != nil {
			return r.Counts(), b
		}
	}
	return r.Counts(), r.Finish()
}

// TestAGoodTrace shows that the trace that the other tests tamper with is good, and
// that all happens in it that rules are about.
func TestAGoodTrace(t *testing.T) {
	c, err := judge(good())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(c)
	if c.Starts < 9 || c.Adopted < 3 || c.Decided < 100 || c.Forgot == 0 || c.Reads == 0 || c.Commands == 0 {
		t.Errorf("too little happens: %v", c)
	}
}

// TestATraceThatBeginsLater judges a cluster of which the first part of its life is not
// known.
func TestATraceThatBeginsLater(t *testing.T) {
	var events []actors.Event
	w := simulation.NewWorld(4, 3, simulation.Faults{Delay: 5 * time.Millisecond, Sync: 5 * time.Millisecond})
	start := func() {
		for _, n := range w.Nodes {
			n.Start()
		}
		w.Run(12 * time.Second)
	}
	start()
	for _, n := range w.Nodes {
		n.Crash()
	}
	w.Run(time.Second) // nothing is on its way any more
	w.Observe = func(e actors.Event) { events = append(events, e) }
	start()
	c, err := judge(events)
	if err != nil || c.Commands == 0 {
		t.Errorf("%v: %v", c, err)
	}
	half := len(events) / 2 // by then, all execute the same slots
	i := half + slices.IndexFunc(events[half:], func(e actors.Event) bool {
		m, ok := is[*messages.Executed](e, actors.Executed)
		return ok && len(m.Results) > 0 && e.Self.Member() == "n2"
	})
	bad := change(actors.Executed, func(_ *actors.Event, m *messages.Executed) bool { m.Results[0]++; return true })(events, i)
	var b *conformance.Breach
	if _, err := judge(bad); !errors.As(err, &b) || b.Rule.Name != "S7" {
		t.Errorf("replicas that differ: %v", err)
	}
}

// TestNothingIsNoPass shows that an empty trace does not pass.
func TestNothingIsNoPass(t *testing.T) {
	if _, err := judge(nil); !errors.Is(err, conformance.ErrNothing) {
		t.Errorf("an empty trace: %v", err)
	}
	if _, err := judge(good()[:50]); !errors.Is(err, conformance.ErrNothing) {
		t.Errorf("a trace in which nothing is decided: %v", err)
	}
}

// tampering is a way to make a good trace bad.
type tampering struct {
	name string
	rule string // that it breaks
	// at does it at event i, or returns nil when it cannot be done there.
	at func(all []actors.Event, i int) []actors.Event
	// somewhere says that it breaks the rule at some events only: elsewhere another
	// order of the same events would have allowed what is done.
	somewhere bool
}

// is says whether an event is of a kind, and about a message of a type.
func is[M proto.Message](e actors.Event, k actors.Kind) (m M, ok bool) {
	if e.Kind != k {
		return m, false
	}
	m, ok = e.Message.(M)
	return m, ok
}

// change tampers with a message; edit returns false when there is nothing to do.
func change[M proto.Message](k actors.Kind, edit func(e *actors.Event, m M) bool) func([]actors.Event, int) []actors.Event {
	return func(all []actors.Event, i int) []actors.Event {
		m, ok := is[M](all[i], k)
		if !ok {
			return nil
		}
		e := all[i]
		m = proto.Clone(m).(M)
		e.Message = m
		if !edit(&e, m) {
			return nil
		}
		return replaced(all, i, e)
	}
}

func replaced(all []actors.Event, i int, with ...actors.Event) []actors.Event {
	return slices.Concat(all[:i], with, all[i+1:])
}

// without leaves out an event.
func without(k actors.Kind, which func(e actors.Event) bool) func([]actors.Event, int) []actors.Event {
	return func(all []actors.Event, i int) []actors.Event {
		if all[i].Kind != k || !which(all[i]) {
			return nil
		}
		return replaced(all, i)
	}
}

// record edits a record on its way to or from the disk.
func record(k actors.Kind, edit func(rec *messages.Record) bool) func([]actors.Event, int) []actors.Event {
	return change(k, func(_ *actors.Event, rec *messages.Record) bool { return edit(rec) })
}

// TestEveryTamperingIsCaught tampers with good traces in every way of the list: the
// referee names the rule that is broken, at the event or after it.
func TestEveryTamperingIsCaught(t *testing.T) {
	for _, tt := range tamperings {
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			tries := 0
			for _, trace := range goodTraces {
				n, caught := tt.tamper(t, trace())
				if caught {
					return
				}
				tries += n
			}
			t.Errorf("not caught at any of %d events", tries)
		})
	}
}

// tamper tampers with a trace at some of the events at which it can.
func (tt tampering) tamper(t *testing.T, trace []actors.Event) (tries int, found bool) {
	caught := 0
	for i := range trace {
		bad := tt.at(trace, i)
		if bad == nil {
			continue
		}
		tries++
		_, err := judge(bad)
		var b *conformance.Breach
		switch {
		case errors.As(err, &b) && b.Rule.Name == tt.rule:
			if caught++; caught == 1 {
				t.Log(b)
			}
		case !tt.somewhere:
			t.Fatalf("at event %d, the referee says: %v", i+1, err)
		}
		if (caught > 0 && tt.somewhere) || tries == 300 || caught == 3 {
			break
		}
	}
	return tries, caught > 0
}

// TestEveryRuleBites holds the list of tamperings against that of rules.
func TestEveryRuleBites(t *testing.T) {
	for _, rule := range conformance.Rules {
		if !slices.ContainsFunc(tamperings, func(tt tampering) bool { return tt.rule == rule.Name }) {
			t.Errorf("no tampering breaks %s", rule.Name)
		}
	}
}

// TestABreachIsReadable shows what a breach says.
func TestABreachIsReadable(t *testing.T) {
	all := good()
	i := slices.IndexFunc(all, func(e actors.Event) bool { _, ok := is[*messages.P2B](e, actors.Sent); return ok })
	bad := change(actors.Sent, func(_ *actors.Event, m *messages.P2B) bool { m.Ballot.Round += 5; return true })(all, i)
	_, err := judge(bad)
	if err == nil {
		t.Fatal("not caught")
	}
	for _, want := range []string{"S1 is broken", "Fig. 4", "on disk is", `"kind":"sent"`, "P2b"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the breach does not say %q:\n%v", want, err)
		}
	}
}

// BenchmarkJudge measures what the referee adds to one event of a live cluster, but
// for the wait for its lock.
func BenchmarkJudge(b *testing.B) {
	events := good()
	for b.Loop() {
		if _, err := judge(events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
}
