package conformance

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// confirmation is a leader's question whether its ballot stands. All are kept, not the last
// alone: a disk that hangs can hold back an answer for longer than a leader's life.
type confirmation struct {
	leader actors.Addr
	number uint64
}

// acceptor is what an acceptor said in all of its lives, and holds in this one.
type acceptor struct {
	self    actors.Addr
	epoch   *epoch
	said    actors.Ballot // the highest, in any message
	saidBy  past
	voted   map[uint64]voted               // p2b that accept, by slot: the highest
	learned map[actors.Addr]uint64         // how much replicas said to have on disk
	asked   map[confirmation]actors.Ballot // for the confirmation of which; the lowest
	known   *store                         // what is certainly on disk
	probes  int                            // that came and were not answered

	ballot    actors.Ballot // ballot_num, on disk or not
	forgotten uint64
}

type voted struct {
	ballot actors.Ballot
	past   past
}

func newAcceptor(self actors.Addr, e *epoch) *acceptor {
	return &acceptor{
		self: self, epoch: e, voted: make(map[uint64]voted),
		learned: make(map[actors.Addr]uint64), asked: make(map[confirmation]actors.Ballot),
	}
}

// start begins a life with what was on disk.
func (a *acceptor) start(known *store) {
	a.known, a.ballot, a.forgotten = known, known.ballot, known.forgotten
}

func (r *Referee) acceptorHears(a *acceptor, m proto.Message) {
	switch m := m.(type) {
	case *messages.P1A:
		if c := r.campaigns[actors.Addr(m.From)]; c != nil {
			q := question{a.self, m.Slot}
			if mark, again := c.heard[q]; !again || a.forgotten < mark {
				c.heard[q] = a.forgotten
			}
		}
	case *messages.P2A:
		if p := r.proposals[actors.Addr(m.From)]; p != nil {
			p.heard = a.epoch.with(p.heard, a.self)
		}
	case *messages.Probe:
		a.probes++
	case *messages.Confirm:
		of, b := confirmation{actors.Addr(m.From), m.Number}, actors.BallotOf(m.Ballot)
		if before, again := a.asked[of]; !again || b.Compare(before) < 0 {
			a.asked[of] = b
		}
	case *messages.Learned:
		from := actors.Addr(m.From)
		a.learned[from] = max(a.learned[from], m.Durable)
	}
}

// acceptorWrites judges what an acceptor adds to its memory: A1, A2 and S5.
func (r *Referee) acceptorWrites(p *role, a *acceptor, rec *messages.Record) {
	switch k := rec.Kind.(type) {
	case *messages.Record_Ballot:
		b := actors.BallotOf(k.Ballot)
		if _, probed := p.turn.(*messages.Probe); probed && b == a.ballot {
			break // written again, to show that the disk writes
		}
		if b.Compare(a.ballot) <= 0 || b != asksFor(p.turn) {
			r.breaks("A1", fmt.Sprintf("%s adopts ballot %s after %s; it was asked for %s", a.self, b, a.ballot, asksFor(p.turn)))
		}
		a.ballot = b
	case *messages.Record_Pvalue:
		r.accepts(p, a, k.Pvalue)
	case *messages.Record_Forgotten:
		r.forgets(a, k.Forgotten)
	case *messages.Record_Decided:
		// What an acceptor calls decided is judged where it says so.
	default:
		r.breaks("figures", fmt.Sprintf("%s writes what is not its own", a.self))
	}
}

// asksFor is the ballot that a message asks an acceptor to adopt.
func asksFor(m proto.Message) actors.Ballot {
	switch m := m.(type) {
	case *messages.P1A:
		return actors.BallotOf(m.Ballot)
	case *messages.Confirm:
		return actors.BallotOf(m.Ballot)
	case *messages.P2A:
		return actors.BallotOf(m.GetPvalue().GetBallot())
	}
	return actors.Ballot{}
}

// accepts judges A2: a pvalue is that of the p2a under way, or one that is decided
// (D6), which promises nothing.
func (r *Referee) accepts(p *role, a *acceptor, v *messages.PValue) {
	switch m := p.turn.(type) {
	case *messages.P2A:
		if v.Slot != m.GetPvalue().GetSlot() || voteOf(v) != voteOf(m.Pvalue) {
			r.breaks("A2", fmt.Sprintf("%s accepts another pvalue than it was asked to", a.self))
		}
		if b := actors.BallotOf(v.Ballot); b.Compare(a.ballot) < 0 {
			r.breaks("A2", fmt.Sprintf("%s accepts ballot %s when it has promised %s", a.self, b, a.ballot))
		} else {
			a.ballot = b
		}
	case *messages.Decided:
		i, ok := slices.BinarySearchFunc(m.Decided, v.Slot, func(d *messages.PValue, slot uint64) int { return cmp.Compare(d.Slot, slot) })
		if !ok || voteOf(m.Decided[i]) != voteOf(v) {
			r.breaks("A2", fmt.Sprintf("%s adds a pvalue for slot %d that it was not told", a.self, v.Slot))
		}
		r.isDecided(v)
	default:
		r.breaks("A2", fmt.Sprintf("%s accepts a pvalue that nobody asked it to", a.self))
	}
}

// forgets judges S5: enough replicas told this acceptor that they have it on disk.
func (r *Referee) forgets(a *acceptor, below uint64) {
	enough, keep := a.epoch.keepers(), 0
	for _, from := range a.epoch.Replicas() {
		if a.learned[from] >= below {
			keep++
		}
	}
	if keep < enough {
		r.breaks("S5", fmt.Sprintf("%s forgets below slot %d, which %d replicas have on disk: want %d", a.self, below, keep, enough))
	}
	if below <= a.forgotten {
		r.breaks("S5", fmt.Sprintf("%s forgets below slot %d after %d", a.self, below, a.forgotten))
	}
	a.forgotten = max(a.forgotten, below)
}

// passesOn judges D11: an acceptor shows the p2a under way, as it is, to the replica
// beside it. It speaks in the commander's name, and for itself it says nothing.
func (r *Referee) passesOn(p *role, to actors.Addr, m *messages.P2A) {
	if to != actors.ReplicaAddr(p.self.Member()) || !proto.Equal(m, p.turn) {
		r.breaks("S11", fmt.Sprintf("%s passes on what it was not sent, or to another than the replica beside it", p.self))
		return
	}
	r.wire.say(to, m)
}

func (r *Referee) acceptorSays(a *acceptor, to actors.Addr, m proto.Message) {
	switch m := m.(type) {
	case *messages.P1B:
		r.promises(a, to, m)
	case *messages.P2B:
		r.votes(a, to, m)
	case *messages.Confirmed:
		r.saysBallot(a, m.Ballot, "confirmed")
		if asked, ok := a.asked[confirmation{to, m.Number}]; !ok || actors.BallotOf(m.Ballot).Compare(asked) < 0 {
			r.breaks("figures", fmt.Sprintf("%s confirms what it was not asked", a.self))
		}
	case *messages.Probed:
		if a.probes--; a.probes < 0 {
			r.breaks("figures", fmt.Sprintf("%s says that its disk writes, and was not asked", a.self))
		}
	case *messages.Canvassed:
		r.saysBallot(a, m.Ballot, "was canvassed and said")
	case *messages.CaughtUp:
		for _, v := range m.Decided {
			r.isDecided(v)
		}
		r.saysForgotten(a, m.Forgotten)
	default:
		r.breaks("figures", fmt.Sprintf("%s is an acceptor and does not say this", a.self))
	}
}

// saysBallot judges A1 and S1 for the ballot of a message.
func (r *Referee) saysBallot(a *acceptor, m *messages.Ballot, did string) {
	b := actors.BallotOf(m)
	if b.Compare(a.said) < 0 {
		r.breaks("A1", fmt.Sprintf("%s says ballot %s after %s", a.self, b, a.said), a.saidBy)
	}
	if b.Compare(a.known.ballot) > 0 {
		r.breaks("S1", fmt.Sprintf("%s says ballot %s; on disk is %s", a.self, b, a.known.ballot), a.saidBy)
	}
	if b != a.said {
		a.said, a.saidBy = b, r.happened(fmt.Sprintf("%s ballot %s", did, b))
	}
}

func (r *Referee) saysForgotten(a *acceptor, below uint64) {
	if below > a.known.forgotten {
		r.breaks("S1", fmt.Sprintf("%s says that it has forgotten below slot %d; on disk is %d", a.self, below, a.known.forgotten))
	}
}

// promises judges a p1b: Fig. 4 l. 3.
func (r *Referee) promises(a *acceptor, to actors.Addr, m *messages.P1B) {
	r.saysBallot(a, m.Ballot, "said in a p1b")
	r.saysForgotten(a, m.Forgotten)
	c := r.campaigns[to]
	if c == nil {
		r.breaks("figures", fmt.Sprintf("%s answers %s, which did not ask", a.self, to))
		return
	}
	mark, heard := c.heard[question{a.self, m.Slot}]
	switch {
	case !heard: // with a lower ballot it promises less, which is always safe (D10)
		r.breaks("figures", fmt.Sprintf("%s answers a p1a that it did not receive", a.self))
	case m.Forgotten < mark:
		r.breaks("A3", fmt.Sprintf("%s says that it has forgotten below slot %d; it had, below %d, when it was asked", a.self, m.Forgotten, mark))
	}
	reported := make(map[uint64]actors.Ballot, len(m.Accepted))
	for _, v := range m.Accepted {
		w := voteOf(v)
		reported[v.Slot] = w.ballot
		if v.Slot >= a.known.forgotten && !slices.Contains(a.known.votes[v.Slot], w) {
			r.breaks("S1", fmt.Sprintf("%s reports %s of ballot %s for slot %d; on disk is %v", a.self, w.decree, w.ballot, v.Slot, a.known.votes[v.Slot]))
		}
	}
	// D5: this chunk is about the slots from the asked one, or the first that is not
	// forgotten, to the next chunk's.
	for slot, v := range a.voted {
		within := slot >= m.Slot && slot >= m.Forgotten && (m.Next == 0 || slot < m.Next)
		if is, ok := reported[slot]; within && (!ok || is.Compare(v.ballot) < 0) {
			r.breaks("A3", fmt.Sprintf("%s does not report what it accepted for slot %d under %s", a.self, slot, v.ballot), v.past)
		}
	}
}

// votes judges a p2b: Fig. 4 l. 5.
func (r *Referee) votes(a *acceptor, to actors.Addr, m *messages.P2B) {
	r.saysBallot(a, m.Ballot, "said in a p2b")
	p := r.proposals[to]
	switch {
	case p == nil && m.Slot < r.floor:
		return // of long ago
	case p == nil || !a.epoch.has(p.heard, a.self) || p.slot != m.Slot:
		r.breaks("figures", fmt.Sprintf("%s answers a p2a that it did not receive", a.self))
		return
	}
	switch b := actors.BallotOf(m.Ballot); b.Compare(p.ballot) {
	case -1:
		r.breaks("figures", fmt.Sprintf("%s answers a p2a of ballot %s with %s, neither accepting nor preempting it (D2)", a.self, p.ballot, b), p.past)
	case 0:
		if m.Slot < a.known.forgotten {
			return // D4: it is decided and on disk at f+1 replicas, and needs no vote
		}
		if !slices.Contains(a.known.votes[m.Slot], vote{p.ballot, p.decree}) {
			r.breaks("S1", fmt.Sprintf("%s says that it accepted %s for slot %d under %s; on disk is %v", a.self, p.decree, m.Slot, b, a.known.votes[m.Slot]), p.past)
		}
		if b.Compare(a.voted[m.Slot].ballot) > 0 {
			a.voted[m.Slot] = voted{b, r.happened(fmt.Sprintf("said p2b for slot %d under %s", m.Slot, b))}
		}
		r.counts.Votes++
		r.accepted(p, a.self)
	}
}
