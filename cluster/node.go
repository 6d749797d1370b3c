// Package cluster runs a node: the roles of one member, the disk under them, and
// the network between them and their peers. It replicates a [StateMachine].
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/cluster/diskfull"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/cluster/transport"
	"github.com/pmmc-go/pmmc/messages"
)

// The folders of a data directory.
const (
	journalDir = "journal"
	stateDir   = "state"
)

// StateDir is the folder of a data directory in which a state machine that keeps
// itself on disk has its files.
func StateDir(dataDir string) string { return filepath.Join(dataDir, stateDir) }

// Node is a running member of a cluster.
type Node struct {
	options   Options
	identity  *messages.Identity // as it was at the start
	machine   DurableStateMachine
	journal   journal.Journal
	system    *actor.ActorSystem
	transport *transport.Transport
	tree      *runtime.Node
	client    *client
	herald    *herald
	counts    *stateCounts
	disk      diskWatch
	room      *diskfull.Retrier        // for the identity
	awaited   atomic.Pointer[[]string] // peers; nil once the roles may speak
	damage    atomic.Pointer[error]    // that the last look at the files found; nil for none

	chores  sync.WaitGroup // what the node does on its own
	leaving chan struct{}  // closed when its member is to be removed
	ending  chan struct{}  // closed when the node begins to end
	done    chan struct{}  // closed when it has ended
	left    sync.Once      // it was told that its member is removed

	mu     sync.Mutex
	leaves bool
	ends   bool
	err    error
	run    []actors.Configuration // those in force, oldest first; none before it is added

	names map[string]string // of nodes whose members have none, by address
}

// Start starts a node. It returns as soon as the node listens; the node takes part
// in decisions once enough of its peers know it: all of them at the first start of a new
// cluster, see datadir.Admission. A node owns the Machine and the Journal of its options
// and closes them, also when Start fails.
func Start(o Options) (*Node, error) {
	n := &Node{
		options: o, leaving: make(chan struct{}), ending: make(chan struct{}), done: make(chan struct{}),
		names: make(map[string]string), counts: newStateCounts(), room: diskfull.New(o.Logger),
	}
	n.herald = newHerald(n)
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.closeStorage())
	}
	n.room.Begin()
	n.chores.Go(n.flush)
	n.chores.Go(n.upkeep)
	n.chores.Go(n.watchDisk)
	n.chores.Go(n.scrub)
	return n, nil
}

func (n *Node) open() (err error) {
	if m, ok := n.options.Machine.(DurableStateMachine); ok {
		n.machine = m
	}
	n.journal = n.options.Journal
	if err := n.options.check(); err != nil {
		return err
	}
	o := n.options
	me, _ := o.configuration().Named(o.Member)
	if err := Claim(o.DataDir, o.Logger); err != nil {
		return err
	}
	if n.identity, err = openIdentity(o.DataDir, o.Cluster, me.ID, o.Member); err != nil {
		return err
	}
	if n.machine == nil {
		if n.machine, err = keep(o.Machine, StateDir(o.DataDir)); err != nil {
			return err
		}
	}
	if err := n.openJournal(); err != nil {
		return err
	}
	n.recall()
	if err := n.stateBelongs(); err != nil {
		return err
	}
	if err := n.begin(); err != nil {
		return err
	}
	n.observeOpened()
	n.client = newClient(n.identity.Incarnation, o.Member, o.Protocol.InFlight)
	n.client.join(n.me())
	return n.openNetwork()
}

// observeOpened says on what this process goes on.
func (n *Node) observeOpened() {
	if n.options.Observe == nil {
		return
	}
	n.options.Observe(actors.Event{Kind: actors.Opened, Self: actors.Addr(n.options.Member), Message: &messages.Opened{
		Cluster: n.identity.Cluster, Member: n.identity.Member, Disk: n.identity.Disk, Incarnation: n.identity.Incarnation,
		Executed: n.machine.Executed(), Configurations: protosOf(n.epochs()),
	}})
}

func (n *Node) closeStorage() error {
	var errs []error
	if n.journal != nil {
		errs = append(errs, n.journal.Close())
	}
	if n.machine != nil {
		errs = append(errs, n.machine.Close())
	}
	return errors.Join(errs...)
}

func (n *Node) openNetwork() (err error) {
	o := n.options
	peers := n.peers()
	n.system = transport.NewSystem(o.Logger.Named("actors"))
	n.transport, err = transport.Start(n.system, transport.Options{
		Listen: cmp.Or(o.Listen, peers[o.Member]), Advertise: peers[o.Member], Member: o.Member, Peers: peers, Epoch: n.Configuration().Epoch, Refused: n.refused, Named: n.named,
		Cluster: n.cluster, Foreign: n.foreign,
		TLS: o.TLS, Link: o.Link, Logger: o.Logger.Named("transport"),
	})
	if err != nil {
		n.system.Shutdown()
		return fmt.Errorf("cluster: %w", err)
	}
	n.tree, err = runtime.Start(runtime.Options{
		System: n.system, Member: o.Member, Address: n.addressOf,
		Journal: n.journal, Seed: n.identity.Disk + n.identity.Incarnation,
		Failed: n.fail, Logger: o.Logger.Named("actors"), Observe: o.Observe,
	})
	if err != nil {
		n.transport.Kill()
		n.system.Shutdown()
		return fmt.Errorf("cluster: %w", err)
	}
	n.client.send, n.client.outlived = n.tree.Send, n.outlived
	door := newSteward(n)
	n.tree.Grow(
		runtime.Child{Name: "client", Actor: func() actor.Actor { return &clientActor{client: n.client} }},
		runtime.Child{Name: "herald", Actor: func() actor.Actor { return heraldActor{n.herald} }},
		runtime.Child{Name: "steward", Actor: func() actor.Actor { return door }},
	)
	return nil
}

// flush makes the state durable now and then, so that acceptors may forget what it
// holds (S5), until the node ends.
func (n *Node) flush() {
	ticks := time.NewTicker(min(n.options.Protocol.Flush, hurry))
	defer ticks.Stop()
	var durable uint64
	var last time.Time
	for {
		select {
		case <-n.ending:
			return
		case <-ticks.C:
		}
		if len(n.epochs()) < 2 && time.Since(last) < n.options.Protocol.Flush {
			continue // nobody waits for it
		}
		last = time.Now()
		if n.machine.Executed() <= durable {
			n.counts.isDurable(last)
		} else if below, err := n.flushState(); err == nil && below > 0 {
			durable = max(durable, below)
			n.counts.isDurable(time.Now())
		} else if err != nil && !diskfull.Is(err) {
			n.fail(fmt.Errorf("cluster: flush the state: %w", err))
			return
		} // else it could not come in between two slots, or has no room: it is tried again
		// Again and again: the replica may have been restarted.
		n.tree.Send(actors.ReplicaAddr(n.options.Member), &messages.Flushed{Below: durable, Short: n.disk.short.Load()})
	}
}

// flushState makes the state durable, and takes the time.
func (n *Node) flushState() (below uint64, err error) {
	began := time.Now()
	below, err = n.machine.Flush()
	n.counts.flushed.Took(time.Since(began))
	return below, err
}

// hurry is how often the state is made durable while an epoch waits for that to end.
const hurry = 100 * time.Millisecond

// Propose has an operation executed, once, by all replicas, and returns what came of
// it here. When it returns an error, the operation may or may not be executed, also
// later on, but never twice; except for ErrBusy, ErrNotMember, ErrNoReplica, ErrTooLong, and
// ErrRemoved without ErrStopped: then it was not proposed, and is never executed. An operation
// has at most MaxOperationBytes.
func (n *Node) Propose(ctx context.Context, operation []byte) (Result, error) {
	return n.client.propose(ctx, &messages.Command{Operation: operation})
}

// Read answers a query from the state of this node, which has, by then, executed
// every operation that any node answered before Read was called (S8).
func (n *Node) Read(ctx context.Context, query []byte) ([]byte, error) {
	if err := n.Barrier(ctx); err != nil {
		return nil, err
	}
	return n.machine.Query(query)
}

// Barrier returns once this node's state is as fresh as Read wants it.
func (n *Node) Barrier(ctx context.Context) error { return n.client.barrier(ctx) }

// CaughtUp reports whether a Barrier of this node has returned since it started. A node that
// starts goes on from the state that it had made durable last, which is older than what it had
// answered before. Query of Options.Machine promises no more than that state until CaughtUp is
// true, and never goes back behind the Barrier afterwards.
func (n *Node) CaughtUp() bool { return n.client.caughtUp.Load() }

// Leaving is closed once it is decided that the node's member is to be removed. What was
// asked for is still answered, if soon; new questions are better put to others.
func (n *Node) Leaving() <-chan struct{} { return n.leaving }

// Ending is closed when the node begins to end: it answers nothing any more.
func (n *Node) Ending() <-chan struct{} { return n.ending }

// Done is closed when the node has ended; Err then says why.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is nil while the node runs and after Stop, and otherwise the failure that
// ended it.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// fail ends the node because it can no longer be trusted.
func (n *Node) fail(err error) {
	n.options.Logger.Error("ending the node", "error", err)
	go n.end(err, func() { n.crash() }) // the caller is often one of those who must end
}

// Stop ends the node in good order. When ctx ends first, the node ends as it would
// in a crash, and the error says so.
func (n *Node) Stop(ctx context.Context) error {
	var err error
	n.end(nil, func() { err = n.shutDown(ctx) })
	<-n.done
	return errors.Join(err, n.Err())
}

// Kill ends the node without goodbye: what is not on disk is lost, as in a crash.
func (n *Node) Kill() {
	n.end(nil, func() { n.crash() })
	<-n.done
}

// end ends the node, once.
func (n *Node) end(why error, how func()) {
	n.mu.Lock()
	if n.ends {
		n.mu.Unlock()
		return
	}
	n.ends, n.err = true, why
	n.mu.Unlock()
	close(n.ending)
	stopped := ErrStopped
	if why != nil {
		stopped = fmt.Errorf("%w: %w", ErrStopped, why)
	}
	n.client.stop(stopped)
	how()
	close(n.done)
}

// shutDown ends the parts in order: who asks first, who answers last.
func (n *Node) shutDown(ctx context.Context) error {
	inOrder := make(chan error, 1)
	go func() { inOrder <- n.stopInOrder(ctx) }()
	defer n.system.Shutdown()
	select {
	case err := <-inOrder:
		return errors.Join(err, n.closeStorage())
	case <-ctx.Done():
		n.cut()
		return errors.Join(
			fmt.Errorf("cluster: stop: %w: ended as in a crash", context.Cause(ctx)), <-inOrder, n.closeStorage())
	}
}

func (n *Node) stopInOrder(ctx context.Context) error {
	n.chores.Wait()
	errs := []error{n.tree.StopAll()}
	if _, err := n.machine.Flush(); err != nil {
		errs = append(errs, fmt.Errorf("cluster: flush the state: %w", err))
	}
	return errors.Join(append(errs, n.transport.Stop(ctx))...)
}

// cut keeps the node from saying or writing anything more.
func (n *Node) cut() {
	if c, ok := n.journal.(interface{ Crash() }); ok {
		c.Crash() // from here on, nothing becomes durable
	}
	if m, ok := n.machine.(interface{ Abandon() }); ok {
		m.Abandon() // a disk that is full, or else it would be waited for
	}
	n.room.GiveUp()
	n.transport.Kill()
}

// crash ends the node as a power cut would, so far as a process can do that.
func (n *Node) crash() {
	n.cut()
	if err := n.tree.StopAll(); err != nil {
		n.options.Logger.Warn("actors did not stop", "error", err)
	}
	n.chores.Wait()
	if err := n.closeStorage(); err != nil {
		n.options.Logger.Warn("could not close the storage", "error", err)
	}
	n.system.Shutdown()
}
