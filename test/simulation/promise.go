package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/pmmc-go/pmmc/actors"
)

// This file judges the promise of progress (L1) while faults last: as long as a majority of
// the acceptors, one replica and one leader are up and hear each other, the clients at such a
// replica get their answers, whatever becomes of all others.

// failover bounds the time in which clients get their answers, from the moment at which the
// last fault struck: the leader in office is missed, another one is elected, and what was
// lost meanwhile is asked for again.
const failover = 100 * tick

// stretchEvery is after how many rounds of trouble faults last for long.
const stretchEvery = 4

// stretch has the faults last, without another one, and wants what is promised. Messages
// are lost, repeated and delayed meanwhile as before, links stay down, nodes stay down and
// disks hang; no more roles panic, and no more disks fail.
func (w *World) stretch() {
	if w.Deaf && w.rng.IntN(2) == 0 {
		w.deafen()
	}
	if w.Idle && w.rng.IntN(2) == 0 {
		w.tell("clients ask for nothing")
		w.idle = true
	}
	w.tell("faults last")
	panics, badSync := w.Panic, w.BadSync
	w.Panic, w.BadSync = 0, 0
	w.Run(failover + w.draw(failover/2))
	if w.Now-w.crashed >= failover {
		w.judgePromise()
	}
	w.Panic, w.BadSync, w.idle = panics, badSync, false
}

// deafen cuts the leader in office off in one direction.
func (w *World) deafen() {
	leader := w.findOffice()
	if leader == nil {
		return
	}
	w.Heal()
	mute := w.rng.IntN(3) == 0
	if w.Lease > 0 && w.rng.IntN(2) == 0 {
		// What it is granted comes late, and goes on to come when nobody hears it any more.
		mute = true
		leader.slow = 4*tick + w.draw(6*tick)
		w.Run(30 * tick)
	}
	for _, n := range w.Nodes {
		if mute {
			w.Cut(leader.name, n.name)
		} else {
			w.Cut(n.name, leader.name)
		}
	}
	w.Counts["deaf"]++
	w.tell("links: %s, in office, is cut off in one direction; mute is %t", leader.name, mute)
}

// judgePromise wants that clients to whom progress is promised wait for nothing that is
// older than a failover takes: all of them, or one of them where a leader that some of them
// do not hear can be in office.
func (w *World) judgePromise() {
	inForce := w.inForce()
	promised, elsewhere := w.promised(inForce)
	var late []string
	for _, n := range promised {
		w.Counts["promise"]++
		if why := n.isLate(); why != "" {
			late = append(late, fmt.Sprintf("%s %s:%s", n.name, why, n.view()))
		}
	}
	if len(late) > 0 && (!elsewhere || len(late) == len(promised)) {
		w.broken("liveness: while faults last, though it hears a majority, %s", late[0])
	}
}

// isLate tells what a node has waited for since before the last failover; "" if nothing.
func (n *Node) isLate() string {
	late := n.world.Now - failover
	oldest, latest := n.Client.oldest(), n.state.latest()
	switch {
	case n.restores() || n.state.Out+n.world.Window < n.world.ahead():
		// It catches up, with clients who do not wait for it: that may take longer.
	case oldest <= late:
		return fmt.Sprintf("waits since %v", oldest)
	case latest.First > n.state.Out && n.state.changed <= late:
		return fmt.Sprintf("knows of epoch %d since %v, which is not in force", latest.Epoch, n.state.changed)
	}
	return ""
}

// ahead is the slot_out of the state that has executed most.
func (w *World) ahead() (most uint64) {
	for _, n := range w.Nodes {
		most = max(most, n.state.Out)
	}
	return most
}

// promised lists the nodes of the replicas to whom progress is promised, and tells whether a
// leader can be in office whom one of them does not hear.
func (w *World) promised(inForce []actors.Configuration) (all []*Node, elsewhere bool) {
	for bits := range 1 << len(w.Nodes) {
		var set []*Node
		for i, n := range w.Nodes {
			if bits&(1<<i) != 0 {
				set = append(set, n)
			}
		}
		if !w.hearEachOther(set) || !govern(set, inForce) {
			continue
		}
		for _, n := range set {
			if n.member().Replica && !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	for _, leader := range w.Nodes {
		for _, n := range all {
			elsewhere = elsewhere || !w.hearEachOther([]*Node{leader, n}) && w.canLead(leader, inForce)
		}
	}
	return all, elsewhere
}

// canLead tells whether a node hears a majority of the acceptors of a configuration, and they
// hear it.
func (w *World) canLead(leader *Node, inForce []actors.Configuration) bool {
	return leader.up && slices.ContainsFunc(inForce, func(c actors.Configuration) bool {
		heard := 0
		for _, n := range w.Nodes {
			me, _ := c.Named(n.name)
			heard += one(me.Acceptor && n.up && !w.cut[[2]string{n.name, leader.name}] && !w.cut[[2]string{leader.name, n.name}])
		}
		return 2*heard > len(c.Acceptors())
	})
}

// hearEachOther tells whether nodes are well, and all links between them up.
func (w *World) hearEachOther(set []*Node) bool {
	for _, n := range set {
		if !n.takesPart() || n.hangs || n.slow > 0 {
			return false
		}
		for _, m := range set {
			if w.cut[[2]string{n.name, m.name}] {
				return false
			}
		}
	}
	return true
}

// govern tells whether nodes are a majority of the acceptors, a replica and a leader of each
// configuration.
func govern(set []*Node, all []actors.Configuration) bool {
	for _, c := range all {
		acceptors, replicas, leaders := 0, 0, 0
		for _, n := range set {
			me, _ := c.Named(n.name) // the zero one has no role
			if me.ID != n.member().ID {
				continue // another one of that name
			}
			acceptors += one(me.Acceptor)
			replicas += one(me.Replica)
			leaders += one(me.Leader)
		}
		if 2*acceptors <= len(c.Acceptors()) || replicas == 0 || leaders == 0 {
			return false
		}
	}
	return true
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// inForce are the configurations that some node or state takes to be in force: those that
// are, and perhaps earlier ones.
func (w *World) inForce() []actors.Configuration {
	byEpoch := make(map[uint64]actors.Configuration)
	for _, n := range w.Nodes {
		for _, c := range n.epochs {
			byEpoch[c.Epoch] = c
		}
		for _, c := range n.state.configurations() {
			byEpoch[c.Epoch] = c
		}
	}
	var all []actors.Configuration
	for _, c := range byEpoch {
		all = append(all, c)
	}
	return all
}

// oldest is since when the client waits for the oldest of its operations; the present if for
// none.
func (c *Client) oldest() time.Duration {
	oldest := c.node.world.Now
	for _, a := range c.open {
		oldest = min(oldest, a.since)
	}
	for _, a := range c.reads {
		oldest = min(oldest, a.since)
	}
	return oldest
}

// findOffice is the node of the leader in office with the highest ballot, or nil.
func (w *World) findOffice() (node *Node) {
	var highest actors.Ballot
	for _, n := range w.Nodes {
		for _, p := range n.roles {
			l, ok := p.role.(*actors.Leader)
			if ok && l.View().Standing == "active" && l.View().Ballot.Compare(highest) > 0 {
				node, highest = n, l.View().Ballot
			}
		}
	}
	return node
}
