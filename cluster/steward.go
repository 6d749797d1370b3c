package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/cluster/diskfull"
	"github.com/pmmc-go/pmmc/messages"
)

// A node that was not welcomed by a member says hello again after greetSoon, then twice as late
// each time, up to greetAgain.
const (
	greetSoon  = 15 * time.Millisecond
	greetAgain = 250 * time.Millisecond
)

// A node whose roles wait to be admitted for longer than waitQuietly logs whom they wait for,
// and again every waitAgain.
const (
	waitQuietly = 3 * time.Second
	waitAgain   = time.Minute
)

// steward is the actor that keeps a node in step with the cluster: it makes the node
// and its peers known to each other, by the ids of their disks (S11), and runs the
// roles that the configurations in force give to its member (S3).
//
// Its admission decides when they may speak: the node may be on the disk of a member that
// lost its own, or on an older copy.
type steward struct {
	node      *Node
	dir       string
	admission *datadir.Admission
	unknown   map[string]bool // members that do not know this node's member any more …
	foreign   map[string]bool // … and those that are of another cluster
	running   map[uint64]actors.Configuration
	replica   bool   // runs
	heir      uint32 // whose leader is to run first in a new epoch

	greeting scheduler.CancelFunc
	pause    time.Duration // until the next greeting
	logAt    time.Time     // when to log that the roles wait
}

func newSteward(n *Node) *steward {
	return &steward{
		node: n, dir: n.options.DataDir, admission: datadir.NewAdmission(n.identity, n.Configuration()),
		unknown: make(map[string]bool), foreign: make(map[string]bool), running: make(map[uint64]actors.Configuration),
		pause: greetSoon, logAt: time.Now().Add(waitQuietly),
	}
}

// id is the identity on disk.
func (s *steward) id() *messages.Identity { return s.admission.Identity() }

// greetTick is the steward's timer.
type greetTick struct{}

// outlived says that the cluster executed a command of a later start of this node's member.
type outlived struct{}

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
	case outlived:
		s.spend("a later start of this member took its session over")
	case foreigner:
		s.onForeigner(m)
	case greetTick:
		s.greeting() // a second one, of before a restart, must not go on beside it
		s.greeting = sendLater(ctx, s.pause, greetTick{})
		s.pause = min(2*s.pause, greetAgain)
		s.greet()
		s.showWaiting()
	}
}

func (s *steward) self() actors.Addr { return actors.StewardAddr(s.id().Name) }

func (s *steward) greet() {
	if s.id().Member == 0 {
		return // nobody knows it yet
	}
	for _, peer := range s.admission.Unwelcomed() {
		s.node.tree.Send(actors.StewardAddr(peer), s.admission.Hello(s.self()))
	}
}

// showWaiting shows in the status, and logs now and then, why the roles do not speak.
func (s *steward) showWaiting() {
	if s.id().Member == 0 || s.admission.Speaks() {
		s.node.awaited.Store(nil)
		return
	}
	missing := s.admission.Missing()
	s.node.awaited.Store(&missing)
	if time.Now().Before(s.logAt) {
		return
	}
	s.logAt = time.Now().Add(waitAgain)
	if s.id().Admitted {
		s.node.options.Logger.Warn("waiting for peers to confirm that this data directory is the latest: too few answered since the start", "missing", missing)
		return
	}
	s.node.options.Logger.Warn("waiting for peers: a new data directory is used once every member of a new cluster has started, or a majority of a running one answers",
		"missing", missing)
}

func (s *steward) onHello(m *messages.Hello) {
	answer, next, isNew := s.admission.OnHello(s.self(), m)
	if next != nil && !s.remember(next, isNew) {
		return
	}
	s.node.tree.Send(actors.Addr(m.From), answer)
}

// remember saves what is known of peers. On a full disk it keeps that in memory, unless it must be
// durable: a node must not wait for the disk of another, nor an admitted one for its own.
func (s *steward) remember(next *messages.Identity, durably bool) bool {
	err := saveIdentity(s.dir, next)
	switch {
	case err == nil:
	case !diskfull.Is(err):
		s.node.fail(err)
		return false
	case durably:
		return false // hello is repeated
	}
	s.admission.Saved(next)
	return true
}

func (s *steward) onWelcome(m *messages.Welcome) {
	from := actors.Addr(m.From).Member()
	refusal, next := s.admission.OnWelcome(m)
	switch {
	case next.GetSpent() != "":
		s.spend(next.Spent)
		return
	case refusal != "":
		s.node.fail(&IdentityError{Dir: s.dir, Why: fmt.Sprintf("%s says: %s", from, refusal)})
		return
	case next != nil && !s.remember(next, !s.id().Admitted):
		return
	}
	delete(s.foreign, from)
	s.admit()
}

// spend ends the node on a directory that is an older copy. No later start may use it either: it
// would count on from here, and so past the start that gave it away.
func (s *steward) spend(why string) {
	next := proto.Clone(s.id()).(*messages.Identity)
	next.Spent = why
	var err error = outdated(s.dir, why)
	if failed := saveIdentity(s.dir, next); failed != nil {
		err = errors.Join(err, failed)
	}
	s.node.fail(err)
}

// admit lets the roles run, as far as the admission lets them speak.
func (s *steward) admit() {
	id := s.id()
	if id.Admitted && len(id.Configurations) > 0 {
		s.run()
		return
	}
	if !id.Admitted && !s.admission.MayAdmit() {
		return
	}
	next := proto.Clone(id).(*messages.Identity)
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
	if _, ok := latest.Named(m.peer); !ok || m.epoch < latest.Epoch || !s.id().Admitted {
		return
	}
	s.unknown[m.peer] = true
	if 2*len(s.unknown) > len(latest.Members) {
		s.node.leave(m.epoch)
	}
}

func (s *steward) save(next *messages.Identity) bool {
	if err := s.node.room.Try("the identity", func() error { return saveIdentity(s.dir, next) }); err != nil {
		s.node.fail(err)
		return false
	}
	s.admission.Saved(next)
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
	me, member := memberNamed(next, s.id().Name)
	if s.id().Member == 0 && !member {
		return // it waits until it is added
	}
	if member && s.id().Member != 0 && me.ID != s.id().Member {
		s.node.fail(&IdentityError{Dir: s.dir, Why: fmt.Sprintf("it belongs to member %d, which was removed; %q is member %d now", s.id().Member, me.Name, me.ID)})
		return
	}
	id := proto.Clone(s.id()).(*messages.Identity)
	id.Configurations, id.Member = m.Configurations, me.ID
	if !member {
		id.Member = s.id().Member
	}
	datadir.Forget(id, next)
	if !s.save(id) {
		return
	}
	s.admission.Configure(latest)
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
	if _, stays := latest.Named(s.id().Name); !stays {
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

// run starts and ends roles as the configurations want it. The replica votes on nothing, so it
// does not wait until the others may speak.
func (s *steward) run() {
	wanted := make(map[uint64]bool)
	replica := false
	all := s.node.epochs()
	if len(s.running) == 0 {
		s.node.endEarlier()
	}
	speaks := s.admission.Speaks()
	for i, c := range all {
		wanted[c.Epoch] = true
		me, _ := c.Named(s.id().Name)
		replica = replica || me.Replica
		if _, runs := s.running[c.Epoch]; !runs && speaks {
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
