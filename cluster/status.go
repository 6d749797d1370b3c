package cluster

import (
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/cluster/transport"
)

// Status is what a node shows of itself. A role that does not show itself within
// statusPatience, or that the member does not have, leaves its part zero.
type Status struct {
	At     time.Time // when it was so
	Member string
	ID     uint32
	Roles  []string // of replica, leader and acceptor
	Silent []string // of those, the ones that were too busy to show themselves
	Ready  bool     // the roles of this member run, and its replica, if it has one, knows who is in office

	CaughtUp bool // Node.CaughtUp
	// Awaited are the peers that did not answer yet, while the node's acceptor and leader wait for
	// answers before they speak; see datadir.Admission.
	Awaited []string

	Configuration actors.Configuration // the latest that the node knows of

	Replica  actors.ReplicaView
	Leader   actors.LeaderView
	Acceptor actors.AcceptorView

	InOffice string        // the member whose leader is in office, as far as known here
	Actors   []actors.Addr // the roles that run, scouts and commanders among them
	Restarts map[string]int
	Runtime  runtime.Stats // what the roles did: who was in office since when and why, commanders in flight, mailboxes

	Client    ClientStats
	State     StateStats
	Disk      DiskStatus
	Journal   journal.Stats
	Transport transport.Stats
}

// Lag is how many slots this node's replica is behind the most advanced one.
func (s Status) Lag() uint64 {
	if s.Replica.Ahead <= s.Replica.SlotOut {
		return 0
	}
	return s.Replica.Ahead - s.Replica.SlotOut
}

// KeepsUp tells whether a member's replica is connected to this node, and less than
// WINDOW slots behind it.
func (s Status) KeepsUp(member string) bool {
	window := s.Configuration.Window
	if member == s.Member {
		return s.Lag() < window
	}
	executed := s.Replica.Executed[actors.ReplicaAddr(member)]
	return s.Replica.SlotOut > 0 && s.Transport.Peers[member].Connected && executed+window > s.Replica.SlotOut
}

// statusPatience is how long Status waits for an actor that is busy.
const statusPatience = 500 * time.Millisecond

// Status shows the node.
func (n *Node) Status() Status {
	c, me := n.Configuration(), n.me()
	s := Status{
		At: time.Now(), Member: n.options.Member, ID: me.ID, Configuration: c,
		CaughtUp: n.CaughtUp(), Actors: n.tree.Alive(), Restarts: n.tree.Restarts(), Runtime: n.tree.Stats(),
		Client: n.client.stats(), State: n.counts.show(),
		Journal: n.journal.Stats(), Transport: n.transport.Stats(),
	}
	if awaited := n.awaited.Load(); awaited != nil {
		s.Awaited = *awaited
	}
	runs := false // a role that is no replica
	if me.Replica {
		s.Replica, _ = show[actors.ReplicaView](n, &s, "replica", actors.ReplicaAddr(me.Name))
	}
	if me.Leader {
		s.Leader, runs = show[actors.LeaderView](n, &s, "leader", actors.LeaderAddr(me.Name, c.Epoch))
	}
	if me.Acceptor {
		s.Acceptor, runs = show[actors.AcceptorView](n, &s, "acceptor", actors.AcceptorAddr(me.Name, c.Epoch))
	}
	if m, ok := c.Member(s.Replica.Office.Leader); ok {
		s.InOffice = m.Name
	}
	s.Disk = n.diskStatus(&s)
	s.Ready = s.InOffice != "" || !me.Replica && runs
	return s
}

// Alive lists the roles of this node that run, scouts and commanders among them.
func (n *Node) Alive() []actors.Addr { return n.tree.Alive() }

// show puts a role that the member has into its status.
func show[V any](n *Node, s *Status, role string, a actors.Addr) (V, bool) {
	s.Roles = append(s.Roles, role)
	if len(s.Awaited) > 0 && !slices.Contains(s.Actors, a) {
		n.options.Logger.Debug("a role does not run yet", "role", a, "waits for", s.Awaited)
		var none V
		return none, false
	}
	v, ok := view[V](n, a)
	if !ok {
		s.Silent = append(s.Silent, role)
	}
	return v, ok
}

// view asks a role to show itself; one that does not is shown as zero.
func view[V any](n *Node, a actors.Addr) (V, bool) {
	shown, err := n.tree.View(a, statusPatience)
	if err != nil {
		n.options.Logger.Debug("a role does not show itself", "role", a, "error", err)
	}
	v, ok := shown.(V)
	return v, ok
}
