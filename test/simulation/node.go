package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/messages"
)

// Node is one member: a disk, a state, a clock, and the roles that live on it.
type Node struct {
	Client *Client
	directory

	world *World
	name  string
	up    bool
	life  int    // counts its starts
	lives uint64 // of roles, since it started
	seed  uint64 // of what its roles draw; each start has another
	roles map[actors.Addr]*process
	dirty []dirty // written, not synced
	state *State

	admission *datadir.Admission
	opened    bool      // the referee knows of this start
	wiped     bool      // its directory has not what its member promised, and must not be used
	heir      uint32    // whose leader is to run first in a new epoch
	disks     int       // how many directories it had
	replaced  bool      // it waits to be added: it is no founder any more
	backup    directory // an older copy

	rate   float64       // of its clock, …
	ahead  time.Duration // … and how far it has jumped
	slow   time.Duration // that everything takes longer to reach it
	hangs  bool          // its disk completes nothing
	paused bool          // its process stands still, …
	held   []func()      // … and this comes when it goes on
}

// tick is that of the roles, by which all else is measured.
const tick = 200 * time.Millisecond

// diskTimeout is how long the disk of a leader in office may complete nothing.
const diskTimeout = 12 * tick

type dirty struct {
	rec *messages.Record
	by  *process
}

// latest is the last configuration that the node knows of.
func (n *Node) latest() (c actors.Configuration) {
	if len(n.epochs) > 0 {
		c = n.epochs[len(n.epochs)-1]
	}
	return c
}

// member is the node as the last configuration that has it says.
func (n *Node) member() (m actors.Member) {
	for _, c := range n.epochs {
		if me, ok := c.Named(n.name); ok {
			m = me
		}
	}
	return m
}

// Start starts a node on what its disk holds.
func (n *Node) Start() {
	if n.id.GetSpent() != "" {
		return // as package cluster refuses it
	}
	n.up, n.hangs, n.life = true, false, n.life+1
	n.paused, n.held = false, nil
	n.lives, n.seed = 0, n.world.rng.Uint64()
	n.roles = make(map[actors.Addr]*process)
	n.state = NewState(n)
	n.state.load(n.saved)
	n.open()
	n.admit(0)
	n.Client = newClient(n)
	n.flushLater()
	n.hello()
	n.greet()
}

// greet is what nodes tell each other when they connect: the configurations in force. It
// goes on until it has arrived.
func (n *Node) greet() {
	w, life := n.world, n.life
	for _, other := range w.Nodes {
		if other.up && other.latest().Epoch > n.latest().Epoch {
			m := &messages.Configured{From: string(actors.StewardAddr(other.name))}
			for _, c := range other.epochs {
				m.Configurations = append(m.Configurations, c.Proto())
			}
			w.deliver(other.name, actors.StewardAddr(n.name), m)
		}
	}
	w.at(10*tick, func() {
		if n.up && n.life == life {
			n.greet()
		}
	})
}

func (n *Node) observeOpened() {
	o := &messages.Opened{
		Cluster: "simulation", Member: n.id.Member, Disk: n.id.Disk,
		Incarnation: n.id.Incarnation, Executed: n.state.Out,
	}
	for _, c := range n.epochs {
		o.Configurations = append(o.Configurations, c.Proto())
	}
	n.world.observe(actors.Event{Kind: actors.Opened, Self: actors.Addr(n.name), Message: o})
}

// run starts what the configurations give to the node and does not live yet; heir is
// the member whose leader runs at once.
func (n *Node) run(heir uint32) {
	n.heir = heir
	replica, speaks := false, n.speaks()
	for i, c := range n.epochs {
		me, ok := c.Named(n.name)
		if !ok {
			continue
		}
		replica = replica || me.Replica
		if me.Acceptor && speaks && n.roles[actors.AcceptorAddr(n.name, c.Epoch)] == nil {
			n.start(actors.AcceptorAddr(n.name, c.Epoch), func() actors.Role { return n.newAcceptor(c) })
		}
		if me.Leader && speaks && n.roles[actors.LeaderAddr(n.name, c.Epoch)] == nil {
			eager := i > 0 && heir == me.ID
			n.start(actors.LeaderAddr(n.name, c.Epoch), func() actors.Role { return n.newLeader(c, me.ID, eager) })
		}
	}
	switch p := n.roles[actors.ReplicaAddr(n.name)]; {
	case replica && p == nil:
		n.start(actors.ReplicaAddr(n.name), n.newReplica)
	case !replica && p != nil: // and nobody answers its client any more
		p.gone = true
		delete(n.roles, p.self)
		n.Client.forsake()
	}
}

// configured is the node's steward: it runs what is in force.
func (n *Node) configured(m *messages.Configured) {
	var next []actors.Configuration
	for _, c := range m.Configurations {
		next = append(next, actors.ConfigurationOf(c))
	}
	last, known := next[len(next)-1].Epoch, n.latest().Epoch
	if last < known || last == known && next[0].Epoch <= n.epochs[0].Epoch {
		return
	}
	if _, added := next[len(next)-1].Named(n.name); known == 0 && !added {
		return
	}
	old, was := n.epochs, n.id.Member
	n.epochs = next
	for _, c := range old {
		if c.Epoch < next[0].Epoch {
			n.endEpoch(c.Epoch)
		}
	}
	n.world.Counts["epoch"]++
	if n.member().ID == 0 {
		n.world.tell("%s was removed", n.name)
		n.world.Counts["removed"]++
		n.Crash()
		return
	}
	if was != 0 && n.member().ID != was {
		n.Crash()
		n.replaceDisk()
		return
	}
	n.admission.Configure(n.latest())
	if id := proto.Clone(n.id).(*messages.Identity); id.Member == 0 {
		id.Member = n.member().ID
		n.save(id)
	}
	n.admit(m.Heir)
}

func (n *Node) endEpoch(epoch uint64) {
	prefix := fmt.Sprintf("%s/epoch-%d/", n.name, epoch)
	for addr, p := range n.roles {
		if strings.HasPrefix(string(addr), prefix) {
			p.gone = true
			delete(n.roles, addr)
		}
	}
}

func (n *Node) newAcceptor(c actors.Configuration) actors.Role {
	return actors.NewAcceptor(actors.AcceptorOptions{
		Configuration: c, ChunkBytes: n.world.Chunk, RetainSlots: n.world.Retain, RetainBytes: 4000, MemoryBytes: 300, Lease: n.world.Lease,
	})
}

func (n *Node) newLeader(c actors.Configuration, id uint32, eager bool) actors.Role {
	return actors.NewLeader(actors.LeaderOptions{
		ID: id, Configuration: c, Eager: eager, Tick: tick, Resend: 2 * tick,
		Timeout: actors.TimeoutOptions{
			Initial: 5 * tick, Min: 3 * tick, Max: 100 * tick, Factor: 2, Step: tick / 50,
		},
		DiskTimeout: diskTimeout, Lease: n.world.Lease, Drift: n.world.Drift,
	})
}

func (n *Node) newReplica() actors.Role {
	n.state.staged = nil // of a slot that a crash interrupted
	self := actors.ReplicaAddr(n.name)
	observed := actors.Observed(n.state, func(k actors.Kind, m proto.Message) {
		n.world.observe(actors.Event{Kind: k, Self: self, Message: m})
	})
	return actors.NewReplica(actors.ReplicaOptions{
		ID: n.member().ID, Name: n.name, Incarnation: n.id.Incarnation, Configuration: n.epochs[0], State: observed,
		Pipeline: n.world.Pipeline, BatchCommands: n.world.Batch, BatchBytes: 1 << 20, ChunkBytes: n.world.snapshotChunk(), Tick: tick,
	})
}

// snapshotChunk is a few hundred bytes, and more where faults last for long: a state is long
// then, too, and must arrive before it is out of date.
func (w *World) snapshotChunk() int {
	if w.Stretches {
		return 4000
	}
	return 300
}

// Crash ends a node; of what it wrote and did not sync, a part may be on disk.
func (n *Node) Crash() {
	n.up = false
	n.world.crashed = n.world.Now
	for _, d := range n.dirty[:n.world.rng.IntN(len(n.dirty)+1)] {
		n.disk = append(n.disk, d.rec)
	}
	n.dirty, n.roles = nil, nil
	n.Client.abandon()
	n.world.Counts["crash"]++
	n.world.tell("%s crashes", n.name)
}

// flushLater writes the state to disk, again and again.
func (n *Node) flushLater() {
	life := n.life
	n.world.at(4*tick+n.world.draw(20*tick), func() {
		if !n.up || n.life != life {
			return
		}
		if n.hangs {
			n.flushLater()
			return
		}
		n.saved = n.state.save()
		n.world.deliver(n.name, actors.ReplicaAddr(n.name), &messages.Flushed{Below: n.state.SlotOut()})
		n.flushLater()
	})
}

// sync makes durable all that was written up to a record: one fsync for many.
func (n *Node) sync(upTo *messages.Record) {
	if n.hangs {
		return // thaw makes up for it
	}
	if n.world.happens(n.world.BadSync) {
		n.world.tell("the disk of %s fails", n.name)
		n.world.Counts["bad sync"]++
		n.Crash()
		return
	}
	n.harden(1 + slices.IndexFunc(n.dirty, func(d dirty) bool { return d.rec == upTo }))
	n.release()
}

// freeze has the disk complete nothing until it is thawed.
func (n *Node) freeze() {
	n.world.Counts["hang"]++
	n.world.tell("the disk of %s hangs", n.name)
	n.hangs = true
}

// thaw has the disk complete all that was written meanwhile.
func (n *Node) thaw() {
	if n.hangs = false; n.up {
		n.harden(len(n.dirty))
		n.release()
	}
}

// harden puts the first of what was written on disk.
func (n *Node) harden(count int) {
	done := n.dirty[:count]
	n.dirty = n.dirty[count:]
	for _, d := range done {
		n.disk = append(n.disk, d.rec)
		if !d.by.gone {
			d.by.durable++
			d.by.observe(actors.Event{Kind: actors.Durable, Number: uint64(d.by.durable)})
		}
	}
}

// pause has the node's process stand still, as SIGSTOP does: what it is sent waits, its timers
// are late, and its clock and its disk go on.
func (n *Node) pause() {
	n.world.Counts["pause"]++
	n.world.tell("%s stands still", n.name)
	n.paused = true
}

// resume has a process that stood still go on, with all that came meanwhile.
func (n *Node) resume() {
	n.world.tell("%s goes on", n.name)
	held := n.held
	n.paused, n.held = false, nil
	for _, do := range held {
		if n.up {
			do()
		}
	}
}

// release lets out what the disk barriers of the roles allow.
func (n *Node) release() {
	if n.paused {
		n.held = append(n.held, n.release)
		return
	}
	for _, addr := range slices.Sorted(maps.Keys(n.roles)) {
		if p := n.roles[addr]; p != nil {
			p.release()
		}
	}
}

// receive hands a message to a role, if it lives.
func (n *Node) receive(to actors.Addr, m proto.Message) {
	if n.paused {
		n.held = append(n.held, func() { n.receive(to, m) })
		return
	}
	switch c := m.(type) {
	case *messages.Configured:
		n.configured(c)
		return
	case *messages.Hello:
		n.onHello(c)
		return
	case *messages.Welcome:
		n.onWelcome(c)
		return
	case *messages.Response, *messages.ReadReady:
		n.Client.receive(m)
		return
	}
	if p, ok := n.roles[to]; ok && !p.gone {
		n.world.Counts[string(m.ProtoReflect().Descriptor().Name())]++
		p.turn(m)
		if _, ok := m.(*messages.Learned); ok {
			n.compare(to)
		}
	}
}

// compare looks at whether a replica found another one that executed other decrees.
func (n *Node) compare(to actors.Addr) {
	p, ok := n.roles[to]
	if !ok {
		return
	}
	r, ok := p.role.(*actors.Replica)
	if !ok {
		return
	}
	v := r.View()
	if len(v.Agrees) > 0 {
		n.world.Counts["agreed"]++
	}
	if len(v.Diverged) > 0 {
		n.world.broken("R1: by their hashes, %s and others executed other decrees: %v", p.self, v.Diverged)
	}
}
