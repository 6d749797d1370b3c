package conformance

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// campaign is a leader's run with one ballot: what its scout asked and was told.
type campaign struct {
	epoch   *epoch
	ballot  actors.Ballot
	life    uint64 // of the leader
	said    bool
	adopted bool
	slot    uint64                  // the first that the scout asked about
	heard   map[question]uint64     // p1a that were received, and what was forgotten then
	reports map[actors.Addr]*report // what the scout received
	past    past
}

// question is a p1a at an acceptor: from which slot on it asks.
type question struct {
	acceptor actors.Addr
	slot     uint64
}

// report is an acceptor's p1b, put together from its chunks (D5).
type report struct {
	next      uint64 // where the next chunk starts
	whole     bool   // there is none
	forgotten uint64
	votes     map[uint64]vote
}

// keptCampaigns is how many of a leader's last runs are kept: a commander is asked
// for in office, and may be slow to begin.
const keptCampaigns = 4

// spawnsScout judges S2 when a leader runs: Fig. 7 l. 7.
func (r *Referee) spawnsScout(l *leader, child *role) {
	b := child.ballot()
	known := r.disks[l.self].known
	if child.round > known.round {
		r.breaks("S2", fmt.Sprintf("%s runs with round %d; on disk is %d", l.self, child.round, known.round))
	}
	if child.round > l.mayRun {
		r.breaks("S10", fmt.Sprintf("%s runs with round %d, for which it asked nobody", l.self, child.round))
	}
	if c := r.campaigns[child.self]; c != nil {
		if c.life != l.life {
			r.breaks("S2", fmt.Sprintf("%s used ballot %s in an earlier life", l.self, b), c.past)
		}
		return // the scout lives
	}
	r.campaigns[child.self] = &campaign{
		epoch: l.epoch, ballot: b, life: l.life, heard: make(map[question]uint64), reports: make(map[actors.Addr]*report),
		past: r.happened("spawned " + string(child.self)),
	}
	for addr, c := range r.campaigns {
		if c.epoch == l.epoch && c.ballot.Leader == b.Leader && c.ballot.Round+keptCampaigns < b.Round && r.roles[addr] == nil {
			c.reports = nil
		}
	}
}

func (r *Referee) scoutHears(c *campaign, m proto.Message) {
	p1b, ok := m.(*messages.P1B)
	if !ok || actors.BallotOf(p1b.Ballot) != c.ballot {
		return
	}
	from := actors.Addr(p1b.From)
	if _, acceptor := c.epoch.index[from]; !acceptor {
		return // a stranger's counts for nothing (S12)
	}
	rep := c.reports[from]
	if rep == nil {
		rep = &report{next: c.slot, votes: make(map[uint64]vote)}
		c.reports[from] = rep
	}
	if rep.whole || p1b.Slot != rep.next {
		return // said again
	}
	for _, v := range p1b.Accepted {
		rep.votes[v.Slot] = voteOf(v)
	}
	rep.forgotten = max(rep.forgotten, p1b.Forgotten)
	rep.next, rep.whole = p1b.Next, p1b.Next == 0
}

func (r *Referee) scoutSays(p *role, c *campaign, to actors.Addr, m proto.Message) {
	switch m := m.(type) {
	case *messages.P1A:
		r.asks(p, c, to, m)
	case *messages.Adopted:
		r.adopts(p, c, to, m)
	case *messages.Preempted:
		r.preempted(p, to, m)
	case *messages.Promising:
		if b := actors.BallotOf(m.Ballot); b != c.ballot || to != p.parent {
			r.breaks("figures", fmt.Sprintf("%s says to %s that %s is being promised", p.self, to, b))
		}
	default:
		r.breaks("figures", fmt.Sprintf("%s is a scout and does not say this", p.self))
	}
}

// asks judges a p1a: Fig. 6(b) l. 1 and S2.
func (r *Referee) asks(p *role, c *campaign, to actors.Addr, m *messages.P1A) {
	l := r.leaders[p.parent]
	b := actors.BallotOf(m.Ballot)
	switch {
	case b != c.ballot:
		r.breaks("S2", fmt.Sprintf("%s says ballot %s", p.self, b), c.past)
	case b.Round > r.disks[l.self].known.round:
		r.breaks("S2", fmt.Sprintf("%s says round %d; on disk is %d", p.self, b.Round, r.disks[l.self].known.round), c.past)
	case c.said:
		return
	case b.Round <= l.said:
		r.breaks("S2", fmt.Sprintf("%s says ballot %s, and round %d was said before", p.self, b, l.said), l.saidBy)
	}
	if _, acceptor := c.epoch.index[to]; !acceptor {
		r.breaks("S12", fmt.Sprintf("%s asks %s, which is no acceptor", p.self, to))
	}
	c.said, c.slot = true, m.Slot
	l.said, l.saidBy = b.Round, r.happened(fmt.Sprintf("said p1a with ballot %s", b))
	r.counts.Ballots++
}

// promised counts the acceptors that have answered a scout with their last chunk.
func (c *campaign) promised() (n int) {
	for _, rep := range c.reports {
		if rep.whole {
			n++
		}
	}
	return n
}

// adopts judges an adopted: Fig. 6(b) l. 3. What it carries is pmax of what a
// majority reported, for all slots that no acceptor of it has forgotten.
func (r *Referee) adopts(p *role, c *campaign, to actors.Addr, m *messages.Adopted) {
	if n := c.promised(); n < c.epoch.majority {
		r.breaks("S12", fmt.Sprintf("%s counts ballot %s adopted; %d acceptors promised, a majority is %d", p.self, c.ballot, n, c.epoch.majority), c.past)
	}
	if to != p.parent || actors.BallotOf(m.Ballot) != c.ballot {
		r.breaks("figures", fmt.Sprintf("%s tells %s of ballot %s", p.self, to, actors.BallotOf(m.Ballot)), c.past)
	}
	accepted := make(map[uint64]vote, len(m.Accepted))
	for _, v := range m.Accepted {
		accepted[v.Slot] = voteOf(v)
		if !c.reported(v.Slot, voteOf(v)) {
			r.breaks("C2", fmt.Sprintf("%s was told no such thing for slot %d as %s", p.self, v.Slot, voteOf(v).decree), c.past)
		}
	}
	for from, rep := range c.reports {
		if !rep.whole {
			continue
		}
		if rep.forgotten > m.Forgotten {
			r.breaks("S5", fmt.Sprintf("%s was told by %s that slots below %d are forgotten", p.self, from, rep.forgotten), c.past)
		}
		for slot, v := range rep.votes {
			if accepted[slot].ballot.Compare(v.ballot) < 0 {
				r.breaks("C2", fmt.Sprintf("%s leaves out that %s accepted %s for slot %d under %s", p.self, from, v.decree, slot, v.ballot), c.past)
			}
		}
	}
	if !c.adopted {
		c.adopted = true
		r.counts.Adopted++
	}
}

func (c *campaign) reported(slot uint64, v vote) bool {
	for _, rep := range c.reports {
		if rep.votes[slot] == v {
			return true
		}
	}
	return false
}

// requires judges pmax for one slot: whether there is a majority of acceptors that
// promised, and reported the slot, so that a decree is the one with the highest
// ballot of what they accepted, or they accepted none. It returns the rule that is
// broken, and why.
func (r *Referee) requires(c *campaign, slot uint64, decree digest) (rule, why string) {
	if slot < c.slot {
		return "C2", fmt.Sprintf("nobody was asked about slot %d: the scout began at %d", slot, c.slot)
	}
	var votes []vote
	for _, rep := range c.reports {
		if rep.whole && slot >= rep.forgotten {
			votes = append(votes, rep.votes[slot]) // ⊥ if it accepted none
		}
	}
	switch {
	case c.promised() < c.epoch.majority:
		return "S12", fmt.Sprintf("%d acceptors promised ballot %s, a majority is %d", c.promised(), c.ballot, c.epoch.majority)
	case len(votes) < c.epoch.majority:
		return "S5", fmt.Sprintf("only %d acceptors that promised ballot %s have not forgotten slot %d", len(votes), c.ballot, slot)
	}
	// Of the majorities, the one of the lowest votes allows most.
	slices.SortFunc(votes, func(a, b vote) int { return a.ballot.Compare(b.ballot) })
	highest := votes[c.epoch.majority-1:]
	if highest[0].ballot == (actors.Ballot{}) || slices.ContainsFunc(highest, func(v vote) bool { return v.decree == decree }) {
		return "", ""
	}
	return "C2", fmt.Sprintf("it proposes %s for slot %d under %s; those who promised accepted %v", decree, slot, c.ballot, votes)
}

// preempted judges D1: only a higher ballot preempts.
func (r *Referee) preempted(p *role, to actors.Addr, m *messages.Preempted) {
	var heard actors.Ballot
	switch t := p.turn.(type) {
	case *messages.P1B:
		heard = actors.BallotOf(t.Ballot)
	case *messages.P2B:
		heard = actors.BallotOf(t.Ballot)
	}
	b := actors.BallotOf(m.Ballot)
	if b != heard || b.Compare(p.ballot()) <= 0 || to != p.parent {
		r.breaks("figures", fmt.Sprintf("%s of ballot %s says that %s preempts it; it heard %s", p.self, p.ballot(), b, heard))
	}
}
