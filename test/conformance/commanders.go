package conformance

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// slot is what is known of a slot: what was asked for it, said about it, and done.
type slot struct {
	proposed  map[digest]bool // by replicas
	proposals []*proposal     // by commanders
	decided   bool
	decree    digest
	decidedBy past
	commands  []command // of the decree

	ran   run // when some replica executed it
	ranBy past
}

// proposal is ⟨b, s, c⟩ and its commander.
type proposal struct {
	epoch    *epoch
	slot     uint64
	ballot   actors.Ballot
	said     bool
	decree   digest // once it was said …
	value    []byte // … and its bytes
	past     past
	heard    acceptorSet // who received the p2a
	accepted acceptorSet // who said p2b
	counted  acceptorSet // from whom the commander received it
	chosen   bool        // a majority accepted
}

// slotAt finds what is known of a slot, or nil when it is forgotten.
func (r *Referee) slotAt(number uint64) *slot {
	if number < r.floor {
		return nil
	}
	s := r.slots[number]
	if s == nil {
		s = &slot{proposed: make(map[digest]bool)}
		r.slots[number] = s
	}
	return s
}

// forget drops what nobody can speak of any more: slots that all acceptors have
// forgotten and all replicas executed.
func (r *Referee) forget() {
	floor := ^uint64(0)
	for len(r.epochs) > 2 && r.over(0) {
		r.end(r.epochs[0])
	}
	for addr, a := range r.acceptors {
		if len(r.epochs) > 1 && a.epoch == r.epochs[0] && r.over(0) {
			continue
		}
		d := r.disks[addr]
		if d == nil {
			return // it has not begun
		}
		for slot := range a.voted {
			if slot < d.known.forgotten {
				delete(a.voted, slot)
			}
		}
		floor = min(floor, d.known.forgotten)
	}
	for _, a := range r.latest().Replicas() {
		floor = min(floor, r.replicas[a].slotOut)
	}
	for ; r.floor < floor; r.floor++ {
		delete(r.slots, r.floor)
	}
	for addr, p := range r.proposals {
		if p.slot < r.floor && r.roles[addr] == nil {
			delete(r.proposals, addr)
		}
	}
}

// end forgets an epoch that is over.
func (r *Referee) end(e *epoch) {
	r.epochs = r.epochs[1:]
	for _, a := range e.Acceptors() {
		delete(r.acceptors, a)
		delete(r.disks, a)
	}
	for _, a := range e.Leaders() {
		delete(r.leaders, a)
		delete(r.disks, a)
	}
	for addr, p := range r.roles {
		if p.epoch == e {
			delete(r.roles, addr) // a node may hear of the end later
		}
	}
	for addr, c := range r.campaigns {
		if c.epoch == e {
			delete(r.campaigns, addr)
		}
	}
	for addr, p := range r.proposals {
		if p.epoch == e {
			delete(r.proposals, addr)
		}
	}
}

// spawnsCommander judges that a leader proposes in office only: Fig. 7 l. 3, l. 5.
func (r *Referee) spawnsCommander(l *leader, child *role) {
	b := child.ballot()
	if b != l.adopted {
		r.breaks("figures", fmt.Sprintf("%s proposes under %s, and has adopted %s", l.self, b, l.adopted))
	}
	l.highest = max(l.highest, child.slot)
	if l.taking != nil {
		l.taking.spawned[child.slot] = true
	}
	if of := r.epochAt(child.slot); of != nil && of != l.epoch {
		r.breaks("S3", fmt.Sprintf("%s proposes for slot %d, which epoch %d governs", l.self, child.slot, of.Epoch))
	}
	s := r.slotAt(child.slot)
	if s == nil || r.proposals[child.self] != nil {
		return
	}
	p := &proposal{epoch: l.epoch, slot: child.slot, ballot: b, past: r.happened("spawned " + string(child.self))}
	r.proposals[child.self] = p
	s.proposals = append(s.proposals, p)
}

func (r *Referee) commanderHears(p *proposal, m proto.Message) {
	if b, ok := m.(*messages.P2B); ok && p != nil && actors.BallotOf(b.Ballot) == p.ballot && b.Slot == p.slot {
		p.counted = p.epoch.with(p.counted, actors.Addr(b.From))
	}
}

func (r *Referee) commanderSays(c *role, p *proposal, to actors.Addr, m proto.Message) {
	if p == nil {
		return // its slot is long forgotten
	}
	switch m := m.(type) {
	case *messages.P2A:
		r.proposes(c, p, m)
		if _, acceptor := p.epoch.index[to]; !acceptor {
			r.breaks("S12", fmt.Sprintf("%s asks %s, which is no acceptor", c.self, to))
		}
	case *messages.Decision:
		r.decides(c, p, m)
	case *messages.Preempted:
		r.preempted(c, to, m)
	default:
		r.breaks("figures", fmt.Sprintf("%s is a commander and does not say this", c.self))
	}
}

// proposes judges a p2a: C1, and C2 when it is the first.
func (r *Referee) proposes(c *role, p *proposal, m *messages.P2A) {
	v := voteOf(m.Pvalue)
	if v.ballot != p.ballot || m.GetPvalue().GetSlot() != p.slot {
		r.breaks("C1", fmt.Sprintf("%s speaks of slot %d under %s", c.self, m.GetPvalue().GetSlot(), v.ballot), p.past)
		return
	}
	if p.said {
		if v.decree != p.decree {
			r.breaks("C1", fmt.Sprintf("under %s for slot %d there are %s and %s", p.ballot, p.slot, v.decree, p.decree), p.past)
		}
		return
	}
	p.said, p.decree, p.value = true, v.decree, m.Pvalue.GetDecree()
	p.past = r.happened(fmt.Sprintf("said p2a with %s for slot %d under %s", p.decree, p.slot, p.ballot))
	run := r.campaigns[actors.Addr(fmt.Sprintf("%s/scout-%d", c.parent, p.ballot.Round))]
	if run == nil || run.reports == nil {
		r.breaks("C2", fmt.Sprintf("%s proposes under a ballot that nobody promised", c.self))
		return
	}
	if rule, why := r.requires(run, p.slot, p.decree); rule != "" {
		r.breaks(rule, c.self.Member()+": "+why, run.past)
	}
	s := r.slotAt(p.slot)
	if s == nil {
		return
	}
	if p.decree != noop && !s.proposed[p.decree] && !run.tells(p.slot, p.decree) {
		r.breaks("figures", fmt.Sprintf("nobody proposed %s for slot %d", p.decree, p.slot), run.past)
	}
	for _, other := range s.proposals {
		r.keepsChosen(other, p)
	}
}

// tells says whether some acceptor reported a decree for a slot.
func (c *campaign) tells(slot uint64, d digest) bool {
	for _, rep := range c.reports {
		if v, ok := rep.votes[slot]; ok && v.decree == d {
			return true
		}
	}
	return false
}

// accepted counts a p2b that accepts. Once a majority did, C2 holds for all higher
// ballots, whether they come later or came already.
func (r *Referee) accepted(p *proposal, by actors.Addr) {
	p.accepted = p.epoch.with(p.accepted, by)
	if p.chosen || !p.epoch.isMajority(p.accepted) {
		return
	}
	p.chosen = true
	if s := r.slotAt(p.slot); s != nil {
		for _, other := range s.proposals {
			r.keepsChosen(p, other)
		}
	}
}

// keepsChosen judges C2: what a majority accepted under a ballot, all higher ballots
// propose.
func (r *Referee) keepsChosen(p, q *proposal) {
	if p.chosen && q.said && q.ballot.Compare(p.ballot) > 0 && q.decree != p.decree {
		r.breaks("C2", fmt.Sprintf("a majority accepted %s for slot %d under %s; under %s it is %s", p.decree, p.slot, p.ballot, q.ballot, q.decree), p.past, q.past)
	}
}

// decides judges a decision: Fig. 6(a) l. 3.
func (r *Referee) decides(c *role, p *proposal, m *messages.Decision) {
	if !p.epoch.isMajority(p.counted) {
		r.breaks("S12", fmt.Sprintf("%s decides slot %d; %d acceptors told it that they accepted, a majority is %d", c.self, p.slot, p.counted.size(), p.epoch.majority), p.past)
	}
	says := m.Pvalue
	if says == nil { // D11: the decree is that of its p2a (C1)
		says = &messages.PValue{Ballot: m.Ballot, Slot: m.Slot, Decree: p.value}
	}
	if v := voteOf(says); says.Slot != p.slot || v != (vote{p.ballot, p.decree}) {
		r.breaks("R1", fmt.Sprintf("%s decides %s for slot %d under %s; accepted was another", c.self, v.decree, says.Slot, v.ballot), p.past)
		return
	}
	s := r.slotAt(p.slot)
	switch {
	case s == nil:
	case !s.decided:
		r.learn(s, says)
	case s.decree != p.decree:
		r.breaks("R1", fmt.Sprintf("slot %d is decided as %s and as %s", p.slot, s.decree, p.decree), s.decidedBy)
	}
}

func (r *Referee) learn(s *slot, v *messages.PValue) {
	s.decided, s.decree = true, digestOf(v.Decree)
	s.decidedBy = r.happened(fmt.Sprintf("said that slot %d is decided as %s", v.Slot, s.decree))
	s.commands = commandsOf(v.Decree)
	r.counts.Decided++
}

// isDecided judges that what is called decided is (R1). What was decided before the
// trace began is believed the first time.
func (r *Referee) isDecided(v *messages.PValue) {
	s := r.slotAt(v.Slot)
	switch {
	case s == nil:
	case !s.decided && !r.whole:
		r.learn(s, v)
	case !s.decided:
		r.breaks("R1", fmt.Sprintf("slot %d is called decided; it is not", v.Slot))
	case s.decree != digestOf(v.Decree):
		r.breaks("R1", fmt.Sprintf("slot %d is decided as %s, not as %s", v.Slot, s.decree, digestOf(v.Decree)), s.decidedBy)
	}
}
