package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// Remains is what one data directory holds of a cluster that lost its majority.
type Remains struct {
	Configuration actors.Configuration // the latest that is known of
	Executed      uint64               // slots below this are executed in the state
	Decided       uint64               // slots below this are known to be decided
	Adoptable     uint64               // slots below this were accepted here without a gap: they are taken as decided
	Beyond        int                  // so many slots were accepted here behind the gap: they are dropped
}

// Recover makes, of the data directory of a member whose node does not run, a new
// cluster with the same name and this member alone: with a disk of its own, an origin
// of its own, so that none of the old members can speak with it again, and an epoch
// above all that are known. Before it changes anything it asks; an error of confirm
// ends it.
//
// What the acceptor here has accepted behind what was executed is taken as decided, as
// far as it has no gap. Whatever only the lost members knew is lost: there may be
// decisions that this member had not heard of, and a slot that it accepted may have
// been decided otherwise.
func Recover(o Options, open func(dir string) (StateMachine, error), confirm func(Remains) error) (err error) {
	me, _ := o.configuration().Named(o.Member)
	id, err := readIdentity(o.DataDir, o.Cluster, me.ID, o.Member)
	if errors.Is(err, fs.ErrNotExist) {
		return &IdentityError{o.DataDir, "no node ever ran on it", "Give the configuration of the member whose data directory is left."}
	}
	if err != nil {
		return err
	}
	if err := Claim(o.DataDir, hclog.NewNullLogger()); err != nil {
		return err
	}
	defer returned(&err)
	s, err := o.openState(open)
	if err != nil {
		return fmt.Errorf("cluster: recover: %w", err)
	}
	defer func() { err = errors.Join(err, s.machine.Close()) }()
	var failure error
	j, err := journal.Open(journal.Options{
		Dir: filepath.Join(o.DataDir, journalDir), SegmentBytes: o.Protocol.SegmentBytes,
		Failed: func(err error) { failure = err },
	})
	if err != nil {
		return fmt.Errorf("cluster: recover: %w", err)
	}
	defer func() {
		err = errors.Join(err, j.Close()) // after it, no other goroutine writes failure
		err = errors.Join(err, failure)
	}()
	r, err := look(o, id, s, j)
	if err != nil {
		return fmt.Errorf("cluster: recover: %w", err)
	}
	if err := confirm(r.Remains); err != nil {
		return err
	}
	return r.recover(id, o.DataDir)
}

// remains is a data directory, opened.
type remains struct {
	Remains
	member  actors.Member
	state   *state
	journal journal.Journal
	known   []actors.Configuration // by epoch
	adopted []*messages.PValue     // of the slots from Executed to Adoptable
	highest uint64                 // slot that was accepted
}

// look finds out what is there.
func look(o Options, id *messages.Identity, s *state, j journal.Journal) (*remains, error) {
	r := &remains{state: s, journal: j}
	for _, all := range [][]*messages.Configuration{s.Configurations(), id.Configurations, {o.configuration().Proto()}} {
		for _, m := range all {
			if c := actors.ConfigurationOf(m); len(r.known) == 0 || c.Epoch > r.Configuration.Epoch {
				r.known, r.Configuration = append(r.known, c), c
			}
		}
	}
	r.Executed = s.SlotOut()
	if r.member, _ = memberNamed(r.known, o.Member); !r.member.Replica || r.Executed < r.known[0].First {
		return nil, fmt.Errorf("%s has no replica's state: it is a witness, or had not fetched a snapshot yet; recover another member", o.Member)
	}
	accepted := make(map[uint64]map[uint64]*messages.PValue)
	r.Decided, r.Adoptable = r.Executed, r.Executed
	for _, c := range r.known {
		pvalues, err := r.accepted(c)
		if err != nil {
			return nil, err
		}
		accepted[c.Epoch] = pvalues
	}
	for {
		c := r.governing(r.Adoptable)
		v, ok := accepted[c.Epoch][r.Adoptable]
		if !ok {
			break
		}
		delete(accepted[c.Epoch], r.Adoptable)
		r.adopted = append(r.adopted, v)
		r.Adoptable++
	}
	for _, pvalues := range accepted {
		r.Beyond += len(pvalues)
	}
	return r, nil
}

// governing is the configuration of a slot (S3).
func (r *remains) governing(slot uint64) actors.Configuration {
	i := len(r.known) - 1
	for i > 0 && r.known[i].First > slot {
		i--
	}
	return r.known[i]
}

// accepted reads what this member's acceptor in an epoch accepted of slots that are not
// executed.
func (r *remains) accepted(c actors.Configuration) (map[uint64]*messages.PValue, error) {
	pvalues := make(map[uint64]*messages.PValue)
	err := r.journal.Replay(actors.AcceptorAddr(r.member.Name, c.Epoch).Path(), func(rec *messages.Record) {
		switch k := rec.Kind.(type) {
		case *messages.Record_Decided:
			r.Decided = max(r.Decided, k.Decided.Below)
		case *messages.Record_Pvalue:
			v := k.Pvalue
			old, ok := pvalues[v.Slot]
			if v.Slot >= r.Executed && (!ok || actors.BallotOf(v.Ballot).Compare(actors.BallotOf(old.Ballot)) > 0) {
				pvalues[v.Slot] = v
				r.highest = max(r.highest, v.Slot)
			}
		}
	})
	return pvalues, err
}

// recover makes the new cluster.
func (r *remains) recover(id *messages.Identity, dir string) error {
	next := actors.Adopt(actors.ReplicaOptions{ID: r.member.ID, Name: r.member.Name, Configuration: r.Configuration, State: r.state}, r.adopted)
	if r.Configuration.Epoch > next.Epoch {
		next = r.Configuration
	}
	old := append(r.known, next)
	next.Epoch++
	next.Origin = drawDisk()
	me := r.member
	me.Leader, me.Acceptor = true, true
	next.Members = []actors.Member{me}
	next.LastID = r.state.lastID(old...)
	if err := r.state.begin(&next, max(r.state.SlotOut(), r.highest)); err != nil {
		return fmt.Errorf("cluster: recover: %w", err)
	}
	fresh := proto.Clone(id).(*messages.Identity)
	fresh.Disk, fresh.Seen, fresh.Configurations = drawDisk(), nil, []*messages.Configuration{next.Proto()}
	if err := saveIdentity(dir, fresh); err != nil {
		return err
	}
	for _, c := range old {
		r.journal.Append(endOf(actors.AcceptorAddr(me.Name, c.Epoch).Path()), nil)
	}
	return nil
}
