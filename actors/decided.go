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
		if v.Slot < a.forgotten || v.Slot < a.knownBelow() {
			continue
		}
		if !a.holds(v.Slot, BallotOf(v.Ballot)) {
			a.keep(v)
			env.Persist(&messages.Record{Kind: &messages.Record_Pvalue{Pvalue: v}})
		}
		a.learnRun(&messages.DecidedRun{Ballot: v.Ballot, First: v.Slot, Below: v.Slot + 1})
	}
	if n := len(a.decided); n > 0 && a.knownBelow() >= a.saved+saveEvery {
		a.saved = a.knownBelow()
		last := a.decided[n-1]
		env.Persist(&messages.Record{Kind: &messages.Record_Decided{Decided: &messages.DecidedRun{
			Ballot: last.Ballot, First: last.First, Below: last.Below,
		}}})
	}
}

// onCatchUp lists the decided decrees from a slot on, as far as they are known
// here without a gap.
func (a *Acceptor) onCatchUp(env Env, m *messages.CatchUp) {
	next := m.Slot
	decided, _ := a.chunk(m.Slot, func(v *messages.PValue) bool {
		run := a.runOf(v.Slot)
		if v.Slot != next || run == nil || !a.holds(v.Slot, BallotOf(run.Ballot)) {
			return false
		}
		next++
		return true
	})
	env.Send(Addr(m.From), &messages.CaughtUp{
		From: string(env.Self()), Slot: m.Slot, Decided: decided, Forgotten: a.forgotten,
	})
}

// holds tells whether the pvalue held for a slot that was decided under b is that
// decision: under b or any ballot above it, it is (A5).
func (a *Acceptor) holds(slot uint64, b Ballot) bool {
	v, ok := a.accepted[slot]
	return ok && BallotOf(v.Ballot).Compare(b) >= 0
}

// knownBelow is the end of the last run.
func (a *Acceptor) knownBelow() uint64 {
	if len(a.decided) == 0 {
		return 0
	}
	return a.decided[len(a.decided)-1].Below
}

// learnRun adds a run behind the ones that are known, or lengthens the last.
func (a *Acceptor) learnRun(r *messages.DecidedRun) {
	first := max(r.First, a.knownBelow())
	if first >= r.Below {
		return
	}
	if n := len(a.decided); n > 0 {
		if last := a.decided[n-1]; last.Below == first && BallotOf(last.Ballot) == BallotOf(r.Ballot) {
			last.Below = r.Below
			return
		}
	}
	a.decided = append(a.decided, &messages.DecidedRun{Ballot: r.Ballot, First: first, Below: r.Below})
}

// runOf finds the run that a slot is in.
func (a *Acceptor) runOf(slot uint64) *messages.DecidedRun {
	i := sort.Search(len(a.decided), func(i int) bool { return a.decided[i].Below > slot })
	if i == len(a.decided) || a.decided[i].First > slot {
		return nil
	}
	return a.decided[i]
}
