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
	Damage        error                // of the journal, which is read up to there and put aside; nil for none
}

// A DamagedJournalError says that a journal cannot be recovered from as a whole.
type DamagedJournalError struct{ Err error }

func (e *DamagedJournalError) Error() string {
	return fmt.Sprintf("cluster: recover: the journal is damaged: %v", e.Err)
}

// Hint tells the operator what to do about it.
func (e *DamagedJournalError) Hint() string {
	return "If another member's directory is whole, recover that one. Otherwise `pmmc recover --damaged-journal` makes a cluster of what the state " +
		"holds and what the journal holds in front of the damage; it shows first what that is."
}

// Unwrap returns the damage.
func (e *DamagedJournalError) Unwrap() error { return e.Err }

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
//
// A journal that is damaged, missing, or not the directory's own is refused with a
// *DamagedJournalError, unless damaged is set: then it is read up to the damage and put aside.
func Recover(o Options, open func(dir string) (StateMachine, error), damaged bool, confirm func(Remains) error) (err error) {
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
	j, damage := journal.Open(journal.Options{
		Dir: filepath.Join(o.DataDir, journalDir), SegmentBytes: o.Protocol.SegmentBytes, Existing: id.Journal || id.Admitted,
		Failed: func(err error) { failure = err },
	})
	if damage == nil {
		defer func() {
			err = errors.Join(err, j.Close()) // after it, no other goroutine writes failure
			err = errors.Join(err, failure)
		}()
		damage = journalBelongs(o.DataDir, id, j.Owner(), s.incarnationsOf(id.Member))
	}
	r := &remains{state: s, journal: j, dir: o.DataDir}
	switch {
	case errors.As(damage, new(*journal.LockedError)):
		return fmt.Errorf("cluster: recover: %w", damage)
	case damage != nil && !damaged:
		return &DamagedJournalError{damage}
	case damage != nil:
		r.Damage = damage
	}
	if err := r.look(o, id); err != nil {
		return fmt.Errorf("cluster: recover: %w", err)
	}
	if err := confirm(r.Remains); err != nil {
		return err
	}
	return r.recover(id)
}

// replay gives back what an owner wrote: of a damaged journal, what stands in front of the damage.
func (r *remains) replay(id *messages.Identity, owner string, f func(*messages.Record)) error {
	if r.Damage == nil {
		return r.journal.Replay(owner, f)
	}
	dir := filepath.Join(r.dir, journalDir)
	whose, err := journal.ReadOwner(dir)
	if err != nil || whose.Salt != id.Salt && (id.Journal || whose.Salt != 0) {
		return nil // it does not say whose it is, or is another directory's
	}
	err = journal.Salvage(dir, func(rec *messages.Record) {
		if rec.Owner == owner {
			f(rec)
		}
	})
	if errors.As(err, new(*journal.CorruptError)) || errors.Is(err, fs.ErrNotExist) {
		return nil // that is the damage
	}
	return err
}

// remains is a data directory, opened.
type remains struct {
	Remains
	dir     string
	member  actors.Member
	state   *state
	journal *journal.Log           // nil if it cannot be opened
	known   []actors.Configuration // by epoch
	adopted []*messages.PValue     // of the slots from Executed to Adoptable
	highest uint64                 // slot that was accepted
}

// look finds out what is there.
func (r *remains) look(o Options, id *messages.Identity) error {
	s := r.state
	for _, all := range [][]*messages.Configuration{s.Configurations(), id.Configurations, {o.configuration().Proto()}} {
		for _, m := range all {
			if c := actors.ConfigurationOf(m); len(r.known) == 0 || c.Epoch > r.Configuration.Epoch {
				r.known, r.Configuration = append(r.known, c), c
			}
		}
	}
	r.Executed = s.SlotOut()
	if r.member, _ = memberNamed(r.known, o.Member); !r.member.Replica || r.Executed < r.known[0].First {
		return fmt.Errorf("%s has no replica's state: it is a witness, or had not fetched a snapshot yet; recover another member", o.Member)
	}
	accepted := make(map[uint64]map[uint64]*messages.PValue)
	r.Decided, r.Adoptable = r.Executed, r.Executed
	for _, c := range r.known {
		pvalues, err := r.accepted(id, c)
		if err != nil {
			return err
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
	return nil
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
func (r *remains) accepted(id *messages.Identity, c actors.Configuration) (map[uint64]*messages.PValue, error) {
	pvalues := make(map[uint64]*messages.PValue)
	err := r.replay(id, actors.AcceptorAddr(r.member.Name, c.Epoch).Path(), func(rec *messages.Record) {
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

// recover makes the new cluster. A cut in between leaves a directory that can be recovered again.
func (r *remains) recover(id *messages.Identity) error {
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
	fresh.Disk, fresh.Configurations = drawDisk(), []*messages.Configuration{next.Proto()}
	fresh.Seen, fresh.Incarnations, fresh.Spent = nil, nil, ""
	if r.Damage != nil {
		fresh.Admitted, fresh.Journal = false, false // its node makes a journal, and has no peers that admit it
	}
	if err := saveIdentity(r.dir, fresh); err != nil {
		return err
	}
	if r.Damage != nil {
		_, err := journal.PutAside(filepath.Join(r.dir, journalDir))
		return err
	}
	for _, c := range old {
		r.journal.Append(endOf(actors.AcceptorAddr(me.Name, c.Epoch).Path()), nil)
	}
	return nil
}
