package actors

// This file is how a leader gets back what it dropped, and how much it decides at once of
// what its scout brought (L1).
//
// A leader drops what a live replica executed. If every such replica goes down before the
// others have caught up, only acceptors still hold the decrees, and no acceptor knows that
// they are decided. So the leader takes a new ballot, from the first slot that may be
// missing on: its scout finds the decrees, and its commanders decide them again.

// lackPatience is how many ticks a leader in office waits before it takes a new ballot for
// what it dropped: the decisions may be on their way to the live replicas.
const lackPatience = 10

// lookForLost runs again when no live replica has executed what was dropped.
func (l *Leader) lookForLost(env Env) {
	l.progress.look(env.Now())
	if l.standing != inOffice || l.first() >= l.dropped || l.writing != 0 {
		l.lacking = 0
		return
	}
	if l.lacking++; l.lacking > lackPatience {
		l.lacking = 0
		l.record(env) // the office goes on meanwhile
	}
}

// rewind begins a new ballot at the first slot that live replicas may miss.
func (l *Leader) rewind() uint64 {
	l.dropped, l.adopted = l.first(), interval{}
	return l.dropped
}

// interval is the slots from next to below end.
type interval struct{ next, end uint64 }

// commandAdopted spawns the commanders of adopted slots that are near: replicas drop
// decisions that lie two windows ahead of them (Divergence D16).
func (l *Leader) commandAdopted(env Env) {
	a := &l.adopted
	if l.standing < scouting {
		return
	}
	a.next = max(a.next, l.dropped)
	for ; a.next < a.end && a.next < max(l.dropped, l.floor)+2*l.Configuration.Window; a.next++ {
		l.command(env, a.next)
	}
}
