// Package clustertest runs clusters inside tests: several nodes in one process, over
// the real transport on loopback, with faults on demand. Everything ends with the
// test; when it failed, what each node shows, and last logged, is printed.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/clustertest/freeport"
	"github.com/pmmc-go/pmmc/cluster/gateway"
	"github.com/pmmc-go/pmmc/cluster/journal"
)

// Machine makes the state machine of a member: for its first start and for each
// restart. A machine that keeps itself on disk has its files in dir; what it had not
// flushed before a Kill must be gone.
type Machine func(member, dir string) (cluster.StateMachine, error)

// Options change what New does. The zero Options are those of New.
type Options struct {
	Machine  Machine           // a Register each if nil
	Protocol *cluster.Protocol // cluster.DefaultProtocol if nil
	Disk     bool              // journals on disk, with fsync; else in memory
	Serve    bool              // etcd's API in front of each node; Machine must make key-value stores
	Logger   hclog.Logger      // if nil, the last lines of each node are kept, and printed when the test failed
	// Observe sees all that the roles of all nodes do, in their own turns.
	Observe func(actors.Event)
	// Change changes a node's options before each start.
	Change func(*cluster.Options)
}

// Cluster is a set of nodes under test.
type Cluster struct {
	t       testing.TB
	options Options
	members []cluster.Member
	nodes   map[string]*Node

	mu  sync.Mutex
	cut map[[2]string]bool
}

// Node is one member's node, running or not.
type Node struct {
	*cluster.Node // the last that was started: while it is down, calls return ErrStopped
	Name          string
	cluster       *Cluster
	state         string // running, killed or stopped; empty before the first start
	dir           string
	memory        *journal.Memory
	address       string // where its peers reach it …
	client        string // … and where its gateway serves, the same after each restart
	joins         bool   // it is not of the first configuration
	gateway       *gateway.Gateway
	log           lastLines // where Options.Logger is nil
}

// running is the state of a node for which neither Kill nor Stop was called since its start.
const running = "running"

// New starts n nodes and returns when the cluster answers.
func New(t testing.TB, n int) *Cluster { return NewWith(t, n, Options{}) }

// Names are the names of members, in order.
var Names = []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"}

// NewWith starts n nodes and returns when the cluster answers.
func NewWith(t testing.TB, n int, o Options) *Cluster {
	t.Helper()
	if n < 1 || n > len(Names) {
		t.Fatalf("clustertest: %d nodes: want 1 to %d", n, len(Names))
	}
	if o.Machine == nil {
		o.Machine = func(string, string) (cluster.StateMachine, error) { return NewRegister(), nil }
	}
	c := &Cluster{t: t, options: o, nodes: make(map[string]*Node), cut: make(map[[2]string]bool)}
	addresses := freeport.Addresses(t, 2*n)
	for i, address := range addresses[:n] {
		name := Names[i]
		c.members = append(c.members, cluster.Member{
			ID: uint32(i + 1), Name: name, Address: address, Client: addresses[n+i], Replica: true, Leader: true, Acceptor: true,
		})
		c.nodes[name] = c.newNode(name, address, addresses[n+i])
	}
	t.Cleanup(c.end)
	for _, node := range c.Nodes() {
		node.Start()
	}
	c.WaitReady()
	return c
}

func (c *Cluster) newNode(name, address, client string) *Node {
	return &Node{Name: name, cluster: c, dir: c.t.TempDir(), memory: journal.NewMemory(nil), address: address, client: client}
}

// Join starts a node that waits until a change of configuration adds a member of its
// name, one of Names that has no node yet; Member says how.
func (c *Cluster) Join(name string) *Node {
	c.t.Helper()
	if !slices.Contains(Names, name) || c.nodes[name] != nil {
		c.t.Fatalf("clustertest: %q joins: want one of %v that has no node yet", name, Names)
	}
	addresses := freeport.Addresses(c.t, 2)
	n := c.newNode(name, addresses[0], addresses[1])
	n.joins = true
	c.nodes[name] = n
	n.Start()
	return n
}

// Member is a node as a member with all roles, for a change of configuration.
func (n *Node) Member(id uint32) actors.Member {
	return actors.Member{ID: id, Name: n.Name, Peer: n.address, Client: n.client, Replica: true, Leader: true, Acceptor: true}
}

// Reconfigure changes the configuration, by way of any running member, and waits until
// it alone is in force there.
func (c *Cluster) Reconfigure(change cluster.Change) actors.Configuration {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for _, n := range c.Running() {
		next, err := n.Reconfigure(ctx, change)
		if errors.Is(err, cluster.ErrNotMember) || errors.Is(err, cluster.ErrRemoved) || errors.Is(err, cluster.ErrStopped) {
			continue
		}
		if err != nil {
			c.t.Fatalf("clustertest: reconfigure by way of %s: %v", n.Name, err)
		}
		c.waitEpoch(next)
		return next
	}
	c.t.Fatal("clustertest: reconfigure: no running node is a member")
	return actors.Configuration{}
}

// waitEpoch waits until all running members know of an epoch.
func (c *Cluster) waitEpoch(next actors.Configuration) {
	c.t.Helper()
	for _, m := range next.Members {
		if n := c.nodes[m.Name]; n != nil && slices.Contains(c.Running(), n) {
			c.Eventually(fmt.Sprintf("at epoch %d: %s", next.Epoch, m.Name), func() error {
				if epoch := n.Configuration().Epoch; epoch < next.Epoch {
					return fmt.Errorf("it is at epoch %d", epoch)
				}
				return nil
			})
		}
	}
}

// Nodes lists the nodes, in the order of Names.
func (c *Cluster) Nodes() []*Node {
	var all []*Node
	for _, name := range Names {
		if n, ok := c.nodes[name]; ok {
			all = append(all, n)
		}
	}
	return all
}

// Running lists the nodes that run.
func (c *Cluster) Running() []*Node {
	var up []*Node
	for _, n := range c.Nodes() {
		if n.state == running && !n.ended() {
			up = append(up, n)
		}
	}
	return up
}

// Serving lists the nodes that run and have a replica: those that can be asked.
func (c *Cluster) Serving() []*Node {
	return slices.DeleteFunc(c.Running(), func(n *Node) bool {
		me, _ := n.Configuration().Named(n.Name)
		return !me.Replica
	})
}

// ended tells whether the node ended by itself, as when its member was removed.
func (n *Node) ended() bool {
	select {
	case <-n.Done():
		return true
	default:
		return false
	}
}

// Node finds a node by its name.
func (c *Cluster) Node(name string) *Node {
	c.t.Helper()
	n, ok := c.nodes[name]
	if !ok {
		c.t.Fatalf("clustertest: there is no node %q: want one of %v", name, slices.Sorted(maps.Keys(c.nodes)))
	}
	return n
}

// Members lists the members as each node knows them.
func (c *Cluster) Members() []cluster.Member { return c.members }

// Start starts a node that is down, on what its disk holds.
func (n *Node) Start() {
	c := n.cluster
	c.t.Helper()
	if n.state == running {
		c.t.Fatalf("clustertest: %s runs already", n.Name)
	}
	machine, err := c.options.Machine(n.Name, cluster.StateDir(n.dir))
	if err != nil {
		c.t.Fatalf("clustertest: state machine of %s: %v", n.Name, err)
	}
	o := n.nodeOptions()
	o.Machine = machine
	if !c.options.Disk {
		o.Journal, err = n.memory.Open(journal.Options{Failed: func(err error) { c.t.Errorf("journal of %s: %v", n.Name, err) }})
		if err != nil {
			c.t.Fatalf("clustertest: journal of %s: %v", n.Name, err)
		}
	}
	if c.options.Change != nil {
		c.options.Change(&o)
	}
	node, err := cluster.Start(o)
	if err != nil {
		c.t.Fatalf("clustertest: start %s: %v", n.Name, err)
	}
	n.Node, n.state = node, running
	if c.options.Serve {
		n.serve(machine, o.TLS)
	}
}

func (n *Node) nodeOptions() cluster.Options {
	c := n.cluster
	protocol := cluster.DefaultProtocol()
	if c.options.Protocol != nil {
		protocol = *c.options.Protocol
	}
	o := cluster.Options{
		Cluster: "test", Member: n.Name, Members: c.members, Address: n.address, Client: n.client, DataDir: n.dir,
		Protocol: protocol, Link: c.linked, Observe: c.options.Observe,
		Logger: n.logger(),
	}
	if n.joins {
		o.Members = nil
		for _, m := range c.members {
			o.Join = append(o.Join, m.Address)
		}
	}
	return o
}

// Recover makes, of what a node that is down has on its disk, a cluster of its member
// alone; see cluster.Recover. It needs Options.Disk.
func (n *Node) Recover() {
	n.cluster.t.Helper()
	open := func(dir string) (cluster.StateMachine, error) { return n.cluster.options.Machine(n.Name, dir) }
	if err := cluster.Recover(n.nodeOptions(), open, false, func(cluster.Remains) error { return nil }); err != nil {
		n.cluster.t.Fatalf("clustertest: recover %s: %v", n.Name, err)
	}
}

// Kill ends the node without goodbye; what was not on disk is lost.
func (n *Node) Kill() {
	if n.state != running {
		return
	}
	n.Node.Kill()
	if n.gateway != nil {
		cut, cancel := context.WithCancel(context.Background())
		cancel() // at once
		_ = n.gateway.Stop(cut)
		n.gateway = nil
	}
	n.state = "killed"
}

// Stop ends the node in good order.
func (n *Node) Stop() {
	n.cluster.t.Helper()
	if n.state != running {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if n.gateway != nil {
		if err := n.gateway.Stop(ctx); err != nil {
			n.cluster.t.Errorf("clustertest: stop the gateway of %s: %v", n.Name, err)
		}
		n.gateway = nil
	}
	if err := n.Node.Stop(ctx); err != nil {
		n.cluster.t.Errorf("clustertest: stop %s: %v", n.Name, err)
	}
	n.state = "stopped"
}

// Restart kills the node and starts it again.
func (n *Node) Restart() {
	n.cluster.t.Helper()
	n.Kill()
	n.Start()
}

// Cut takes the link from one member to another down, in this direction.
func (c *Cluster) Cut(from, to string) {
	c.t.Helper()
	link := [2]string{c.Node(from).Name, c.Node(to).Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[link] = true
}

// Isolate takes all links of a member down, in both directions.
func (c *Cluster) Isolate(name string) {
	c.t.Helper()
	c.Node(name) // there is one
	for other := range c.nodes {
		if other != name {
			c.Cut(name, other)
			c.Cut(other, name)
		}
	}
}

// Heal brings all links up.
func (c *Cluster) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cut)
}

func (c *Cluster) linked(from, to string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.cut[[2]string{from, to}]
}

// Patience is how long the waiting methods wait before they fail the test.
const Patience = 60 * time.Second

// Eventually waits until a condition holds, and ends the test when it never does: what
// says in words what was waited for, and holds returns why it does not hold yet.
func (c *Cluster) Eventually(what string, holds func() error) {
	c.t.Helper()
	c.EventuallyWithin(Patience, what, holds)
}

// EventuallyWithin is Eventually with a patience of its own.
func (c *Cluster) EventuallyWithin(patience time.Duration, what string, holds func() error) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("clustertest: %q does not hold after %s: %v", what, patience, err)
		}
		<-poll.C
	}
}

// WaitReady waits until a fresh read through each running node succeeds.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	for _, n := range c.Serving() {
		c.Eventually("ready: "+n.Name, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return n.Barrier(ctx)
		})
	}
}

// Leader waits until the running nodes agree on who is in office, and returns it.
func (c *Cluster) Leader() *Node {
	c.t.Helper()
	var leader *Node
	c.Eventually("agreed on a leader", func() error {
		var active []*Node
		for _, n := range c.Running() {
			if n.Status().Leader.Standing == "active" {
				active = append(active, n)
			}
		}
		if len(active) != 1 {
			return fmt.Errorf("%d nodes are in office", len(active))
		}
		for _, n := range c.Serving() {
			if s := n.Status(); s.InOffice != active[0].Name {
				return fmt.Errorf("%s takes %q to be in office, not %q", n.Name, s.InOffice, active[0].Name)
			}
		}
		leader = active[0]
		return nil
	})
	return leader
}

// WaitAgreement waits until all running nodes have executed the same slots.
func (c *Cluster) WaitAgreement() {
	c.t.Helper()
	c.Eventually("in agreement", func() error {
		var slots []uint64
		for _, n := range c.Serving() {
			slots = append(slots, n.Status().Replica.SlotOut)
		}
		for _, s := range slots {
			if s == 0 || s != slots[0] {
				return fmt.Errorf("slot_out: %v", slots)
			}
		}
		return nil
	})
}

// end ends all nodes, and shows them if the test failed.
func (c *Cluster) end() {
	if c.t.Failed() {
		c.t.Log(c.show())
	}
	var all sync.WaitGroup
	for _, n := range c.Running() {
		all.Go(n.Kill)
	}
	all.Wait()
}
