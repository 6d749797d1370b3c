package conformance

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// node is a member's process, and what its predecessors on the same disk were.
type node struct {
	opened *messages.Opened // the last
	past   past
}

// kind is which of the paper's processes a role is.
type kind int

const (
	replicaRole kind = iota
	acceptorRole
	leaderRole
	scoutRole
	commanderRole
)

// role is one life of an actor.
type role struct {
	self    actors.Addr
	life    uint64
	kind    kind
	epoch   *epoch // but of replicas
	member  actors.Member
	parent  actors.Addr   // of scouts and commanders
	round   uint64        // theirs
	slot    uint64        // of commanders
	started bool          // all that was restored is restored
	turn    proto.Message // under way

	restored *store             // until it started
	written  uint64             // records persisted
	durable  uint64             // of those, on disk
	unsynced []*messages.Record // the others
}

// onOpened begins a process: all that lived on its member is gone (S11).
func (r *Referee) onOpened(e actors.Event) {
	o, ok := e.Message.(*messages.Opened)
	if !ok {
		r.breaks("trace", "an opened without what it opened")
		return
	}
	r.counts.Starts++
	r.makeRoom(string(e.Self), o)
	r.sameDisk(e.Self, o) // it tells, too, whether the trace is whole
	r.knows(o)
	if o.Member != 0 && r.named[o.Member] != string(e.Self) {
		r.breaks("S11", fmt.Sprintf("%s is not the name of member %d", e.Self, o.Member))
		return
	}
	for addr := range r.roles {
		if addr.Member() == string(e.Self) {
			delete(r.roles, addr)
		}
	}
	r.nodes[string(e.Self)] = &node{opened: o, past: r.happened(fmt.Sprintf("was opened with disk %x, incarnation %d", o.Disk, o.Incarnation))}
	r.openReplica(string(e.Self), o)
}

// makeRoom forgets the member that had a name before it was removed, when another one
// comes with the name, and a disk of its own.
func (r *Referee) makeRoom(name string, o *messages.Opened) {
	was := r.nodes[name]
	if was == nil || was.opened.Disk == o.Disk || len(r.epochs) == 0 {
		return
	}
	if m, _ := r.latest().Named(name); was.opened.Member != 0 && m.ID == was.opened.Member {
		return // it is a member still, and may not lose its disk
	}
	if was.opened.Member == 0 && !r.mayBeBlank(name) {
		return
	}
	was.opened = &messages.Opened{Cluster: o.Cluster, Disk: o.Disk}
	self := actors.ReplicaAddr(name)
	if m, ok := r.latest().Named(name); ok && m.Replica {
		r.replicas[self] = &replica{self: self, id: m.ID, slotOut: 1}
	} else {
		delete(r.replicas, self)
	}
}

// mayBeBlank reports whether a node that was opened before it was a member may come with another
// disk: its acceptor and its leader never ran, or the member that they were of was removed.
func (r *Referee) mayBeBlank(name string) bool {
	var acted uint32 // the last member of that name of which a role wrote
	for _, e := range r.epochs {
		for addr := range r.disks {
			if m, is := e.Named(name); is && addr.Member() == name && strings.HasPrefix(addr.Path(), actors.EpochPath(e.Epoch)+"/") {
				acted = m.ID
			}
		}
	}
	m, member := r.latest().Named(name)
	return acted == 0 || !member || m.ID != acted
}

// sameDisk judges S11 when a process begins.
func (r *Referee) sameDisk(self actors.Addr, o *messages.Opened) {
	for name, other := range r.nodes {
		switch was := other.opened; {
		case was.Cluster != o.Cluster:
			r.breaks("S11", fmt.Sprintf("%s is of cluster %q, %s of %q", self, o.Cluster, name, was.Cluster), other.past)
		case name == string(self) && was.Disk != o.Disk:
			r.breaks("S11", fmt.Sprintf("%s comes back with another disk", self), other.past)
		case name == string(self) && was.Incarnation >= o.Incarnation:
			r.breaks("S11", fmt.Sprintf("%s comes back with incarnation %d after %d", self, o.Incarnation, was.Incarnation), other.past)
		case name != string(self) && was.Disk == o.Disk:
			r.breaks("S11", fmt.Sprintf("%s and %s share a disk", self, name), other.past)
		}
	}
	if r.nodes[string(self)] == nil && (starts(o) > 1 || o.Executed > 1) {
		r.whole = false // what was before the trace is not known
	}
}

// starts counts the starts on a disk, the opened one among them. A node has the count in the upper
// half of its incarnation; the simulator, and an earlier version, count in the lower one.
func starts(o *messages.Opened) uint64 {
	if n := o.GetIncarnation() >> 32; n > 0 {
		return n
	}
	return o.GetIncarnation()
}

// roleOf finds the role of an event, or begins its life.
func (r *Referee) roleOf(e actors.Event) *role {
	if r.isOver(e.Self) {
		if e.Kind == actors.Sent {
			r.wire.say(e.Peer, e.Message)
		}
		return nil
	}
	p := r.roles[e.Self]
	begins := e.Kind == actors.Restored || e.Kind == actors.Started
	state := e.Kind == actors.Executed || e.Kind == actors.Installed // the state does not know the life
	switch {
	case p != nil && (p.life == e.Life || state):
		if begins && p.started {
			r.breaks("trace", fmt.Sprintf("%s starts twice in one life", e.Self))
		}
		return p
	case !begins:
		r.breaks("trace", fmt.Sprintf("%s does something in life %d, which never began or is over", e.Self, e.Life))
		return nil
	case p != nil && p.life > e.Life:
		r.breaks("trace", fmt.Sprintf("%s begins life %d after %d", e.Self, e.Life, p.life))
	}
	p = &role{self: e.Self, life: e.Life}
	if why := r.place(p); why != "" {
		r.breaks("trace", fmt.Sprintf("%s begins a life: %s", e.Self, why))
		return nil
	}
	p.restored = newStore(p.epoch)
	r.roles[e.Self] = p
	return p
}

// isOver tells whether a role is of an epoch that is over: what it does matters to
// nobody any more.
func (r *Referee) isOver(a actors.Addr) bool {
	if len(r.epochs) == 0 || r.epochs[0].Epoch == 1 {
		return false
	}
	number, ok := a.Epoch()
	return ok && number < r.epochs[0].Epoch
}

// place finds where in the tree of its node a role stands; it returns what is wrong.
func (r *Referee) place(p *role) string {
	member := p.self.Member()
	if r.nodes[member] == nil {
		return "its node was not opened"
	}
	if p.self == actors.ReplicaAddr(member) {
		p.kind = replicaRole
		return orElse(r.replicas[p.self] != nil, "its member has no replica")
	}
	number, ok := p.self.Epoch()
	if !ok {
		return "there is no such role"
	}
	if p.epoch = r.epochNumbered(number); p.epoch == nil {
		return "its epoch is not decided, or over"
	}
	p.member, _ = p.epoch.Named(member)
	switch p.self {
	case actors.AcceptorAddr(member, number):
		p.kind = acceptorRole
		return orElse(p.member.Acceptor, "its member has no acceptor")
	case actors.LeaderAddr(member, number):
		p.kind = leaderRole
		return orElse(p.member.Leader, "its member has no leader")
	}
	if !p.child() {
		return "there is no such role"
	}
	switch {
	case r.roles[p.parent] == nil:
		return "its leader does not live"
	case p.kind == scoutRole:
		return orElse(r.campaigns[p.self] != nil, "nobody spawned it")
	}
	return orElse(r.proposals[p.self] != nil || p.slot < r.floor, "nobody spawned it")
}

func orElse(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// child reads what the name of a scout or a commander says.
func (p *role) child() bool {
	i := strings.LastIndexByte(string(p.self), '/')
	p.parent = p.self[:max(i, 0)]
	name := string(p.self[i+1:])
	if n, _ := fmt.Sscanf(name, "scout-%d", &p.round); n == 1 {
		p.kind = scoutRole
		return name == fmt.Sprintf("scout-%d", p.round)
	}
	p.kind = commanderRole
	n, _ := fmt.Sscanf(name, "commander-%d-%d", &p.round, &p.slot)
	return n == 2 && name == fmt.Sprintf("commander-%d-%d", p.round, p.slot)
}

// ballot is that of a scout or a commander: no two leaders share one.
func (p *role) ballot() actors.Ballot { return actors.Ballot{Round: p.round, Leader: p.member.ID} }

// onStarted ends what is given back to a role, and begins its life.
func (r *Referee) onStarted(p *role) {
	r.counts.Lives++
	r.takeBack(p)
	p.started = true
	switch p.kind {
	case replicaRole:
		r.replicas[p.self].start()
	case acceptorRole:
		r.acceptors[p.self].start(r.disks[p.self].known)
	case leaderRole:
		// Its children are gone before it comes back.
		for addr, child := range r.roles {
			if child.parent == p.self {
				delete(r.roles, addr)
			}
		}
		r.leaders[p.self].start(p.life)
	case scoutRole:
		r.campaigns[p.self].reports = make(map[actors.Addr]*report) // it asks anew
	}
}

// onSpawned is told when a leader spawns a scout or a commander.
func (r *Referee) onSpawned(p *role, name actors.Addr) {
	child := &role{self: name, member: p.member}
	if p.kind != leaderRole || !child.child() || child.parent != p.self {
		r.breaks("figures", fmt.Sprintf("%s spawns %s", p.self, name))
		return
	}
	if child.kind == scoutRole {
		r.spawnsScout(r.leaders[p.self], child)
	} else {
		r.spawnsCommander(r.leaders[p.self], child)
	}
}
