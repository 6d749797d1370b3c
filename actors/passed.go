package actors

import "github.com/pmmc-go/pmmc/messages"

// This file is how a decree goes over the network once, in its p2a, and not again in its
// decision. An acceptor passes each p2a on to the replica beside it, and the decision tells
// that replica ⟨b, s⟩ only (Divergence D11). Which of the two comes first does not matter.
//
// The replica need not know whether the acceptor accepted: under a ballot, one decree at
// the most is proposed for a slot (C1), so ⟨b, s⟩ says which was decided. Nor does it wait
// for the disk beside it (S1): that a majority has the decree on theirs is what the
// decision says.

// passOn shows a p2a to the replica beside this acceptor. One from the commander beside it
// needs no passing on: that commander's decision is whole.
func (a *Acceptor) passOn(env Env, m *messages.P2A) {
	name := env.Self().Member()
	if me, _ := a.Configuration.Named(name); me.Replica && Addr(m.From).Member() != name {
		env.Forward(ReplicaAddr(name))
	}
}

// decisionFor is what a replica is told: the pvalue, or where the acceptor beside it has
// been asked to accept that, and so passes it on, which one it is.
func (c *Commander) decisionFor(env Env, replica Addr) *messages.Decision {
	member := replica.Member()
	for _, a := range c.Acceptors {
		if a.Member() == member && member != env.Self().Member() {
			return c.named
		}
	}
	return c.whole
}

// onP2A keeps what the acceptor beside this replica was asked to accept: of a slot, what
// has the highest ballot.
func (r *Replica) onP2A(env Env, v *messages.PValue) {
	slot := v.GetSlot()
	if !r.isNear(slot) {
		return
	}
	r.passed.add(v)
	if b, ok := r.named[slot]; ok {
		r.onNamed(env, b, slot)
	}
}

// onNamed is a decision that names ⟨b, s⟩. What was passed on under b is its decree, and so
// is what was passed on under a higher ballot (C2). What has a lower one may be another.
func (r *Replica) onNamed(env Env, b Ballot, slot uint64) {
	if b == (Ballot{}) || !r.isNear(slot) {
		return
	}
	v, ok := r.passed[slot]
	if !ok || BallotOf(v.Ballot).Compare(b) < 0 {
		r.named[slot] = b // until the p2a comes or, if it is lost, somebody else tells
		return
	}
	if BallotOf(v.Ballot) != b {
		v = &messages.PValue{Ballot: b.Proto(), Slot: slot, Decree: v.Decree}
	}
	r.onDecision(env, v)
}

// NameOf is what a decision decides: under which ballot, for which slot.
func NameOf(m *messages.Decision) (b Ballot, slot uint64) {
	if m.Pvalue == nil {
		return BallotOf(m.Ballot), m.Slot
	}
	return BallotOf(m.Pvalue.Ballot), m.Pvalue.Slot
}

// isDecided tells whether a slot is, though its decree may not be here yet.
func (r *Replica) isDecided(slot uint64) bool {
	_, known := r.decisions[slot]
	_, named := r.named[slot]
	return known || named
}

// drop forgets what is known of a slot that is executed.
func (r *Replica) drop(slot uint64) {
	delete(r.decisions, slot)
	delete(r.passed, slot)
	delete(r.named, slot)
}
