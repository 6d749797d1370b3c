// Package cost counts what a decree and a command cost: messages and bytes between nodes,
// fsyncs, allocations, and who is alive meanwhile. It counts, and times nothing.
package cost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
	"github.com/pmmc-go/pmmc/test/bench/nodes"
)

// Load is what is counted: each of the proposers proposes so many operations of Size
// bytes, one after the other, at the leader's node.
type Load struct{ Nodes, Proposers, Each, Size int }

// Cost is what a load cost, over all nodes.
type Cost struct {
	Load
	Decrees uint64

	// Messages between nodes, and their bytes, by what they are for: a decree; what was
	// sent again, because an answer took long; and the rest, which comes with time and not
	// with load.
	P2a, P2b, Decision, Again, Other Sent

	Requests    uint64 // to a replica, from the proposers beside it: what came at a time goes in one
	Syncs       uint64 // of journals
	Allocations uint64 // objects on the heap, those of the proposers among them
	Seconds     float64
	Goroutines  int // the most that were seen at a time …
	Actors      int // … and roles
}

// Sent are messages from one node to another.
type Sent struct{ Messages, Bytes uint64 }

// Commands is how many were proposed.
func (l Load) Commands() uint64 { return uint64(l.Proposers) * uint64(l.Each) }

// PerDecree and PerCommand divide.
func (c Cost) PerDecree(n uint64) float64  { return float64(n) / float64(c.Decrees) }
func (c Cost) PerCommand(n uint64) float64 { return float64(n) / float64(c.Commands()) }

// counter sees all that roles send.
type counter struct {
	mu   sync.Mutex
	cost Cost
	seen map[sent]bool
}

// sent is what is sent once for a slot.
type sent struct {
	from, to actors.Addr
	slot     uint64
	kind     protoreflect.FullName
}

func (c *counter) observe(e actors.Event) {
	if _, request := e.Message.(*messages.Request); request && e.Kind == actors.Received {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cost.Requests++
		return
	}
	if e.Kind != actors.Sent || e.Peer.Member() == e.Self.Member() {
		return
	}
	size := uint64(proto.Size(e.Message))
	c.mu.Lock()
	defer c.mu.Unlock()
	s, slot := &c.cost.Other, uint64(0)
	switch m := e.Message.(type) {
	case *messages.P2A:
		s, slot = &c.cost.P2a, m.Pvalue.Slot
	case *messages.P2B:
		s, slot = &c.cost.P2b, m.Slot
	case *messages.Decision:
		s = &c.cost.Decision
		_, slot = actors.NameOf(m)
	}
	if slot > 0 {
		once := sent{e.Self, e.Peer, slot, e.Message.ProtoReflect().Descriptor().FullName()}
		if c.seen[once] {
			s = &c.cost.Again
		}
		c.seen[once] = true
	}
	s.Messages++
	s.Bytes += size
}

// Count has a cluster below a folder serve a load.
func Count(dir string, l Load) (cost Cost, err error) {
	c := &counter{cost: Cost{Load: l}, seen: make(map[sent]bool)}
	cluster, err := nodes.StartObserved(dir, l.Nodes, c.observe)
	if err != nil {
		return Cost{}, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	c.mu.Lock()
	c.cost = Cost{Load: l} // the election is not counted
	c.mu.Unlock()

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	syncs, slots, began := c.syncs(cluster), cluster.Leader.Status().Replica.SlotOut, time.Now()
	if err := c.run(cluster); err != nil {
		return Cost{}, err
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cost.Seconds = took.Seconds()
	c.cost.Allocations = after.Mallocs - before.Mallocs
	c.cost.Decrees = cluster.Leader.Status().Replica.SlotOut - slots
	c.cost.Syncs = c.syncs(cluster) - syncs
	return c.cost, nil
}

func (c *counter) syncs(cluster *nodes.Nodes) (n uint64) {
	for _, node := range cluster.All {
		n += node.Status().Journal.Syncs
	}
	return n
}

// look is how often it is counted who is alive.
const look = 10 * time.Millisecond

// run proposes, and looks now and then who is alive.
func (c *counter) run(cluster *nodes.Nodes) error {
	errs := make(chan error, c.cost.Proposers)
	var running sync.WaitGroup
	for range c.cost.Proposers {
		running.Go(func() {
			operation := make([]byte, c.cost.Size)
			for range c.cost.Each {
				if err := cluster.Propose(context.Background(), operation); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for {
		select {
		case <-ended:
			close(errs)
			return <-errs
		case <-ticks.C:
			alive := 0
			for _, node := range cluster.All {
				alive += len(node.Alive())
			}
			c.cost.Goroutines = max(c.cost.Goroutines, runtime.NumGoroutine())
			c.cost.Actors = max(c.cost.Actors, alive)
		}
	}
}

// Table writes costs as a table of Markdown.
func Table(w io.Writer, all []Cost) error {
	_, err := fmt.Fprint(w, "| nodes | at a time | commands a decree | messages a decree | bytes a command | fsyncs a decree | fsyncs a second | "+
		"requests a command | allocations a command | goroutines | roles alive | messages sent again | other messages a second |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range all {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "| %d | %d | %.1f | %.1f | %.0f | %.1f | %.0f | %.2f | %.0f | %d | %d | %d | %.0f |\n",
			c.Nodes, c.Proposers, float64(c.Commands())/float64(c.Decrees),
			c.PerDecree(c.P2a.Messages+c.P2b.Messages+c.Decision.Messages),
			c.PerCommand(c.P2a.Bytes+c.P2b.Bytes+c.Decision.Bytes), c.PerDecree(c.Syncs), float64(c.Syncs)/c.Seconds,
			c.PerCommand(c.Requests), c.PerCommand(c.Allocations), c.Goroutines, c.Actors, c.Again.Messages, float64(c.Other.Messages)/c.Seconds)
	}
	return err
}

// Model says what a load has to cost at the most, and returns an error for all that is
// beyond it. A decree is a p2a, a p2b and a decision to or from each other node; its
// commands travel in the first only. Each acceptor has at most one fsync for it, and a few
// in each second.
// Proposers that are many share their requests to the replica.
// What is sent again is not in it: that is a matter of time.
func (c Cost) Model() error {
	others, slack := float64(c.Nodes-1), 1.1 // for what is under way when the counting begins and ends
	var errs []error
	most := func(what string, got, limit float64) {
		if got > limit {
			errs = append(errs, fmt.Errorf("%d nodes, %d proposers: %s: %.1f, want at most %.1f", c.Nodes, c.Proposers, what, got, limit))
		}
	}
	most("p2a a decree", c.PerDecree(c.P2a.Messages), others*slack)
	most("p2b a decree", c.PerDecree(c.P2b.Messages), others*slack)
	most("decisions a decree", c.PerDecree(c.Decision.Messages), others*slack)
	perDecree := 3 * others * decreeBytes * c.PerCommand(c.Decrees)
	most("bytes a command", c.PerCommand(c.P2a.Bytes+c.P2b.Bytes+c.Decision.Bytes), (others*float64(c.Size+commandBytes)+perDecree)*slack)
	withTime := float64(c.Nodes) * syncsASecond * c.Seconds / float64(c.Decrees)
	most("fsyncs a decree", c.PerDecree(c.Syncs), (float64(c.Nodes)+c.PerDecree(c.Again.Messages))*slack+withTime)
	if c.Proposers >= manyProposers {
		most("requests a command", c.PerCommand(c.Requests), 0.25)
	}
	// What a node has besides proposers and its window does not grow with the load.
	most("roles", float64(c.Actors), float64(roles(c.Nodes)))
	most("goroutines", float64(c.Goroutines), float64(c.Proposers+c.Nodes*(goroutines+links*(c.Nodes-1))))
	return errors.Join(errs...)
}

// What is there besides operations.
const (
	commandBytes  = 40  // of a command: client, incarnation, sequence, and what is settled
	decreeBytes   = 70  // of a message: who sends it, ballot and slot
	syncsASecond  = 5   // of a node, which come with time: its disk is probed, and what it forgot is noted
	goroutines    = 60  // of a node …
	links         = 12  // … and for each peer
	manyProposers = 64  // so many that they meet on their way to the replica
	window        = 128 // commanders at a time, at the most
)

// roles is how many roles there are: a replica, a leader and an acceptor in each
// node, and the commanders of the leader in office.
func roles(nodes int) int { return 3*nodes + window }
