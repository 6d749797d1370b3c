package cluster

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/actors/runtime"
	"github.com/pmmc-go/pmmc/cluster/transport"
	"github.com/pmmc-go/pmmc/messages"
)

// ErrRemoved is the end of a node whose member was removed from the cluster. An operation
// for which Propose returns it was not proposed, and is never executed, unless ErrStopped
// is in the chain, too: that one's word holds then.
var ErrRemoved = errors.New("cluster: this member was removed")

// recall finds out what was in force when this node last ran: what its state says, or
// what it was told to run, or else what the options say of a new cluster.
func (n *Node) recall() {
	stored := n.state().Configurations()
	told := n.identity.Configurations
	for _, all := range [][]*messages.Configuration{stored, told} {
		var known []actors.Configuration
		for _, c := range all {
			known = append(known, actors.ConfigurationOf(c))
		}
		if len(known) > 0 && (len(n.run) == 0 || supersedes(known, n.run)) {
			n.run = known
		}
	}
	if len(n.run) == 0 && len(n.options.Members) > 0 {
		n.run = []actors.Configuration{n.options.configuration()}
	}
}

// epochs are the configurations in force, oldest first.
func (n *Node) epochs() []actors.Configuration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.run
}

// Configuration is the latest that this node knows of. A node that waits to be added
// to a cluster knows of none.
func (n *Node) Configuration() actors.Configuration {
	all := n.epochs()
	if len(all) == 0 {
		return actors.Configuration{}
	}
	return all[len(all)-1]
}

// me is this node's member, as the latest configuration that has it says.
func (n *Node) me() actors.Member {
	me, _ := memberNamed(n.epochs(), n.options.Member)
	return me
}

// peers are the addresses of all members, by name. An address that went from one to
// another is the later one's. This node's own is the one that it was given: it may have
// moved while it was down.
func (n *Node) peers() map[string]string {
	all := make(map[string]string)
	for _, c := range n.epochs() {
		for _, m := range c.Members {
			name := m.Name
			if m.IsUnnamed() {
				name = transport.Unknown(int(m.ID))
			}
			maps.DeleteFunc(all, func(_, address string) bool { return address == m.Peer })
			all[name] = m.Peer
		}
	}
	for i, address := range n.options.Join {
		if len(n.epochs()) == 0 {
			all[transport.Unknown(i)] = address
		}
	}
	if n.options.Address != "" {
		all[n.options.Member] = n.options.Address
	}
	return all
}

// named takes note of how the node at an address is called, for a member that was added
// without a name. A node that waits to be added itself takes what it hears from anybody.
func (n *Node) named(address, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.run) == 0 {
		return true
	}
	n.names[address] = name
	return false
}

func (n *Node) addressOf(member string) string {
	if m, ok := memberNamed(n.epochs(), member); ok {
		return m.Peer
	}
	return ""
}

// move takes the configurations that are in force now.
func (n *Node) move(next []actors.Configuration) error {
	n.mu.Lock()
	n.run = next
	n.mu.Unlock()
	n.client.join(n.me())
	if err := n.transport.SetPeers(n.Configuration().Epoch, n.peers()); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	n.tree.Moved()
	return nil
}

// refused takes it that a peer does not know this node's member.
func (n *Node) refused(peer string, epoch uint64) {
	n.system.Root.Send(actor.NewPID(n.system.Address(), runtime.Root+"/steward"), stranger{peer, epoch})
}

// outlived takes it that a later start of this node's member speaks for it.
func (n *Node) outlived() {
	n.system.Root.Send(actor.NewPID(n.system.Address(), runtime.Root+"/steward"), outlived{})
}

// lastAnswers is how long a node that was removed waits for answers to what was asked of it.
const lastAnswers = 2 * time.Second

// setLeaving tells who asks that this node's member is to be removed.
func (n *Node) setLeaving() (first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	first = !n.leaves
	if first {
		n.leaves = true
		close(n.leaving)
	}
	return first
}

// leave ends the node: its member is in no configuration any more.
func (n *Node) leave(epoch uint64) {
	n.setLeaving()
	n.left.Do(func() { n.depart(epoch) }) // it is told again and again
}

func (n *Node) depart(epoch uint64) {
	n.options.Logger.Info("removed from the cluster", "epoch", epoch)
	go func() { // the caller is one of those who must end
		ticks := time.NewTicker(pollEvery)
		defer ticks.Stop()
		last := time.After(lastAnswers)
		for waiting := true; waiting && n.client.inFlight() > 0; {
			select {
			case <-ticks.C:
			case <-last:
				waiting = false
			case <-n.ending:
				return
			}
		}
		n.end(ErrRemoved, func() { n.crash() })
	}()
}

// startEpoch starts the roles that a configuration gives to this member, but for the
// replica, which is of no epoch.
func (n *Node) startEpoch(c actors.Configuration, eager bool) {
	me, ok := c.Named(n.options.Member)
	if !ok || me.ID != n.me().ID { // an earlier member of this name made the promises there
		return
	}
	var roles []runtime.Child
	if me.Acceptor {
		roles = append(roles, runtime.Child{Name: "acceptor", Build: func() actors.Role { return n.buildAcceptor(c) }})
	}
	if me.Leader {
		roles = append(roles, runtime.Child{Name: "leader", Build: func() actors.Role { return n.buildLeader(c, me.ID, eager) }})
	}
	n.tree.Grow(runtime.Child{Name: actors.EpochPath(c.Epoch), Children: roles})
}

// endEpoch ends the roles of an epoch that is no longer needed, and frees its part of
// the journal.
func (n *Node) endEpoch(c actors.Configuration) {
	if _, ok := c.Named(n.options.Member); !ok {
		return
	}
	n.tree.End(actors.Addr(n.options.Member + "/" + actors.EpochPath(c.Epoch)))
	n.journal.Append(endOf(actors.AcceptorAddr(n.options.Member, c.Epoch).Path()), nil)
}

// endOf is the record with which an acceptor ends.
func endOf(owner string) *messages.Record {
	return &messages.Record{Owner: owner, Kind: &messages.Record_Forgotten{Forgotten: math.MaxUint64}}
}

// endEarlier frees the journal of acceptors of epochs before those in force. The identity says
// first that an epoch is over, the journal second: a crash in between leaves pvalues that
// nobody forgets any more, and no segment behind them could ever be cut.
func (n *Node) endEarlier() {
	oldest := n.epochs()[0].Epoch
	for _, owner := range n.journal.Owners() {
		epoch, ok := actors.Addr(n.options.Member + "/" + owner).Epoch()
		if ok && epoch < oldest {
			n.options.Logger.Info("freeing what an earlier epoch left in the journal", "epoch", epoch)
			n.journal.Append(endOf(owner), nil)
		}
	}
}

// runReplica starts or ends the replica.
func (n *Node) runReplica(run bool) {
	if run {
		n.tree.Grow(runtime.Child{Name: "replica", Build: n.buildReplica})
		return
	}
	n.tree.End(actors.ReplicaAddr(n.options.Member))
}

// acceptorMemory is how many bytes of decrees an acceptor holds in memory, unless more are
// not executed yet. The others it reads from the journal, which mostly means the page cache.
const acceptorMemory = 4 << 20

func (n *Node) buildAcceptor(c actors.Configuration) actors.Role {
	p := n.options.Protocol
	return actors.NewAcceptor(actors.AcceptorOptions{
		Configuration: c, ChunkBytes: p.ChunkBytes, RetainSlots: uint64(p.RetainSlots), RetainBytes: p.RetainBytes,
		MemoryBytes: acceptorMemory, Lease: p.Lease,
	})
}

func (n *Node) buildLeader(c actors.Configuration, id uint32, eager bool) actors.Role {
	p := n.options.Protocol
	return actors.NewLeader(actors.LeaderOptions{
		ID: id, Configuration: c, Eager: eager, Tick: p.Ping, Timeout: p.Timeout, Resend: p.Resend,
		DiskTimeout: p.DiskTimeout, CatchUp: p.CatchUp, Lease: p.Lease, Drift: p.Drift,
	})
}

func (n *Node) buildReplica() actors.Role {
	p := n.options.Protocol
	var s actors.State = &countedState{State: n.state(), counts: n.counts}
	if observe := n.options.Observe; observe != nil {
		self := actors.ReplicaAddr(n.options.Member)
		s = actors.Observed(s, func(k actors.Kind, m proto.Message) { observe(actors.Event{Kind: k, Self: self, Message: m}) })
	}
	return actors.NewReplica(actors.ReplicaOptions{
		ID: n.me().ID, Name: n.options.Member, Incarnation: n.identity.Incarnation, Configuration: n.epochs()[0], State: s,
		Pipeline: p.Pipeline, BatchCommands: p.BatchCommands, BatchBytes: p.BatchBytes,
		ChunkBytes: p.ChunkBytes, Tick: p.CatchUp,
	})
}

func (n *Node) state() *state {
	return &state{machine: n.machine, cluster: n.options.Cluster}
}

func protosOf(all []actors.Configuration) (protos []*messages.Configuration) {
	for _, c := range all {
		protos = append(protos, c.Proto())
	}
	return protos
}
