package conformance

import (
	"fmt"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// readQuestion is a read request of a replica.
type readQuestion struct {
	from actors.Addr
	readNumber
}

// readNumber tells the questions of all lives of a replica apart. A build before lives were
// told says 0 for both.
type readNumber struct{ incarnation, life, number uint64 }

func numberAsked(m *messages.ReadRequest) readNumber {
	return readNumber{m.Incarnation, m.Life, m.Number}
}

func numberMarked(m *messages.ReadMark) readNumber {
	return readNumber{m.Incarnation, m.Life, m.Number}
}

// leaderReads is a leader's side of S8.
type leaderReads struct {
	asked    map[readQuestion]arrival
	number   uint64        // of the round under way, or the last
	ballot   actors.Ballot // that it confirms
	begun    place
	heard    acceptorSet
	leases   bool          // it asks for leases: a round of before may do, as clocks say and traces do not
	released actors.Ballot // it asked for a successor of this, and must not use a lease under it any more
	proved   place         // when the last round began that a majority confirmed
}

// arrival is when a question came first, and when it was last repeated on the way.
type arrival struct{ first, last place }

func newLeaderReads() leaderReads { return leaderReads{asked: make(map[readQuestion]arrival)} }

func (o *leaderReads) came(q readQuestion, at place) {
	a, again := o.asked[q]
	if !again {
		a.first = at
	}
	a.last = at
	o.asked[q] = a
}

// begin begins a round. A question that came before the last one began is answered.
func (o *leaderReads) begin(number uint64, ballot actors.Ballot, at place) {
	for q, a := range o.asked {
		if a.last < o.begun {
			delete(o.asked, q)
		}
	}
	o.number, o.ballot, o.begun, o.heard = number, ballot, at, 0
}

// saysConfirm begins a round of confirmation, or asks again in it.
func (r *Referee) saysConfirm(l *leader, m *messages.Confirm) {
	b := actors.BallotOf(m.Ballot)
	if b != l.adopted {
		r.breaks("figures", fmt.Sprintf("%s confirms ballot %s; it adopted %s", l.self, b, l.adopted))
	}
	if l.taking != nil {
		l.taking.office = true
	}
	l.reads.leases = m.Lease > 0
	if o := &l.reads; m.Number > o.number || b != o.ballot {
		o.begin(m.Number, b, r.at)
	}
}

func (r *Referee) hearsConfirmed(l *leader, m *messages.Confirmed) {
	o := &l.reads
	if m.Number != o.number || actors.BallotOf(m.Ballot) != o.ballot {
		return
	}
	if o.heard = l.epoch.with(o.heard, actors.Addr(m.From)); l.epoch.isMajority(o.heard) {
		o.proved = o.begun
	}
}

// saysMark judges S8 at the leader: a majority confirmed its ballot in a round that
// began after the question came, and the mark is no lower than what it proposed.
func (r *Referee) saysMark(l *leader, to actors.Addr, m *messages.ReadMark) {
	q := readQuestion{to, numberMarked(m)}
	came, asked := l.reads.asked[q]
	switch {
	case !asked:
		r.breaks("S8", fmt.Sprintf("%s was not asked for mark %d", l.self, m.Number))
	case l.reads.proved <= came.first && (!l.reads.leases || l.reads.proved == 0 || l.reads.released == l.adopted):
		r.breaks("S8", fmt.Sprintf("%s gives a mark, and no majority confirmed its ballot in a round that began after the question",
			l.self), past{came.first, l.self, fmt.Sprintf("received question %d of %s", m.Number, to)})
	case m.Slot < l.highest:
		r.breaks("S8", fmt.Sprintf("%s gives mark %d, and has proposed up to slot %d", l.self, m.Slot, l.highest))
	}
}

// replicaReads is a replica's side of S8.
type replicaReads struct {
	wanted uint64                // the last read that came
	asked  map[readNumber]uint64 // by question of this life: the last read that it is for
	marks  []readMark            // that were received and are of use
	served uint64                // reads up to this may look
	must   []mustSee
}

// readMark lets reads up to a number look once a slot is executed.
type readMark struct{ read, slot uint64 }

// mustSee is what had been answered, by any node, when a read came.
type mustSee struct {
	read, slot uint64
	answered   past
}

func (r *Referee) hearsRead(rep *replica, m *messages.Read) {
	o := &rep.reads
	if m.Number > o.wanted {
		o.wanted = m.Number
		o.must = append(o.must, mustSee{m.Number, r.responded, r.respondent})
	}
}

// hearsMark notes an answer, unless it is for an earlier life. The questions asked
// before it need none any more.
func (rep *replica) hearsMark(m *messages.ReadMark) {
	o := &rep.reads
	read, ok := o.asked[numberMarked(m)]
	if !ok {
		return
	}
	if read > o.served {
		o.marks = append(o.marks, readMark{read, m.Slot})
	}
	for q := range o.asked {
		if q.number <= m.Number {
			delete(o.asked, q)
		}
	}
}

// saysReady judges S8 at the replica: it has executed what a mark says that was asked
// for after the read came; and so the read sees all that was answered before.
func (r *Referee) saysReady(rep *replica, m *messages.ReadReady) {
	o := &rep.reads
	ok := m.Number <= o.served
	for _, k := range o.marks {
		ok = ok || k.read >= m.Number && k.slot < rep.slotOut
	}
	if !ok {
		r.breaks("S8", fmt.Sprintf("%s lets read %d look at slot_out %d; it has the marks %v", rep.self, m.Number, rep.slotOut, o.marks))
	}
	for len(o.must) > 0 && o.must[0].read <= m.Number {
		if see := o.must[0]; !r.options.Merged && see.slot >= rep.slotOut {
			r.breaks("S8", fmt.Sprintf("%s lets read %d look at slot_out %d; slot %d was answered before it came", rep.self, m.Number, rep.slotOut, see.slot), see.answered)
		}
		o.must = o.must[1:]
	}
	o.served = max(o.served, m.Number)
	kept := o.marks[:0]
	for _, k := range o.marks {
		if k.read > o.served {
			kept = append(kept, k)
		}
	}
	o.marks = kept
	r.counts.Reads++
}
