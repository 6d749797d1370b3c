package simulation

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// process is one life of a role, and its Env: what the shell is to a live one.
type process struct {
	node    *Node
	self    actors.Addr
	life    uint64     // of all that begin while its node is up
	rand    *rand.Rand // its own
	role    actors.Role
	build   func() actors.Role
	turnOf  proto.Message // under way
	gone    bool
	written int      // records persisted
	durable int      // of those, on disk
	waiting []effect // first in, first out
	fuse    int      // effects to go until the turn panics; 0 is no panic
}

type effect struct {
	after int // records that must be durable
	do    func()
}

// planted is the reason of a panic that the world made.
const planted = "planted"

// start begins a life of a role.
func (n *Node) start(self actors.Addr, build func() actors.Role) *process {
	n.lives++
	p := &process{node: n, self: self, life: n.lives, rand: n.randOf(self, n.lives), role: build(), build: build}
	n.roles[self] = p
	if restorer, ok := p.role.(actors.Restorer); ok {
		for _, rec := range n.disk {
			if rec.Owner == self.Path() {
				p.observe(actors.Event{Kind: actors.Restored, Message: rec})
				restorer.Restore(rec)
			}
		}
	}
	p.observe(actors.Event{Kind: actors.Started})
	p.role.Start(p)
	return p
}

// turn is one turn of the role's loop; it may end in a panic.
func (p *process) turn(m proto.Message) {
	w := p.node.world
	if w.happens(w.Panic) {
		p.fuse = 1 + w.rng.IntN(3)
	}
	p.turnOf = m
	p.observe(actors.Event{Kind: actors.Received, Message: m})
	defer func() {
		if r := recover(); r == planted {
			p.restart()
		} else if r != nil {
			panic(r)
		}
	}()
	p.role.Receive(p, m)
	p.fuse = 0
}

// restart is what supervision does: a new life, from what is on disk.
func (p *process) restart() {
	n := p.node
	n.world.Counts["panic"]++
	n.world.tell("%s panics", p.self)
	p.observe(actors.Event{Kind: actors.Panicked})
	for addr, child := range n.roles {
		if strings.HasPrefix(string(addr), string(p.self)+"/") {
			child.gone = true
			delete(n.roles, addr)
		}
	}
	p.gone = true
	n.thaw() // what is read back from the journal was synced before
	n.start(p.self, p.build)
	n.world.at(0, n.release)
}

func (p *process) observe(e actors.Event) {
	e.Self, e.Life = p.self, p.life
	p.node.world.observe(e)
}

// burn ends the turn when its fuse is out.
func (p *process) burn() {
	if p.fuse > 0 {
		if p.fuse--; p.fuse == 0 {
			panic(planted)
		}
	}
}

// Self is the role's address.
func (p *process) Self() actors.Addr { return p.self }

// Now is the node's clock.
func (p *process) Now() time.Duration {
	return time.Duration(float64(p.node.world.Now)*p.node.rate) + p.node.ahead
}

// Rand draws from the node's seed, and from the life.
func (p *process) Rand() uint64 { return p.rand.Uint64() }

// randOf is what a life of a role draws from, as the shell in actors/runtime has it.
func (n *Node) randOf(self actors.Addr, life uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(self)) // a hash takes all
	return rand.New(rand.NewPCG(n.seed, h.Sum64()+life))
}

// Life is its number.
func (p *process) Life() uint64 { return p.life }

// Refuse is never called: roles are sent what they know.
func (p *process) Refuse(m proto.Message) { p.node.world.broken("%s refuses %T", p.self, m) }

// Send sends, now or when the barrier allows.
func (p *process) Send(to actors.Addr, m proto.Message) {
	p.burn()
	p.effect(func() { p.send(to, m) })
}

// Forward sends the message of this turn at once.
func (p *process) Forward(to actors.Addr) {
	p.burn()
	p.send(to, p.turnOf)
}

func (p *process) send(to actors.Addr, m proto.Message) {
	p.observe(actors.Event{Kind: actors.Sent, Peer: to, Message: m})
	p.node.world.deliver(p.node.name, to, m)
}

// Spawn spawns, now or when the barrier allows.
func (p *process) Spawn(name string, build func() actors.Role) {
	p.burn()
	addr := actors.Addr(string(p.self) + "/" + name)
	p.effect(func() {
		p.observe(actors.Event{Kind: actors.Spawned, Peer: addr})
		if old, ok := p.node.roles[addr]; ok && !old.gone {
			return
		}
		p.node.start(addr, build)
		kind, _, _ := strings.Cut(name, "-")
		p.node.world.Counts[kind]++
	})
}

// Exit ends the role.
func (p *process) Exit() {
	p.observe(actors.Event{Kind: actors.Exited})
	p.gone = true
	delete(p.node.roles, p.self)
}

// After sends to the role itself, by its node's clock.
func (p *process) After(d time.Duration, m proto.Message) {
	n := p.node
	n.world.at(time.Duration(float64(d)/n.rate), func() {
		if n.up && n.roles[p.self] == p && !p.gone {
			n.receive(p.self, m)
		}
	})
}

// effect does what the disk barrier allows now, or leaves it for later.
func (p *process) effect(do func()) {
	if p.durable == p.written && len(p.waiting) == 0 {
		do()
		return
	}
	p.waiting = append(p.waiting, effect{after: p.written, do: do})
}

// release lets out what the disk has caught up with.
func (p *process) release() {
	for !p.gone && p.node.up && len(p.waiting) > 0 && p.waiting[0].after <= p.durable {
		do := p.waiting[0].do
		p.waiting = p.waiting[1:]
		do()
	}
}

// Persist writes a record; the disk is not done with it yet.
func (p *process) Persist(rec *messages.Record) {
	p.burn()
	n := p.node
	rec = proto.Clone(rec).(*messages.Record)
	rec.Owner = p.self.Path()
	p.written++
	p.observe(actors.Event{Kind: actors.Persisted, Number: uint64(p.written), Message: rec})
	n.dirty = append(n.dirty, dirty{rec, p})
	life := n.life
	n.world.at(n.world.draw(n.world.Sync), func() {
		for _, d := range n.dirty {
			if n.up && n.life == life && d.rec == rec {
				n.sync(rec)
				return
			}
		}
	})
}

// Recall reads what is on disk.
func (p *process) Recall(first, last uint64, f func(*messages.PValue) bool) {
	p.node.world.Counts["recall"]++
	if p.node.world.happens(p.node.world.BadRead) {
		return
	}
	for _, rec := range p.node.disk {
		if v := rec.GetPvalue(); v != nil && rec.Owner == p.self.Path() && first <= v.Slot && v.Slot <= last && !f(proto.Clone(v).(*messages.PValue)) {
			return
		}
	}
}

// restores tells whether a node's replica fetches a snapshot.
func (n *Node) restores() bool {
	p := n.roles[actors.ReplicaAddr(n.name)]
	return p != nil && p.role.(*actors.Replica).View().Restoring
}

// view shows a node's roles.
func (n *Node) view() string {
	var b strings.Builder
	for _, p := range n.roles {
		switch r := p.role.(type) {
		case *actors.Replica:
			fmt.Fprintf(&b, "\n  %s %+v", p.self, r.View())
		case *actors.Leader:
			fmt.Fprintf(&b, "\n  %s %+v", p.self, r.View())
		}
	}
	return b.String()
}
