package journal

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pmmc-go/pmmc/messages"
)

// facts is what is known of one owner without reading the log: all of its small
// records, boiled down, and in which batches its live pvalues are.
type facts struct {
	ballot    *messages.Ballot // the highest, of ballots and pvalues; nil is ⊥
	round     uint64
	forgotten uint64
	decided   []*messages.DecidedRun // those that end above forgotten
	live      []held                 // batches that hold pvalues, in order; the first one holds a live one
	bytes     int                    // of live
}

// held says that a batch holds pvalues, and for which slots.
type held struct {
	index           uint64
	lowest, highest uint64
	bytes           int // about what they take on disk
}

// overhead is at least what a batch takes on disk besides its records, and a pvalue besides
// its decree.
const overhead = 64

// owners are the facts of each owner.
type owners map[string]*facts

// note takes in a record of batch index.
func (o owners) note(rec *messages.Record, index uint64) error {
	if c, ok := rec.Kind.(*messages.Record_Checkpoint); ok {
		// A checkpoint says all that was known then, so what the records before it
		// that were spared by the cut say of runs would come twice.
		for _, f := range o {
			f.decided = nil
		}
		for _, r := range c.Checkpoint.GetRecords() {
			if err := o.note(r, index); err != nil {
				return err
			}
		}
		return nil
	}
	f := o[rec.Owner]
	if f == nil {
		f = new(facts)
		o[rec.Owner] = f
	}
	switch k := rec.Kind.(type) {
	case *messages.Record_Ballot:
		f.raise(k.Ballot)
	case *messages.Record_Pvalue:
		// A pvalue is also a promise: an acceptor may accept under a ballot whose
		// p1a it never saw, and the promise outlives the slot.
		f.raise(k.Pvalue.GetBallot())
		f.hold(index, k.Pvalue.GetSlot(), overhead+len(k.Pvalue.GetDecree()))
	case *messages.Record_Forgotten:
		f.forget(k.Forgotten)
	case *messages.Record_Decided:
		f.decide(k.Decided)
	case *messages.Record_Round:
		f.round = max(f.round, k.Round)
	default:
		return fmt.Errorf("a record of %q is of no known kind", rec.Owner)
	}
	return nil
}

func (f *facts) raise(b *messages.Ballot) {
	round, leader := b.GetRound(), b.GetLeader()
	if round > f.ballot.GetRound() || round == f.ballot.GetRound() && leader > f.ballot.GetLeader() {
		f.ballot = &messages.Ballot{Round: round, Leader: leader}
	}
}

func (f *facts) hold(index, slot uint64, bytes int) {
	if slot < f.forgotten {
		return
	}
	if n := len(f.live); n == 0 || f.live[n-1].index != index {
		f.live = append(f.live, held{index, slot, slot, overhead})
		f.bytes += overhead
	}
	last := &f.live[len(f.live)-1]
	last.lowest, last.highest = min(last.lowest, slot), max(last.highest, slot)
	last.bytes += bytes
	f.bytes += bytes
}

func (f *facts) forget(below uint64) {
	f.forgotten = max(f.forgotten, below)
	for len(f.live) > 0 && f.live[0].highest < f.forgotten {
		f.drop()
	}
	f.decided = slices.DeleteFunc(f.decided, func(r *messages.DecidedRun) bool { return r.Below <= f.forgotten })
}

// drop takes the first batch off the list of those that hold live pvalues.
func (f *facts) drop() {
	f.bytes -= f.live[0].bytes
	f.live = f.live[1:]
}

// decide adds a run, or lengthens the last one if they touch.
func (f *facts) decide(r *messages.DecidedRun) {
	if r.GetBelow() <= f.forgotten {
		return
	}
	if n := len(f.decided); n > 0 {
		last := f.decided[n-1]
		if same(last.Ballot, r.GetBallot()) && last.First <= r.GetBelow() && r.GetFirst() <= last.Below {
			last.First = min(last.First, r.GetFirst())
			last.Below = max(last.Below, r.GetBelow())
			return
		}
	}
	f.decided = append(f.decided, &messages.DecidedRun{
		Ballot: &messages.Ballot{Round: r.GetBallot().GetRound(), Leader: r.GetBallot().GetLeader()},
		First:  r.GetFirst(), Below: r.GetBelow(),
	})
}

func same(b, c *messages.Ballot) bool {
	return b.GetRound() == c.GetRound() && b.GetLeader() == c.GetLeader()
}

// firstLive is the first batch with a live pvalue, or next when there is none.
func (o owners) firstLive(next uint64) uint64 {
	for _, f := range o {
		if len(f.live) > 0 {
			next = min(next, f.live[0].index)
		}
	}
	return next
}

// oldest lists the first n batches that may hold live pvalues.
func (o owners) oldest(n int) (all []uint64) {
	for _, f := range o {
		for _, h := range f.live[:min(n, len(f.live))] {
			all = append(all, h.index)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(n, len(all))]
}

// bytes is about what the batches that hold live pvalues take on disk.
func (o owners) bytes() (n int) {
	for _, f := range o {
		n += f.bytes
	}
	return n
}

// small lists what is known as records, without pvalues, in two parts: what comes
// before the pvalues when all is replayed, and what comes after.
func (f *facts) small(owner string) (before, after []*messages.Record) {
	if f.forgotten > 0 {
		before = append(before, &messages.Record{Owner: owner, Kind: &messages.Record_Forgotten{Forgotten: f.forgotten}})
	}
	if f.ballot != nil {
		b := &messages.Ballot{Round: f.ballot.Round, Leader: f.ballot.Leader}
		before = append(before, &messages.Record{Owner: owner, Kind: &messages.Record_Ballot{Ballot: b}})
	}
	for _, r := range f.decided {
		run := &messages.DecidedRun{
			Ballot: &messages.Ballot{Round: r.Ballot.Round, Leader: r.Ballot.Leader},
			First:  r.First, Below: r.Below,
		}
		after = append(after, &messages.Record{Owner: owner, Kind: &messages.Record_Decided{Decided: run}})
	}
	if f.round > 0 {
		after = append(after, &messages.Record{Owner: owner, Kind: &messages.Record_Round{Round: f.round}})
	}
	return before, after
}

// checkpoint repeats the small facts of all.
func (o owners) checkpoint() *messages.Record {
	c := &messages.Checkpoint{}
	for _, owner := range slices.Sorted(maps.Keys(o)) {
		before, after := o[owner].small(owner)
		c.Records = append(append(c.Records, before...), after...)
	}
	return &messages.Record{Kind: &messages.Record_Checkpoint{Checkpoint: c}}
}
