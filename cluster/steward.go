package cluster

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// greetAgain is how often a node that was not welcomed by a member says hello.
const greetAgain = 250 * time.Millisecond

// steward is the actor that keeps a node in step with the cluster: it makes the node
// and its peers known to each other, by the ids of their disks (S11), and runs the
// roles that the configurations in force give to its member (S3).
//
// A node on a new disk must hear from a majority that they know of no older one before
// its roles may speak: it may be a member whose disk was lost.
type steward struct {
	node     *Node
	dir      string
	id       *messages.Identity
	welcomed map[string]bool // members that know this node's disk …
	unknown  map[string]bool // … those that do not know its member any more
	foreign  map[string]bool // … and those that are of another cluster
	running  map[uint64]actors.Configuration
	replica  bool   // runs
	heir     uint32 // whose leader is to run first in a new epoch

	greeting scheduler.CancelFunc
}

// greetTick is the steward's timer.
type greetTick struct{}

// stranger says that a peer, whose configuration is of an epoch, does not know this
// node's member.
type stranger struct {
	peer  string
	epoch uint64
}

// Receive is one turn of the steward.
func (s *steward) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.greeting = sendLater(ctx, 0, greetTick{})
		s.admit()
	case *actor.Stopping, *actor.Restarting:
		s.greeting()
	case *messages.Hello:
		s.onHello(m)
	case *messages.Welcome:
		s.onWelcome(m)
	case *messages.Configured:
		s.onConfigured(m)
	case stranger:
		s.onStranger(m)
	case foreigner:
		s.onForeigner(m)
	case greetTick:
		s.greeting() // a second one, of before a restart, must not go on beside it
		s.greeting = sendLater(ctx, greetAgain, greetTick{})
		s.greet()
	}
}

func (s *steward) self() string { return string(actors.StewardAddr(s.id.Name)) }

// peers lists the other members of the latest configuration.
func (s *steward) peers() (names []string) {
	for _, m := range s.node.Configuration().Members {
		if m.Name != s.id.Name {
			names = append(names, m.Name)
		}
	}
	return names
}

func (s *steward) greet() {
	if s.id.Member == 0 {
		return // nobody knows it yet
	}
	for _, peer := range s.peers() {
		if !s.welcomed[peer] {
			s.node.tree.Send(actors.StewardAddr(peer), &messages.Hello{
				From: s.self(), Cluster: s.id.Cluster, Member: s.id.Member, Disk: s.id.Disk,
			})
		}
	}
}

func (s *steward) onHello(m *messages.Hello) {
	refusal, changed := greet(s.id, m)
	if changed != nil && !s.save(changed) {
		return
	}
	s.node.tree.Send(actors.Addr(m.From), &messages.Welcome{From: s.self(), Disk: m.Disk, Refusal: refusal})
}

func (s *steward) onWelcome(m *messages.Welcome) {
	from := actors.Addr(m.From).Member()
	if m.Disk != s.id.Disk || s.welcomed[from] {
		return
	}
	if m.Refusal != "" {
		s.node.fail(&IdentityError{Dir: s.dir, Why: fmt.Sprintf("%s says: %s", from, m.Refusal)})
		return
	}
	s.welcomed[from] = true
	delete(s.foreign, from)
	s.admit()
}

// admit lets the roles speak once a majority, this node among it, knows its disk.
func (s *steward) admit() {
	if s.id.Admitted && len(s.id.Configurations) > 0 {
		s.run()
		return
	}
	peers := s.peers()
	knowing := 1
	for _, peer := range peers {
		if s.welcomed[peer] {
			knowing++
		}
	}
	if !s.id.Admitted && (s.id.Member == 0 || 2*knowing <= 1+len(peers)) {
		return
	}
	next := proto.Clone(s.id).(*messages.Identity)
	next.Admitted = true
	if len(next.Configurations) == 0 { // from now on that is so, whatever the options say at the next start
		next.Configurations = protosOf(s.node.epochs())
	}
	if s.save(next) {
		s.run()
	}
}

// onStranger ends the node when a majority has a configuration without it, as new as
// its own or newer: its member was removed while it was away.
func (s *steward) onStranger(m stranger) {
	latest := s.node.Configuration()
	if _, ok := latest.Named(m.peer); !ok || m.epoch < latest.Epoch || !s.id.Admitted {
		return
	}
	s.unknown[m.peer] = true
	if 2*len(s.unknown) > len(latest.Members) {
		s.node.leave(m.epoch)
	}
}

func (s *steward) save(next *messages.Identity) bool {
	if err := saveIdentity(s.dir, next); err != nil {
		s.node.fail(err)
		return false
	}
	s.id = next
	return true
}

// onConfigured takes what the replicas decided, unless it is old news.
func (s *steward) onConfigured(m *messages.Configured) {
	var next []actors.Configuration
	for _, c := range m.Configurations {
		next = append(next, actors.ConfigurationOf(c))
	}
	known := s.node.epochs()
	if len(next) == 0 || !supersedes(next, known) {
		return
	}
	latest := next[len(next)-1]
	me, member := memberNamed(next, s.id.Name)
	if s.id.Member == 0 && !member {
		return // it waits until it is added
	}
	if member && s.id.Member != 0 && me.ID != s.id.Member {
		s.node.fail(&IdentityError{Dir: s.dir, Why: fmt.Sprintf("it belongs to member %d, which was removed; %q is member %d now", s.id.Member, me.Name, me.ID)})
		return
	}
	id := proto.Clone(s.id).(*messages.Identity)
	id.Configurations, id.Member = m.Configurations, me.ID
	if !member {
		id.Member = s.id.Member
	}
	if !s.save(id) {
		return
	}
	s.heir = m.Heir
	clear(s.unknown)
	clear(s.foreign)
	if len(known) == 0 || latest.Epoch > known[len(known)-1].Epoch {
		s.node.options.Logger.Info("the configuration changed", "epoch", latest.Epoch, "first slot", latest.First, "members", len(latest.Members))
	}
	if err := s.node.move(next); err != nil {
		s.node.fail(err)
		return
	}
	if !member {
		s.node.leave(latest.Epoch)
		return
	}
	if _, stays := latest.Named(s.id.Name); !stays {
		s.node.setLeaving()
	}
	s.admit()
}

// supersedes tells whether next is newer than known: a later epoch has come, or an
// earlier one gone.
func supersedes(next, known []actors.Configuration) bool {
	if len(known) == 0 {
		return true
	}
	newer, older := next[len(next)-1].Epoch, known[len(known)-1].Epoch
	return newer > older || newer == older && next[0].Epoch > known[0].Epoch
}

// memberNamed finds a member in the latest configuration that has it.
func memberNamed(all []actors.Configuration, name string) (actors.Member, bool) {
	for _, c := range slices.Backward(all) {
		if m, ok := c.Named(name); ok {
			return m, true
		}
	}
	return actors.Member{}, false
}

// run starts and ends roles as the configurations want it.
func (s *steward) run() {
	wanted := make(map[uint64]bool)
	replica := false
	all := s.node.epochs()
	if len(s.running) == 0 {
		s.node.endEarlier()
	}
	for i, c := range all {
		wanted[c.Epoch] = true
		me, _ := c.Named(s.id.Name)
		replica = replica || me.Replica
		if _, runs := s.running[c.Epoch]; !runs {
			s.running[c.Epoch] = c
			s.node.startEpoch(c, i > 0 && me.ID == s.heir)
		}
	}
	for epoch, c := range s.running {
		if !wanted[epoch] {
			delete(s.running, epoch)
			s.node.endEpoch(c)
		}
	}
	if replica != s.replica {
		s.replica = replica
		s.node.runReplica(replica)
	}
}
