package cluster

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/messages"
)

// restoreAgain is what to do where nodes were not all restored alike.
const restoreAgain = "Every node of a cluster is restored from the same file, with the same cluster name and members in its " +
	"configuration, before any is started. Empty this data directory and restore it so: `pmmc snapshot restore --help`."

// Restore makes the data directory of a member of a new cluster, Options.Members, out
// of a snapshot of the state of another one, to which it is as if it began with that
// state. The directory must be empty or not there. All members are to be restored from
// the same snapshot, of which hash is a hash, and started only then: a node that was
// not is refused by those that were.
//
// Machine of the options is not used: open opens the member's state machine in a
// directory. A Restore that was cut off leaves a directory that no node starts on.
func Restore(o Options, open func(dir string) (StateMachine, error), snapshot io.Reader, hash []byte) (err error) {
	if err := refuseFull(o.DataDir); err != nil {
		return err
	}
	me, ok := o.configuration().Named(o.Member)
	if !ok {
		return fmt.Errorf("cluster: restore: %q is none of the %d members", o.Member, len(o.Members))
	}
	id := drawIdentity(o.Cluster, me.ID, o.Member)
	id.Unfinished = true
	if err := saveIdentity(o.DataDir, id); err != nil {
		return err
	}
	s, err := o.openState(open)
	if err != nil {
		return fmt.Errorf("cluster: restore: %w", err)
	}
	defer func() { err = errors.Join(err, s.machine.Close()) }()
	defer returned(&err)
	if err := s.machine.Restore(snapshot); err != nil {
		return fmt.Errorf("cluster: restore: %w", err)
	}
	c := o.configuration()
	c.Origin = o.origin(hash)
	c.LastID = s.lastID(c)
	if err := s.begin(&c, s.SlotOut()); err != nil {
		return fmt.Errorf("cluster: restore: %w", err)
	}
	if err := ownState(StateDir(o.DataDir), id.Salt); err != nil {
		return err
	}
	id.Unfinished, id.Incarnation, id.State = false, s.incarnations(), true
	id.Configurations = []*messages.Configuration{c.Proto()} // which would be lost with the state
	return saveIdentity(o.DataDir, id)
}

// refuseFull makes a directory, and refuses one that has something in it.
func refuseFull(dir string) error {
	if err := Claim(dir, hclog.NewNullLogger()); err != nil {
		return err
	}
	entries, err := entriesOf(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return &IdentityError{dir, fmt.Sprintf("it is not empty: there is %q", entries[0].Name()),
			"A snapshot is restored into an empty directory only. Move away what is there if it is not needed."}
	}
	return nil
}

// openState opens a state machine in the data directory.
func (o *Options) openState(open func(dir string) (StateMachine, error)) (*state, error) {
	m, err := open(StateDir(o.DataDir))
	if err != nil {
		return nil, err
	}
	s := &state{cluster: o.Cluster}
	if durable, ok := m.(DurableStateMachine); ok {
		s.machine = durable
		return s, nil
	}
	s.machine, err = keep(m, StateDir(o.DataDir))
	return s, err
}

// origin is what sets a restored cluster apart from all others: the snapshot, its name
// and its members.
func (o *Options) origin(hash []byte) uint64 {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&messages.Epochs{
		Cluster: o.Cluster, Configurations: []*messages.Configuration{o.configuration().Proto()},
	})
	if err != nil {
		panic(err) // it has no required fields
	}
	sum := sha256.Sum256(append(b, hash...))
	return binary.BigEndian.Uint64(sum[:]) | 1
}

// begin makes a configuration, which governs from the slot after the given one on, the
// only one of the state, durably. The slots up to that one are taken as executed.
func (s *state) begin(c *actors.Configuration, slot uint64) error {
	c.First = slot + 1
	s.Commit(slot, actors.Changes{Configurations: []*messages.Configuration{c.Proto()}})
	_, err := s.machine.Flush()
	return err
}

// lastID is the highest number that a member ever had, as far as the state and others know
// (S13): a new member must not go on with the session of one that had its number before.
func (s *state) lastID(others ...actors.Configuration) (last uint32) {
	for _, m := range s.Configurations() {
		others = append(others, actors.ConfigurationOf(m))
	}
	for _, c := range others {
		last = max(last, c.LastID)
		for _, m := range c.Members {
			last = max(last, m.ID)
		}
	}
	for _, r := range s.Sessions() {
		last = max(last, r.Client)
	}
	return last
}

// incarnations is the highest incarnation of any client that the state knows: those of
// the nodes that go on with it must be above.
func (s *state) incarnations() (highest uint64) {
	for _, r := range s.Sessions() {
		highest = max(highest, r.Incarnation)
	}
	return highest
}

// incarnationsOf is the highest incarnation of a member's clients that the state knows.
func (s *state) incarnationsOf(member uint32) (highest uint64) {
	for _, r := range s.Sessions() {
		if r.Client == member {
			highest = max(highest, r.Incarnation)
		}
	}
	return highest
}

// returned turns what a state panicked with into an error.
func returned(err *error) {
	switch r := recover().(type) {
	case nil:
	case actors.Failure:
		*err = errors.Join(*err, r.Err)
	default:
		panic(r)
	}
}
