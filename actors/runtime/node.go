package runtime

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// Root is the name of a node's top actor; the paths of Addrs stand below it.
const Root = "node"

// Journal is where roles persist; package journal has it.
type Journal interface {
	// Append queues rec and calls done, from another goroutine, once it and all that
	// was appended before it are on disk.
	Append(rec *messages.Record, done func())
	// Replay calls f with what the owner appended and still needs.
	Replay(owner string, f func(*messages.Record)) error
	// Recall calls f with the owner's pvalues of slots first to last that are on disk,
	// until f returns false. It waits for no write, and may leave some out.
	Recall(owner string, first, last uint64, f func(*messages.PValue) bool) error
}

// Options are a Node's.
type Options struct {
	System  *actor.ActorSystem
	Member  string
	Address func(member string) string // where a member's node listens, as host:port
	Journal Journal
	Seed    uint64      // of Env.Rand
	Failed  func(error) // called once, when the node must end
	Logger  hclog.Logger
	// Observe, if not nil, sees all that the roles do, in their own turns: a panic in
	// it is a panic of the role.
	Observe func(actors.Event)
}

// Node is the tree of actors of one member.
type Node struct {
	Options
	root   *actor.PID
	began  time.Time
	pids   sync.Map // the actors.Addr of a role that lives long → its *actor.PID
	failed sync.Once
	lives  atomic.Uint64 // of all roles
	alive  sync.Map      // the actors.Addr of each role that runs → its *mailbox
	counts *counts

	dispatcher *dispatcher

	mu       sync.Mutex
	restarts map[string]int // by the pattern of Tree
}

// Child is an actor to start below a node's root.
type Child struct {
	Name     string
	Build    func() actors.Role // nil for a branch
	Actor    actor.Producer     // for a child that is no role
	Children []Child            // of a branch
}

// Start starts a node's tree.
func Start(o Options, children ...Child) (*Node, error) {
	n := &Node{Options: o, began: time.Now(), restarts: make(map[string]int), dispatcher: newDispatcher()}
	n.counts = newCounts(n.began)
	root, err := o.System.Root.SpawnNamed(n.branch("", children), Root)
	if err != nil {
		return nil, fmt.Errorf("runtime: start %s: %w", o.Member, err)
	}
	n.root = root
	return n, nil
}

// Grow adds children below a node's root.
func (n *Node) Grow(children ...Child) { n.System.Root.Send(n.root, &grow{children}) }

type grow struct{ children []Child }

// branch is a supervisor without a role.
func (n *Node) branch(path string, children []Child) *actor.Props {
	ending := false // protoactor still delivers messages to an actor that stops
	return actor.PropsFromFunc(func(ctx actor.Context) {
		var grown []Child
		switch m := ctx.Message().(type) {
		case *actor.Started:
			grown = children
		case *actor.Stopping:
			ending = true
		case *grow:
			grown = m.children
		}
		if ending {
			return // a child of now would never be stopped
		}
		for _, c := range grown {
			if _, err := ctx.SpawnNamed(n.props(path, c), c.Name); err != nil {
				n.fail(fmt.Errorf("runtime: start %s%s: %w", path, c.Name, err))
			}
		}
	}, n.common(newMailbox(&n.counts.others))...)
}

func (n *Node) props(parent string, c Child) *actor.Props {
	switch {
	case c.Actor != nil:
		return actor.PropsFromProducer(c.Actor, n.common(n.counts.last(c.Name))...)
	case c.Build != nil:
		return n.role(actors.Addr(n.Member+"/"+parent+c.Name), c.Build)
	}
	return n.branch(parent+c.Name+"/", c.Children)
}

func (n *Node) role(self actors.Addr, build func() actors.Role) *actor.Props {
	m := newMailbox(n.counts.of(string(self)))
	return actor.PropsFromProducer(func() actor.Actor {
		return &shell{node: n, self: self, build: build, mailbox: m}
	}, n.common(m)...)
}

// HandleFailure brings back an actor that panicked, as Tree says, or ends the node.
func (n *Node) HandleFailure(_ *actor.ActorSystem, parent actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, _ any) {
	rule := ruleOf(strings.TrimPrefix(child.Id, Root+"/"))
	err, ok := reason.(error)
	if !ok {
		err = fmt.Errorf("%v", reason)
	}
	rs.Fail()
	var broken actors.Failure
	if errors.As(err, &broken) || rule.Policy == Halt || rs.NumberOfFailures(rule.Within) > rule.Restarts {
		n.fail(fmt.Errorf("runtime: %s: %w", child.Id, err))
		parent.StopChildren(child)
		return
	}
	n.mu.Lock()
	n.restarts[rule.Name]++
	n.mu.Unlock()
	n.Logger.Warn("restarted an actor that panicked", "actor", child.Id, "reason", err)
	parent.RestartChildren(child)
}

func (n *Node) fail(err error) { n.failed.Do(func() { n.Failed(err) }) }

// PID is the process identifier of a role.
func (n *Node) PID(a actors.Addr) *actor.PID {
	if pid, ok := n.pids.Load(a); ok {
		return pid.(*actor.PID)
	}
	address := n.System.Address()
	if member := a.Member(); member != n.Member {
		address = n.Address(member)
	}
	pid := actor.NewPID(address, Root+"/"+a.Path())
	if strings.Count(string(a), "/") < 3 { // scouts and commanders come and go
		n.pids.Store(a, pid)
	}
	return pid
}

// Moved forgets where members are: Address has changed.
func (n *Node) Moved() { n.pids.Clear() }

// Send sends a message to a role, from outside of any.
func (n *Node) Send(to actors.Addr, m proto.Message) { n.System.Root.Send(n.PID(to), m) }

// Stop ends an actor and those below it, and waits for them.
func (n *Node) Stop(a actors.Addr) error { return n.stop(n.PID(a)) }

// End begins to end an actor and those below it.
func (n *Node) End(a actors.Addr) { n.System.Root.Stop(n.PID(a)) }

// StopAll ends all actors of the node and waits for them.
func (n *Node) StopAll() error {
	defer n.dispatcher.close()
	return n.stop(n.root)
}

func (n *Node) stop(pid *actor.PID) error {
	if err := n.System.Root.StopFuture(pid).Wait(); err != nil {
		return fmt.Errorf("runtime: stop %s: %w", pid.Id, err)
	}
	return nil
}

// ErrNoAnswer is returned when a role does not show itself in time.
var ErrNoAnswer = errors.New("runtime: the actor does not answer")

// View asks a role to show itself: an actors.ReplicaView, LeaderView or AcceptorView.
func (n *Node) View(a actors.Addr, patience time.Duration) (any, error) {
	reply := make(chan any, 1)
	n.System.Root.Send(n.PID(a), &show{reply})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-reply:
		return v, nil
	case <-timer.C:
		return nil, fmt.Errorf("%w: %s in %s", ErrNoAnswer, a, patience)
	}
}

// Restarts counts, by pattern of Tree, the actors that came back after a panic.
func (n *Node) Restarts() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[string]int, len(n.restarts))
	for k, v := range n.restarts {
		all[k] = v
	}
	return all
}

// Alive lists the roles that run, in the order of their names.
func (n *Node) Alive() []actors.Addr {
	var all []actors.Addr
	n.alive.Range(func(a, _ any) bool {
		all = append(all, a.(actors.Addr))
		return true
	})
	slices.Sort(all)
	return all
}

func stack() string { return string(debug.Stack()) }
