package overview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/messages/admin"
)

// Ballot shows a ballot as round.member, and none as nothing.
func Ballot(b *messages.Ballot) string {
	if b.GetRound() == 0 && b.GetLeader() == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", b.Round, b.Leader)
}

func rolesOf(m *messages.Member) (roles []string) {
	for _, r := range []struct {
		name string
		has  bool
	}{{"replica", m.Replica}, {"leader", m.Leader}, {"acceptor", m.Acceptor}} {
		if r.has {
			roles = append(roles, r.name)
		}
	}
	return roles
}

func membersOf(c *messages.Configuration) []Member {
	all := []Member{}
	for _, m := range c.GetMembers() {
		all = append(all, Member{ID: m.Id, Name: m.Name, Roles: rolesOf(m), Peer: m.Peer, Client: m.Client})
	}
	return all
}

// shownDecrees is how many of the latest decrees are shown.
const shownDecrees = 24

// decrees are those that the node executed last that is furthest.
func (b *Board) decrees(targets []string) []Decree {
	var latest []*admin.DecreeSeen
	for _, target := range targets {
		if s := b.seen[target]; s.shown != nil && len(s.shown.Recent) > 0 {
			recent := s.shown.Recent
			if n := len(latest); n == 0 || recent[len(recent)-1].Slot > latest[n-1].Slot {
				latest = recent
			}
		}
	}
	all := []Decree{}
	for _, d := range slices.Backward(latest) {
		if len(all) < shownDecrees {
			all = append(all, Decree{Slot: d.Slot, Ballot: Ballot(d.Ballot), Kind: d.Kind, Commands: d.Commands, Bytes: d.Bytes})
		}
	}
	return all
}

// shownChanges is how many changes of the leader in office are shown.
const shownChanges = 12

// changes are those of who is in office: each as the node saw it whose leader came into
// office or left it, or else as another one did. Their order is that of ballots, and not that
// of the times at which nodes saw them: of two who came into office in one moment, the one
// with the higher ballot holds it.
func (b *Board) changes(targets []string) []Change {
	elected := make(map[actors.Ballot]Change)
	var all []Change
	for _, target := range targets {
		s := b.seen[target]
		var held actors.Ballot // with which its leader was in office
		for _, c := range s.shown.GetChanges() {
			in, when := actors.BallotOf(c.Ballot), before(s.at.UnixMilli(), c.Age)
			own := c.Standing == "active" && in.Leader == s.shown.Id
			_, known := elected[in]
			switch {
			case in != actors.Ballot{} && (own || !known):
				elected[in] = Change{At: when, Node: s.shown.Member, Leader: b.nameOf(c), Ballot: Ballot(c.Ballot), Epoch: c.Epoch, Why: c.Why, ballot: in}
			case in == actors.Ballot{} && held != actors.Ballot{}:
				all = append(all, Change{At: when, Node: s.shown.Member, Ballot: held.String(), Epoch: c.Epoch, Why: c.Why, ballot: held})
			}
			held = actors.Ballot{}
			if own {
				held = in
			}
		}
	}
	all = slices.AppendSeq(all, maps.Values(elected))
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Epoch, a.Epoch), b.ballot.Compare(a.ballot), cmp.Compare(a.Leader, b.Leader)) // who left it has no Leader
	})
	all = all[:min(len(all), shownChanges)]
	for i := range all {
		all[i].Text = all[i].words()
	}
	return all
}

// reasons say in words why a leader came into office or left it.
var reasons = map[string]string{
	"silence":     "a majority had heard nothing from anybody in office",
	"handover":    "the one before handed over",
	"epoch":       "a new configuration begins",
	"lost":        "every replica that was ahead is down, and the others catch up",
	"preempted":   "an acceptor promised a higher ballot",
	"no majority": "no majority of acceptors answered",
	"disk":        "its disk completed no write",
	"no progress": "nothing that it proposed was executed",
	"elected":     "it was elected",
	"gave up":     "it gave up",
}

func (c Change) words() string {
	why, known := reasons[c.Why]
	if !known {
		why = cmp.Or(c.Why, "for a reason that is not known")
	}
	if c.Leader == "" {
		return fmt.Sprintf("%s left office: %s", c.Node, why)
	}
	return fmt.Sprintf("%s came into office: %s", c.Leader, why)
}

// before is the time, in milliseconds, so many seconds before another.
func before(at int64, age float64) int64 { return at - int64(1000*age) }

// nameOf is who came into office: a node may not know any more how that was called.
func (b *Board) nameOf(c *admin.OfficeChange) string {
	for _, m := range b.latest.GetMembers() {
		if m.Id == c.Ballot.GetLeader() {
			return m.Name
		}
	}
	return cmp.Or(c.InOffice, fmt.Sprintf("member %d", c.Ballot.GetLeader()))
}

// warnings say in words what is not well: what is seen from here, and what nodes say of
// themselves.
func (b *Board) warnings(c *Cluster, targets []string) []string {
	all := []string{}
	acceptors, up, away := 0, 0, 0
	for _, n := range c.Nodes {
		isAcceptor := slices.Contains(n.Roles, "acceptor")
		if isAcceptor {
			acceptors++
		}
		switch {
		case !n.Reachable:
			away++
			all = append(all, fmt.Sprintf("%s cannot be reached", n.Name))
		case isAcceptor:
			up++
		}
	}
	switch {
	case away == len(c.Nodes):
		return []string{"no node can be reached"}
	case 2*up <= acceptors:
		all = append(all, fmt.Sprintf("only %d of %d acceptors can be reached: nothing can be decided", up, acceptors))
	case c.Leader == "":
		all = append(all, "nobody is in office")
	}
	for _, target := range targets {
		s := b.seen[target]
		if !s.reachable {
			continue
		}
		for _, w := range s.shown.Warnings {
			if away > 0 && strings.Contains(w, "cannot be reached from") { // which is said already
				continue
			}
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}

// times are what was counted between two looks.
func times(now, before *admin.Times) measure.Distribution {
	return distribution(now).Since(distribution(before))
}

// distribution is what a node counted; nothing, if it shows that in a way of its own.
func distribution(t *admin.Times) measure.Distribution {
	if len(t.GetCounts()) != len(t.GetBounds())+1 {
		return measure.Distribution{}
	}
	return measure.Distribution{Bounds: t.Bounds, Counts: t.Counts}
}

func spread(d measure.Distribution) *Spread {
	if d.Count() == 0 {
		return nil
	}
	return &Spread{Half: 1000 * d.Quantile(0.5), Most: 1000 * d.Quantile(0.99)}
}
