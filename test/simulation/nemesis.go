package simulation

import (
	"slices"

	"github.com/pmmc-go/pmmc/actors"
)

// trouble does something to the cluster.
func (w *World) trouble() {
	if w.Disks && w.rng.IntN(4) == 0 {
		w.loseDisk()
		return
	}
	n := w.Nodes[w.rng.IntN(len(w.Nodes))]
	switch w.rng.IntN(13) {
	case 0, 1:
		if n.up {
			n.Crash()
		}
	case 2, 3, 4:
		if !n.up {
			n.restart()
		}
	case 5, 6:
		w.breakLinks()
	case 7:
		w.Heal()
		w.tell("links: all up")
	case 8:
		if w.rng.IntN(3) == 0 {
			w.crashAll()
		}
	case 9:
		switch {
		case n.hangs:
			n.thaw()
			w.tell("the disk of %s goes on", n.name)
			return
		case w.Hangs && w.rng.IntN(2) == 0:
			n.freeze()
			return
		}
		n.slow = w.draw(2 * tick)
		w.tell("%s is slow by %v", n.name, n.slow)
	case 10:
		if w.Jumps {
			jump := w.draw(30 * tick)
			n.ahead += jump
			w.Counts["jump"]++
			w.tell("the clock of %s jumps by %v", n.name, jump)
		}
	case 11, 12:
		w.reconfigure()
	}
}

func (n *Node) restart() {
	n.world.tell("%s starts", n.name)
	n.world.Counts["start"]++
	n.Start()
}

// crashAll is a power cut.
func (w *World) crashAll() {
	w.tell("the power goes")
	w.Counts["power cut"]++
	for _, n := range w.Nodes {
		if n.up {
			n.Crash()
		}
	}
	for _, n := range w.Nodes {
		n.restart()
	}
}

// reconfigure has some client ask for another configuration, made of the one that its
// node knows: a member is added, removed, or plays other roles.
func (w *World) reconfigure() {
	n := w.Nodes[w.rng.IntN(len(w.Nodes))]
	if w.Spare == 0 || !n.takesPart() || !n.member().Replica || n.Client.stopped {
		return
	}
	next := n.latest()
	next.Epoch++
	next.Members = slices.Clone(next.Members)
	name := w.Nodes[w.rng.IntN(len(w.Nodes))].name
	switch {
	case w.replaceLost(&next):
	case !w.add(&next, name):
		w.change(&next, name)
	}
	if isSound(next) && w.lostOf(next) <= mayFail(next) && (w.Roles || len(next.Replicas()) >= 3) && next.Follows(n.latest()) == nil {
		w.tell("%s asks for epoch %d", n.name, next.Epoch)
		n.Client.reconfigure(next)
	}
}

// replaceLost puts a new member, of another name, in the place of one that lost its disk.
func (w *World) replaceLost(c *actors.Configuration) bool {
	lost := slices.IndexFunc(c.Members, func(m actors.Member) bool { return w.lost[m.ID] })
	free := slices.IndexFunc(w.Nodes, func(n *Node) bool { _, member := c.Named(n.name); return !member && n.up })
	if lost < 0 || free < 0 {
		return false
	}
	c.Members = slices.Delete(c.Members, lost, lost+1)
	return w.add(c, w.Nodes[free].name)
}

// change removes a member, or changes its roles.
func (w *World) change(c *actors.Configuration, name string) {
	i := slices.IndexFunc(c.Members, func(m actors.Member) bool { return m.Name == name })
	if w.rng.IntN(3) == 0 {
		w.changeRole(&c.Members[i])
	} else {
		c.Members = slices.Delete(c.Members, i, i+1)
	}
}

// changeRole gives a role to a member, or takes it.
func (w *World) changeRole(m *actors.Member) {
	role := &m.Acceptor
	if w.Roles {
		role = []*bool{&m.Acceptor, &m.Replica, &m.Leader}[w.rng.IntN(3)]
	}
	*role = !*role
}

// add adds a node as a member, unless it is one. A node that was removed comes back as
// another member, on another disk.
func (w *World) add(c *actors.Configuration, name string) bool {
	if _, ok := c.Named(name); ok {
		return false
	}
	c.Members = append(c.Members, w.castMember(c.LastID+1, name))
	return true
}
