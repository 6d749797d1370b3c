package conformance

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// store is what records of a role add up to. A journal may leave out what is
// forgotten, repeat, and put things together; what counts is the sum.
type store struct {
	ballot    actors.Ballot // the highest, of ballots and pvalues
	votes     map[uint64][]vote
	forgotten uint64
	round     uint64
}

// newStore is what a role that never wrote anything has: slots below those of its epoch
// are not its own.
func newStore(of *epoch) *store {
	s := &store{votes: make(map[uint64][]vote), forgotten: 1}
	if of != nil {
		s.forgotten = max(1, of.First)
	}
	return s
}

func (s *store) add(rec *messages.Record) {
	switch k := rec.Kind.(type) {
	case *messages.Record_Ballot:
		s.raise(actors.BallotOf(k.Ballot))
	case *messages.Record_Pvalue:
		v := voteOf(k.Pvalue)
		s.raise(v.ballot)
		if slot := k.Pvalue.Slot; slot >= s.forgotten && !slices.Contains(s.votes[slot], v) {
			s.votes[slot] = append(s.votes[slot], v)
		}
	case *messages.Record_Forgotten:
		for ; s.forgotten < k.Forgotten && len(s.votes) > 0; s.forgotten++ {
			delete(s.votes, s.forgotten)
		}
		s.forgotten = max(s.forgotten, k.Forgotten)
	case *messages.Record_Round:
		s.round = max(s.round, k.Round)
	}
}

func (s *store) raise(b actors.Ballot) {
	if b.Compare(s.ballot) > 0 {
		s.ballot = b
	}
}

// disk is what a role wrote, in all of its lives.
type disk struct {
	known *store // what is certainly on disk
	ever  *store // what may be: all that was ever to be written
	whole bool   // nothing was written before the trace began
}

func (r *Referee) diskOf(p *role) *disk {
	d := r.disks[p.self]
	if d == nil {
		d = &disk{known: newStore(p.epoch), ever: newStore(p.epoch), whole: starts(r.nodes[p.self.Member()].opened) == 1}
		r.disks[p.self] = d
	}
	return d
}

func (r *Referee) onRestored(p *role, m proto.Message) {
	rec, ok := m.(*messages.Record)
	if !ok {
		r.breaks("trace", "what is restored is no record")
		return
	}
	p.restored.add(rec)
}

// takeBack compares what a role was given back with what was on its disk: no restart
// is blank, and none brings what was never written.
func (r *Referee) takeBack(p *role) {
	d := r.diskOf(p)
	was, is := d.known, p.restored
	switch {
	case is.ballot.Compare(was.ballot) < 0:
		r.breaks("S1", fmt.Sprintf("%s comes back with ballot %s; %s was on disk", p.self, is.ballot, was.ballot))
	case is.forgotten < was.forgotten:
		r.breaks("S1", fmt.Sprintf("%s comes back and has forgotten below %d; %d was on disk", p.self, is.forgotten, was.forgotten))
	case is.round < was.round:
		r.breaks("S2", fmt.Sprintf("%s comes back with round %d; %d was on disk", p.self, is.round, was.round))
	}
	for slot, votes := range was.votes {
		if last := votes[len(votes)-1]; slot >= is.forgotten && !slices.Contains(is.votes[slot], last) {
			r.breaks("S1", fmt.Sprintf("%s comes back without what was on disk for slot %d: %s of ballot %s", p.self, slot, last.decree, last.ballot))
		}
	}
	if d.whole {
		r.wasWritten(p, d.ever, is)
	} else {
		d.whole = true // from here on
		d.ever = is.clone()
	}
	d.known = is
	p.restored = nil
}

func (r *Referee) wasWritten(p *role, ever, is *store) {
	if is.ballot.Compare(ever.ballot) > 0 || is.forgotten > ever.forgotten || is.round > ever.round {
		r.breaks("S1", fmt.Sprintf("%s comes back with ballot %s, round %d and forgotten below %d; it never wrote more than %s, %d and %d",
			p.self, is.ballot, is.round, is.forgotten, ever.ballot, ever.round, ever.forgotten))
	}
	for slot, votes := range is.votes {
		for _, v := range votes {
			if slot >= ever.forgotten && !slices.Contains(ever.votes[slot], v) {
				r.breaks("S1", fmt.Sprintf("%s comes back with %s of ballot %s for slot %d, which it never wrote", p.self, v.decree, v.ballot, slot))
			}
		}
	}
}

func (s *store) clone() *store {
	c := *s
	c.votes = make(map[uint64][]vote, len(s.votes))
	for slot, votes := range s.votes {
		c.votes[slot] = slices.Clone(votes)
	}
	return &c
}

func (r *Referee) onPersisted(p *role, e actors.Event) {
	rec, ok := e.Message.(*messages.Record)
	switch {
	case !ok || rec.Owner != p.self.Path():
		r.breaks("trace", "what is written is no record of its role")
		return
	case e.Number != p.written+1:
		r.breaks("trace", fmt.Sprintf("record %d is written after %d", e.Number, p.written))
		return
	}
	p.written++
	switch p.kind {
	case acceptorRole:
		r.acceptorWrites(p, r.acceptors[p.self], rec)
	case leaderRole:
		r.leaderWrites(r.leaders[p.self], rec)
	default:
		r.breaks("figures", fmt.Sprintf("%s keeps nothing on disk", p.self))
	}
	p.unsynced = append(p.unsynced, rec)
	r.disks[p.self].ever.add(rec)
}

// onDurable moves records to what is certainly on disk.
func (r *Referee) onDurable(p *role, number uint64) {
	if number < p.durable || number > p.written {
		r.breaks("trace", fmt.Sprintf("records up to %d are on disk, after %d, of %d", number, p.durable, p.written))
		return
	}
	known := r.disks[p.self].known
	n := int(number - p.durable)
	before := known.forgotten
	for _, rec := range p.unsynced[:n] {
		known.add(rec)
	}
	p.unsynced = slices.Clone(p.unsynced[n:])
	p.durable = number
	if known.forgotten > before {
		r.counts.Forgot++
		r.forget()
	}
}
