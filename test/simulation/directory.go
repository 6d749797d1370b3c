package simulation

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/messages"
)

// This file is a node's data directory: whose it is, who admits it to its cluster (S11), and
// what becomes of it when a disk is lost, or an older copy of it is put back.

// directory is what a data directory holds.
type directory struct {
	id     *messages.Identity     // nil if it is empty
	epochs []actors.Configuration // in force, as far as it was told
	disk   []*messages.Record     // that roles wrote
	saved  []byte                 // the state as it was last flushed
}

// open reads the identity, or draws one, and numbers the start.
func (n *Node) open() {
	if n.id == nil {
		n.disks++
		n.id = &messages.Identity{
			Cluster: "simulation", Name: n.name, Disk: uint64(1000*n.disks + slices.Index(n.world.Nodes, n) + 1),
		}
		if me, founder := n.world.Config.Named(n.name); founder && !n.replaced {
			n.id.Member, n.epochs = me.ID, []actors.Configuration{n.world.Config}
		}
	}
	if n.id.Admitted && n.backup.id == nil && n.world.Disks && n.world.rng.IntN(2) == 0 {
		n.backup = n.directory
		n.backup.disk = slices.Clone(n.disk)
	}
	next := proto.Clone(n.id).(*messages.Identity)
	next.Incarnation = datadir.NextIncarnation(uint32(n.world.rng.Uint64()), n.id.Incarnation, n.state.incarnation(n.id.Member))
	next.Admitted = next.Admitted || !n.world.Disks
	n.id = next
	n.admission, n.opened = datadir.NewAdmission(n.id, n.latest()), false
	if !n.wiped {
		n.opened = true
		n.observeOpened()
	}
}

func (n *Node) save(next *messages.Identity) {
	n.id = next
	n.admission.Saved(next)
}

// admit lets the roles run once enough peers know the directory.
func (n *Node) admit(heir uint32) {
	if !n.id.Admitted {
		if !n.admission.MayAdmit() {
			return
		}
		next := proto.Clone(n.id).(*messages.Identity)
		next.Admitted = true
		n.save(next)
		n.world.Counts["admitted"]++
	}
	if n.wiped && (!n.speaks() || n.member().ID == 0) {
		return // no role of it runs
	}
	if !n.opened {
		n.opened = true
		n.observeOpened()
	}
	n.run(heir)
}

// speaks reports whether the acceptors and leaders of this start may run.
func (n *Node) speaks() bool { return !n.world.Disks || n.admission.Speaks() }

// hello tells peers of this start, again and again.
func (n *Node) hello() {
	if !n.world.Disks {
		return
	}
	life, self := n.life, actors.StewardAddr(n.name)
	if n.id.Member != 0 {
		for _, peer := range n.admission.Unwelcomed() {
			n.world.deliver(n.name, actors.StewardAddr(peer), n.admission.Hello(self))
		}
	}
	n.world.at(tick, func() {
		if n.up && n.life == life {
			n.hello()
		}
	})
}

func (n *Node) onHello(m *messages.Hello) {
	answer, next, _ := n.admission.OnHello(actors.StewardAddr(n.name), m)
	switch {
	case next != nil && n.hangs:
		return // it waits for its disk; the other one says hello again
	case next != nil:
		n.save(next)
	}
	n.world.deliver(n.name, actors.Addr(m.From), answer)
}

func (n *Node) onWelcome(m *messages.Welcome) {
	refusal, next := n.admission.OnWelcome(m)
	if next != nil && n.hangs {
		return
	}
	if next != nil {
		n.save(next)
	}
	if refusal != "" {
		n.world.tell("%s says to %s: %s", m.From, n.name, refusal)
		n.world.Counts["refused"]++
		n.Crash()
		if n.id.Admitted { // an older copy, with which no node starts again
			n.directory = directory{}
		}
		return
	}
	n.admit(n.heir)
}

// replaceDisk is what an operator does whose node says that its disk is of a member that
// was removed, when another member has its name: the disk is of no use to that (S11).
func (n *Node) replaceDisk() {
	n.world.tell("%s gets an empty disk", n.name)
	n.directory, n.backup, n.replaced, n.wiped = directory{}, directory{}, true, false
}

// loseDisk ends a node and does something to its directory; its member is lost for good.
func (w *World) loseDisk() {
	n := w.Nodes[w.rng.IntN(len(w.Nodes))]
	me := n.member().ID
	if n.id == nil || me == 0 || !w.mayLose(me) {
		return
	}
	if n.backup.id != nil && n.isKnownToAll() {
		w.putBack(n)
		return
	}
	if n.up {
		n.Crash()
	}
	w.lost[me] = true // though it may have said no more than hello
	w.stillborn = w.stillborn || !w.mayStillAdmit()
	w.tell("the disk of %s is lost", n.name)
	w.Counts["disk lost"]++
	n.directory, n.backup, n.wiped = directory{}, directory{}, true
}

// mayStillAdmit tells whether those who lost nothing and were admitted are enough to admit the
// others. A first cluster comes into being only when all its members know each other: one that
// is lost before that must be begun anew, by its operator (S11).
func (w *World) mayStillAdmit() bool {
	return !slices.ContainsFunc(w.inForce(), func(c actors.Configuration) bool {
		admitted := 0
		for _, m := range c.Members {
			id := w.nodeOf(actors.ReplicaAddr(m.Name)).id
			admitted += one(!w.lost[m.ID] && id.GetMember() == m.ID && id.GetAdmitted())
		}
		return 2*admitted <= len(c.Members)-1
	})
}

// putBack puts an older copy of a node's directory in the place of the latest.
func (w *World) putBack(n *Node) {
	n.Crash()
	w.lost[n.member().ID] = true
	w.stillborn = w.stillborn || !w.mayStillAdmit()
	w.tell("an older copy of the directory of %s is put back", n.name)
	w.Counts["older disk"]++
	n.directory, n.backup, n.wiped = n.backup, directory{}, true
}

// isKnownToAll tells whether all peers met the last start of a node: only then one of them
// is sure to tell an older copy of its directory from the latest.
func (n *Node) isKnownToAll() bool { return n.up && len(n.admission.Unwelcomed()) == 0 }

// mayLose tells whether one more member may be lost for good: f of 2f+1 acceptors.
func (w *World) mayLose(id uint32) bool {
	if w.lost[id] {
		return false
	}
	for _, c := range w.inForce() {
		if _, member := c.Member(id); member && w.lostOf(c) >= mayFail(c) {
			return false
		}
	}
	return true
}

// lostOf is how many members of a configuration lost what they had promised.
func (w *World) lostOf(c actors.Configuration) (lost int) {
	for _, m := range c.Members {
		lost += one(w.lost[m.ID])
	}
	return lost
}

// takesPart tells whether a node is up and was admitted.
func (n *Node) takesPart() bool { return n.up && n.id.Admitted }
