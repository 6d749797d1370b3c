// Package simulation runs the production roles of several nodes in one goroutine,
// on virtual time, over a network and disks that fail as a seed draws it. The roles
// cannot tell it from the real thing; a failure is shown again by its seed.
package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// World is a cluster and all that surrounds it.
type World struct {
	Faults
	Config  actors.Configuration // the first
	Nodes   []*Node              // of its members, then those that may be added
	Now     time.Duration
	Counts  map[string]int // what happened, by name
	Observe func(actors.Event)
	Tell    func(fault string) // if not nil, hears what is done to the cluster
	Broken  []string           // what did not hold

	rng       *rand.Rand
	queue     events
	seq       int
	cut       map[[2]string]bool // links that are down, from → to
	ackedOps  []string           // acknowledged to some client
	history   history
	lost      map[uint32]bool   // members whose promises are lost
	stillborn bool              // one was, before enough had been admitted to admit the others
	idle      bool              // clients ask for nothing
	crashed   time.Duration     // when a node did last
	asked     map[string]lifeOf // the questions of reads, by all that they say
}

// Faults are what a world does to its nodes, and how the nodes are set.
type Faults struct {
	Loss, Repeat float64       // of messages
	Late         float64       // of a message, that it comes once more, much later
	Delay        time.Duration // of a message, at the most
	Sync         time.Duration // of a write, at the most
	Panic        float64       // of a turn, that it ends in one
	Hangs        bool          // disks complete nothing for a while, at times
	BadSync      float64       // of a write, that the disk fails and the node ends
	BadRead      float64       // of a read from a journal, that it comes to nothing
	Drift        float64       // of clocks: by how much, of 1, they are fast or slow, as the leaders are told …
	Clocks       float64       // … and as they are
	Jumps        bool          // clocks go ahead at times, as those of machines that were suspended
	Lease        time.Duration // of the leader in office; 0 is none
	Spare        int           // nodes that may be added to the cluster

	Window   uint64 // WINDOW; 16 if 0
	Pipeline int    // 4 if 0
	Batch    int    // commands in a decree; 8 if 0
	Retain   uint64 // slots, for those who lag; 20 if 0
	Chunk    int    // bytes of a p1b; 1200 if 0
	Threads  int    // writes that each client has open; 4 if 0

	Roles     bool // members have any set of roles, not all of them
	Deaf      bool // the one in office is cut off in one direction, at times
	Idle      bool // clients ask for nothing, at times
	Disks     bool // disks are lost, and older copies of directories are put back, at times
	Stretches bool // faults last for long, at times, and what is promised then is judged
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
	f.Window, f.Pipeline, f.Batch, f.Retain = orElse(f.Window, 16), orElse(f.Pipeline, 4), orElse(f.Batch, 8), orElse(f.Retain, 20)
	f.Chunk, f.Threads = orElse(f.Chunk, 1200), orElse(f.Threads, 4)
	w := &World{
		Faults: f, rng: rand.New(rand.NewPCG(seed, 7)), Counts: make(map[string]int), cut: make(map[[2]string]bool), asked: make(map[string]lifeOf), lost: make(map[uint32]bool),
	}
	w.Config = actors.Configuration{Epoch: 1, First: 1, Window: f.Window, Members: w.cast(n)}
	founders := len(w.Config.Members)
	w.Config.LastID = uint32(founders)
	for i := range founders + f.Spare {
		name := nameOfNode(i)
		node := &Node{world: w, name: name, rate: 1}
		if f.Clocks > 0 {
			node.rate += f.Clocks * (2*w.rng.Float64() - 1)
		}
		w.Nodes = append(w.Nodes, node)
	}
	for _, node := range w.Nodes[:founders] {
		node.epochs = []actors.Configuration{w.Config}
	}
	return w
}

func orElse[T comparable](value, instead T) T {
	var none T
	if value == none {
		return instead
	}
	return value
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

func (w *World) happens(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *World) broken(format string, args ...any) {
	w.Broken = append(w.Broken, fmt.Sprintf("at %v: ", w.Now)+fmt.Sprintf(format, args...))
}

func (w *World) tell(format string, args ...any) {
	if w.Tell != nil {
		w.Tell(fmt.Sprintf(format, args...))
	}
}

// lifeOf is a life of a role in a life of its node.
type lifeOf struct {
	node int
	role uint64
}

// observe hears of all that is done. No two lives of a replica may ask the same: a mark that
// answers the earlier one would serve reads of the later one (S8).
func (w *World) observe(e actors.Event) {
	if m, ok := e.Message.(*messages.ReadRequest); ok && e.Kind == actors.Sent {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			panic(err)
		}
		asks := lifeOf{w.nodeOf(e.Self).life, e.Life}
		if before, asked := w.asked[string(b)]; asked && before != asks {
			w.broken("S8: %s asks for a mark as an earlier life did: %v", e.Self, m)
		}
		w.asked[string(b)] = asks
	}
	if w.Observe != nil {
		w.Observe(e)
	}
}
