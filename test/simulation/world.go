// Package simulation runs the production roles of several nodes in one goroutine,
// on virtual time, over a network and disks that fail as a seed draws it. The roles
// cannot tell it from the real thing; a failure is shown again by its seed.
package simulation

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Faults are what a world does to its nodes.
type Faults struct {
	Loss, Repeat float64       // of messages
	Delay        time.Duration // of a message, at the most
	Sync         time.Duration // of a write, at the most
}

// World is a cluster and all that surrounds it.
type World struct {
	Faults
	Config actors.Configuration
	Nodes  []*Node
	Now    time.Duration
	Counts map[string]int // what happened, by name
	// Observe, if not nil, is told all that the roles do, as actors.Event says.
	Observe func(actors.Event)

	rng     *rand.Rand
	queue   events
	seq     int
	cut     map[[2]string]bool // links that are down, from → to
	decided map[uint64][]byte  // R1: by slot, what was decided
	ballots map[string][]byte  // C1: by ballot and slot, what was proposed
	Broken  []string           // invariants that did not hold

	ackedOps []string // acknowledged to some client
	lives    uint64   // of all roles
}

// Node is one member: a disk, a state, and the roles that live on it.
type Node struct {
	world  *World
	member actors.Member
	up     bool
	life   int // counts its starts
	roles  map[actors.Addr]*process
	disk   []*messages.Record // on disk
	dirty  []dirty            // written, not synced
	state  *State
	saved  []byte // the state as it was last flushed
	Client *Client
}

type dirty struct {
	rec *messages.Record
	by  *process
}

// process is a role and its Env.
type process struct {
	node    *Node
	self    actors.Addr
	life    uint64
	role    actors.Role
	gone    bool
	written int      // records persisted
	durable int      // of those, on disk
	waiting []effect // first in, first out
}

type effect struct {
	after int // records that must be durable
	do    func()
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// NewWorld makes a world of n members, all down.
func NewWorld(seed uint64, n int, f Faults) *World {
	w := &World{
		Faults: f, rng: rand.New(rand.NewPCG(seed, 7)), Counts: make(map[string]int),
		cut: make(map[[2]string]bool), decided: make(map[uint64][]byte), ballots: make(map[string][]byte),
	}
	w.Config.Epoch, w.Config.First, w.Config.Window = 1, 1, 16
	for i := range n {
		w.Config.Members = append(w.Config.Members, actors.Member{
			ID: uint32(i + 1), Name: fmt.Sprintf("n%d", i+1), Replica: true, Leader: true, Acceptor: true,
		})
	}
	for _, m := range w.Config.Members {
		w.Nodes = append(w.Nodes, &Node{world: w, member: m})
	}
	return w
}

func (w *World) at(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{at: w.Now + d, seq: w.seq, do: do})
}

// Run lets virtual time pass.
func (w *World) Run(d time.Duration) {
	end := w.Now + d
	for len(w.queue) > 0 && w.queue[0].at <= end && len(w.Broken) == 0 {
		e := heap.Pop(&w.queue).(event)
		w.Now = e.at
		e.do()
	}
	w.Now = end
}

func (w *World) draw(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

func (w *World) broken(format string, args ...any) {
	w.Broken = append(w.Broken, fmt.Sprintf("at %v: ", w.Now)+fmt.Sprintf(format, args...))
}

// Cut takes a link down, in one direction.
func (w *World) Cut(from, to string) { w.cut[[2]string{from, to}] = from != to }

// Heal brings all links up.
func (w *World) Heal() { clear(w.cut) }

// window is WINDOW.
const window = 16

// Start starts a node on what its disk holds.
func (n *Node) Start() {
	w := n.world
	n.up, n.life = true, n.life+1
	n.roles = make(map[actors.Addr]*process)
	n.state = NewState(n)
	n.state.load(n.saved)
	n.observeOpened()
	acceptor := actors.NewAcceptor(actors.AcceptorOptions{
		Configuration: w.Config, ChunkBytes: 200, RetainSlots: 20, RetainBytes: 4000,
	})
	leader := actors.NewLeader(actors.LeaderOptions{
		ID: n.member.ID, Configuration: w.Config, Tick: 50 * time.Millisecond,
		Timeout: actors.TimeoutOptions{
			Initial: 250 * time.Millisecond, Min: 150 * time.Millisecond, Max: 5 * time.Second,
			Factor: 2, Step: time.Millisecond,
		},
		Resend: 100 * time.Millisecond,
	})
	replica := actors.NewReplica(actors.ReplicaOptions{
		ID: n.member.ID, Incarnation: uint64(n.life), Configuration: w.Config, State: n.observed(), Pipeline: 4,
		BatchCommands: 8, BatchBytes: 1 << 20, ChunkBytes: 300, Tick: 50 * time.Millisecond,
	})
	n.start(actors.AcceptorAddr(n.member.Name, 1), acceptor)
	n.start(actors.LeaderAddr(n.member.Name, 1), leader)
	n.start(actors.ReplicaAddr(n.member.Name), replica)
	n.Client = newClient(n)
	n.flushLater()
}

func (n *Node) start(self actors.Addr, r actors.Role) *process {
	n.world.lives++
	p := &process{node: n, self: self, life: n.world.lives, role: r}
	n.roles[self] = p
	if restorer, ok := r.(actors.Restorer); ok {
		for _, rec := range n.disk {
			if rec.Owner == self.Path() {
				rec := proto.Clone(rec).(*messages.Record)
				p.observe(actors.Event{Kind: actors.Restored, Message: rec})
				restorer.Restore(rec)
			}
		}
	}
	p.observe(actors.Event{Kind: actors.Started})
	r.Start(p)
	return p
}

// Crash ends a node; of what it wrote and did not sync, a part may be on disk.
func (n *Node) Crash() {
	n.up = false
	for _, d := range n.dirty[:n.world.rng.IntN(len(n.dirty)+1)] {
		n.disk = append(n.disk, d.rec)
	}
	n.dirty, n.roles = nil, nil
	n.Client.abandon()
	n.world.Counts["crash"]++
}

// flushLater writes the state to disk, again and again.
func (n *Node) flushLater() {
	life := n.life
	n.world.at(500*time.Millisecond+n.world.draw(time.Second), func() {
		if !n.up || n.life != life {
			return
		}
		n.saved = n.state.save()
		n.world.deliver(n.member.Name, actors.ReplicaAddr(n.member.Name), &messages.Flushed{Below: n.state.SlotOut()})
		n.flushLater()
	})
}

// deliver sends m, as the network wants it.
func (w *World) deliver(from string, to actors.Addr, m proto.Message) {
	m = proto.Clone(m)
	local := from == to.Member()
	times := 1
	if !local && w.rng.Float64() < w.Loss {
		times = 0
	} else if !local && w.rng.Float64() < w.Repeat {
		times = 2
	}
	for range times {
		delay := w.draw(100 * time.Microsecond)
		if !local {
			delay = w.draw(w.Delay)
		}
		node := w.nodeOf(to)
		life := node.life
		w.at(delay, func() {
			if node.up && !w.cut[[2]string{from, to.Member()}] && (!local || node.life == life) {
				node.receive(to, m)
			}
		})
	}
}

func (w *World) nodeOf(a actors.Addr) *Node {
	i := slices.IndexFunc(w.Nodes, func(n *Node) bool { return n.member.Name == a.Member() })
	return w.Nodes[i]
}

func (n *Node) receive(to actors.Addr, m proto.Message) {
	if to == actors.ClientAddr(n.member.Name) {
		n.Client.receive(m)
		return
	}
	if p, ok := n.roles[to]; ok && !p.gone {
		n.world.Counts[fmt.Sprintf("%T", m)[len("*messages."):]]++
		p.observe(actors.Event{Kind: actors.Received, Message: m})
		p.role.Receive(p, m)
	}
}

func (p *process) Self() actors.Addr  { return p.self }
func (p *process) Now() time.Duration { return p.node.world.Now }
func (p *process) Rand() uint64       { return p.node.world.rng.Uint64() }

func (p *process) Refuse(m proto.Message) {
	p.node.world.broken("%s refuses %T", p.self, m)
}

func (p *process) Send(to actors.Addr, m proto.Message) {
	p.effect(func() {
		p.observe(actors.Event{Kind: actors.Sent, Peer: to, Message: m})
		p.node.world.judge(p.self, m)
		p.node.world.deliver(p.node.member.Name, to, m)
	})
}

func (p *process) Spawn(name string, build func() actors.Role) {
	addr := actors.Addr(string(p.self) + "/" + name)
	p.effect(func() {
		p.observe(actors.Event{Kind: actors.Spawned, Peer: addr})
		if old, ok := p.node.roles[addr]; ok && !old.gone {
			return
		}
		p.node.start(addr, build())
		kind, _, _ := strings.Cut(name, "-")
		p.node.world.Counts[kind]++
	})
}

func (p *process) Exit() {
	p.observe(actors.Event{Kind: actors.Exited})
	p.gone = true
	delete(p.node.roles, p.self)
}

func (p *process) After(d time.Duration, m proto.Message) {
	n := p.node
	life := n.life
	n.world.at(d, func() {
		if n.up && n.life == life && n.roles[p.self] == p {
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

func (p *process) Persist(rec *messages.Record) {
	n := p.node
	rec = proto.Clone(rec).(*messages.Record)
	rec.Owner = p.self.Path()
	p.written++
	p.observe(actors.Event{Kind: actors.Persisted, Number: uint64(p.written), Message: rec})
	n.dirty = append(n.dirty, dirty{rec, p})
	life := n.life
	upTo := rec
	n.world.at(n.world.draw(n.world.Sync), func() {
		if n.up && n.life == life {
			n.sync(upTo)
		}
	})
}

// sync makes durable all that was written up to a record: one fsync for many.
func (n *Node) sync(upTo *messages.Record) {
	i := slices.IndexFunc(n.dirty, func(d dirty) bool { return d.rec == upTo })
	done := n.dirty[:i+1]
	n.dirty = n.dirty[i+1:]
	for _, d := range done {
		n.disk = append(n.disk, d.rec)
		d.by.durable++
		d.by.observe(actors.Event{Kind: actors.Durable, Number: uint64(d.by.durable)})
	}
	for _, addr := range slices.Sorted(maps.Keys(n.roles)) {
		p := n.roles[addr]
		for p != nil && len(p.waiting) > 0 && p.waiting[0].after <= p.durable && n.up {
			do := p.waiting[0].do
			p.waiting = p.waiting[1:]
			do()
		}
	}
}

// judge checks what is said against the invariants that a message shows.
func (w *World) judge(from actors.Addr, m proto.Message) {
	switch m := m.(type) {
	case *messages.P2A:
		key := fmt.Sprint(actors.BallotOf(m.Pvalue.Ballot), "/", m.Pvalue.Slot)
		if was, ok := w.ballots[key]; ok && string(was) != string(m.Pvalue.Decree) {
			w.broken("C1: two decrees for ballot/slot %s", key)
		}
		w.ballots[key] = m.Pvalue.Decree
	case *messages.Decision:
		slot := m.Pvalue.Slot
		if was, ok := w.decided[slot]; ok && string(was) != string(m.Pvalue.Decree) {
			w.broken("R1: two decrees decided for slot %d: %q and %q", slot, was, m.Pvalue.Decree)
		}
		w.decided[slot] = m.Pvalue.Decree
	}
}
