package actors

import (
	"sort"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is what makes acceptors the library of decided decrees: the replica
// beside an acceptor tells it what it executed, and replicas that lag ask for it.
// Replicas themselves keep the open window only (§4).

// saveEvery is how many slots an acceptor learns to be decided before it writes
// that down. What was not written down is found out again by a ballot.
const saveEvery = 64

// onDecided marks what the replica beside this acceptor executed.
//
// Divergence D6: a decided pvalue that this acceptor missed is added whatever
// ballot_num is. That breaks the letter of A2 and none of its uses: whatever is
// accepted for the slot under a higher ballot is the same decree (A5).
func (a *Acceptor) onDecided(env Env, m *messages.Decided) {
	for _, v := range m.Decided {
		if v.Slot < a.forgotten || !fits(v.Decree) {
			continue
		}
		if !a.holds(v.Slot, BallotOf(v.Ballot)) {
			a.keep(v)
			env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: v}})
		}
		a.decided.learn(&messages.DecidedRun{Ballot: v.Ballot, First: v.Slot, Below: v.Slot + 1})
	}
	if n := len(a.decided); n > 0 && a.decided.below() >= a.saved+saveEvery {
		a.saved = a.decided.below()
		last := a.decided[n-1]
		env.Persist(&messages.Record{Kind: &messages.Record_Decided{Decided: &messages.DecidedRun{
			Ballot: last.Ballot, First: last.First, Below: last.Below,
		}}})
	}
}

// onCatchUp lists the decided decrees from a slot on, as far as they are known
// here, or to the one who asks, without a gap. What that one knows is not kept: it may
// leave out what the replica beside this acceptor will tell.
func (a *Acceptor) onCatchUp(env Env, m *messages.CatchUp) {
	next, told := m.Slot, runs(m.Runs)
	decided, whole, _ := a.chunk(env, m.Slot, func(v *messages.PValue) bool {
		run := a.decided.of(v.Slot)
		if run == nil {
			run = told.of(v.Slot)
		}
		if v.Slot != next || run == nil || !a.holds(v.Slot, BallotOf(run.Ballot)) {
			return false
		}
		next++
		return true
	})
	if whole == 0 && len(decided) > 0 {
		return // who asked hears nothing, and asks another acceptor
	}
	env.Send(Addr(m.From), &messages.CaughtUp{
		From: string(env.Self()), Slot: m.Slot, Decided: decided[:whole], Forgotten: a.forgotten,
	})
}

// holds tells whether the pvalue held for a slot that was decided under b is that
// decision: under b or any ballot above it, it is (A5).
func (a *Acceptor) holds(slot uint64, b Ballot) bool {
	v, ok := a.accepted[slot]
	return ok && BallotOf(v.Ballot).Compare(b) >= 0
}

// runs say of slots under which ballots they were decided: consecutive ones that were
// decided under one ballot are a run. They are in the order of slots; there may be gaps.
type runs []*messages.DecidedRun

// below is the end of the last run.
func (r runs) below() uint64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].Below
}

// learn adds a run behind the ones that are known, or lengthens the last.
func (r *runs) learn(m *messages.DecidedRun) {
	first := max(m.GetFirst(), r.below())
	if first >= m.GetBelow() {
		return
	}
	if n := len(*r); n > 0 {
		if last := (*r)[n-1]; last.Below == first && BallotOf(last.Ballot) == BallotOf(m.Ballot) {
			last.Below = m.Below
			return
		}
	}
	*r = append(*r, &messages.DecidedRun{Ballot: m.Ballot, First: first, Below: m.Below})
}

// of finds the run that a slot is in.
func (r runs) of(slot uint64) *messages.DecidedRun {
	i := sort.Search(len(r), func(i int) bool { return r[i].Below > slot })
	if i == len(r) || r[i].First > slot {
		return nil
	}
	return r[i]
}

// from lists the runs from a slot on, for others to keep.
func (r runs) from(slot uint64) (all []*messages.DecidedRun) {
	for _, run := range r {
		if run.Below > slot {
			all = append(all, &messages.DecidedRun{Ballot: run.Ballot, First: max(run.First, slot), Below: run.Below})
		}
	}
	return all
}
