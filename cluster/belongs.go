package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pmmc-go/pmmc/actors"
	"github.com/pmmc-go/pmmc/cluster/datadir"
	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// This file says whether identity, journal and state of a data directory belong together (S11),
// and begins a start on them (S13). All three hold the directory's salt. A start writes its
// incarnation to the journal, then to the identity, so that a crash in between leaves the
// journal ahead:
//
//	identity    journal
//	salt        -            first start, up to here
//	salt        salt, n      … up to here
//	salt, n     salt, n      while a node runs, and after it
//	salt, n     salt, n+1    the next start, after a crash in between
//
// An identity that is ahead of its journal therefore means that the journal is an older one.

// Hints for parts of a directory that do not belong together.
const (
	journalLost = "If the journal is on a volume of its own, see that it is mounted. If the journal is lost, this member is: put a new member " +
		"in its place (`pmmc member replace`). If no majority is left either, make a cluster of what the state holds: `pmmc recover --damaged-journal`."
	journalForeign = "Put the directory's own journal back. If it is lost, put a new member in this one's place (`pmmc member replace`)."
	stateForeign   = "Put the directory's own folder \"state\" back, or move this one away: the state is fetched from the other members then."
	stateLost      = "Put the folder back. If it is lost, restore a backup: `pmmc snapshot restore --help`."
)

// ownerFile holds, in the folder of the state, the salt of its data directory.
const ownerFile = "owner"

// ownerOfState is the salt in a state's folder, or 0 if the folder has no salt.
func ownerOfState(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cluster: state: %w", err)
	}
	var salt uint64
	body, err := checkSummed(b)
	if err == nil {
		_, err = fmt.Sscanf(string(body), "%016x", &salt)
	}
	if err != nil {
		return 0, &IdentityError{filepath.Dir(dir), fmt.Sprintf("%s cannot be read: %v", filepath.Join(stateDir, ownerFile), err),
			"If the folder is this directory's own, remove the file. Otherwise move the folder away: the state is fetched from the other members then."}
	}
	return salt, nil
}

// ownState writes the salt into a state's folder.
func ownState(dir string, salt uint64) error {
	if err := makeDir(dir, syncDir); err != nil {
		return fmt.Errorf("cluster: state: %w", err)
	}
	return replaceFile(filepath.Join(dir, ownerFile), func(f *os.File) error {
		_, err := f.Write(withSum(fmt.Appendf(nil, "%016x", salt)))
		return err
	})
}

// openJournal opens the journal of the data directory.
func (n *Node) openJournal() (err error) {
	o, had := n.options, n.identity.Journal || n.identity.Admitted
	if n.journal == nil {
		l, err := journal.Open(journal.Options{
			Dir: filepath.Join(o.DataDir, journalDir), SegmentBytes: o.Protocol.SegmentBytes, Existing: had,
			Failed: n.fail, Logger: o.Logger.Named("journal"),
		})
		if err != nil {
			return journalError(o.DataDir, err)
		}
		n.journal = l
	}
	return journalBelongs(o.DataDir, n.identity, n.journal.Owner(), n.state().incarnationsOf(n.identity.Member))
}

// journalError makes a journal that is missing a matter of the directory's identity.
func journalError(dir string, err error) error {
	if errors.As(err, new(*journal.MissingError)) {
		return &IdentityError{dir, fmt.Sprintf("its folder %q is missing or empty: what this member promised is lost", journalDir), journalLost}
	}
	return fmt.Errorf("cluster: %w", err)
}

// journalBelongs refuses a journal that is not the directory's own, or an older one. Executed is
// the highest incarnation of this member of which a command was executed in the state.
func journalBelongs(dir string, id *messages.Identity, owner journal.Owner, executed uint64) error {
	switch {
	case owner.Salt != 0 && owner.Salt != id.Salt:
		return &IdentityError{dir, fmt.Sprintf("its folder %q is of another data directory", journalDir), journalForeign}
	case !id.Journal:
		return nil // of an earlier version, or of a first start that did not come to its end
	case owner.Salt == 0:
		return &IdentityError{dir, fmt.Sprintf("its folder %q is a new one, or of another data directory: what this member promised is lost", journalDir), journalLost}
	case owner.Incarnation < id.Incarnation:
		return &IdentityError{dir, fmt.Sprintf("its folder %q is an older copy, of start %d: %s is of start %d", journalDir,
			datadir.Counter(owner.Incarnation), identityFile, datadir.Counter(id.Incarnation)), journalLost}
	case owner.Incarnation < executed:
		return &IdentityError{dir, fmt.Sprintf("its folder %q and its %s are older copies, of start %d: its folder %q is of start %d or a later one",
			journalDir, identityFile, datadir.Counter(owner.Incarnation), stateDir, datadir.Counter(executed)), journalLost}
	}
	return nil
}

// stateBelongs refuses a state of another directory or cluster. One that is missing, or older
// than it was, is fetched from the other members; it is refused where nobody has what it held.
func (n *Node) stateBelongs() error {
	dir, id, owner := n.options.DataDir, n.identity, n.journal.Owner()
	salt, err := ownerOfState(StateDir(dir))
	if err != nil {
		return err
	}
	records, err := n.machine.Records()
	if err != nil {
		return fmt.Errorf("cluster: state: %w", err)
	}
	of, _, err := EpochsOf(records)
	if err != nil {
		return fmt.Errorf("cluster: state: %w", err)
	}
	executed := n.machine.Executed()
	switch {
	case salt != 0 && salt != id.Salt:
		return &IdentityError{dir, fmt.Sprintf("its folder %q is of another data directory", stateDir), stateForeign}
	case of != "" && of != id.Cluster:
		return &IdentityError{dir, fmt.Sprintf("its folder %q is of cluster %q, not %q", stateDir, of, id.Cluster), stateForeign}
	case !id.State || executed >= owner.Executed && (salt != 0 || executed > 1):
		return nil
	}
	why := fmt.Sprintf("its folder %q ends before slot %d, and slots below %d were in it at an earlier start", stateDir, executed, owner.Executed)
	if executed <= 1 {
		why = fmt.Sprintf("its folder %q is missing or empty", stateDir)
	}
	lost, err := n.onlyStateHas(executed)
	if err != nil {
		return err
	}
	if lost {
		return &IdentityError{dir, why + ": no other member has what it held", stateLost}
	}
	n.options.Logger.Warn("the state was lost: it is executed again from the journals, or fetched from the other members", "dir", dir, "why", why)
	return nil
}

// onlyStateHas reports whether slots from one on were in this node's state alone: no other member
// has a replica, and the acceptor here has forgotten them.
func (n *Node) onlyStateHas(executed uint64) (bool, error) {
	all := n.epochs()
	for _, c := range all {
		for _, m := range c.Members {
			if m.Replica && m.Name != n.options.Member {
				return false, nil
			}
		}
	}
	if len(all) == 0 {
		return false, nil
	}
	forgotten := all[0].First
	for _, c := range all {
		err := n.journal.Replay(actors.AcceptorAddr(n.options.Member, c.Epoch).Path(), func(rec *messages.Record) {
			if f, ok := rec.Kind.(*messages.Record_Forgotten); ok {
				forgotten = max(forgotten, f.Forgotten)
			}
		})
		if err != nil {
			return false, fmt.Errorf("cluster: %w", err)
		}
	}
	return executed < forgotten, nil
}

// begin numbers this start above all that the directory knows of earlier ones, and writes the
// number down (S13).
func (n *Node) begin() error {
	id, owner := n.identity, n.journal.Owner()
	if id.Journal && owner.Incarnation > id.Incarnation {
		n.options.Logger.Warn("the identity is older than the journal: an older copy was put back, or the last start did not come to its end",
			"dir", n.options.DataDir, "identity", datadir.Counter(id.Incarnation), "journal", datadir.Counter(owner.Incarnation))
	}
	if err := ownState(StateDir(n.options.DataDir), id.Salt); err != nil {
		return err
	}
	executed := n.state().incarnationsOf(id.Member)
	incarnation := datadir.NextIncarnation(uint32(drawDisk()>>32), id.Incarnation, owner.Incarnation, executed)
	if err := n.journal.Own(journal.Owner{Salt: id.Salt, Incarnation: incarnation, Executed: n.machine.Executed()}); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	id.Journal, id.State, id.Incarnation = true, true, incarnation
	return saveIdentity(n.options.DataDir, id)
}

// refuseOrphan refuses a directory that holds promises or a state but not whose. The state's
// folder alone may be there: who runs a state machine on disk opens it before the node.
func refuseOrphan(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, journalDir)); err == nil {
		return &IdentityError{Dir: dir, Why: fmt.Sprintf("it has a folder %q but no %s", journalDir, identityFile)}
	}
	if salt, err := ownerOfState(StateDir(dir)); err != nil {
		return err
	} else if salt != 0 {
		return &IdentityError{Dir: dir, Why: fmt.Sprintf("its folder %q was used, and it has no %s", stateDir, identityFile), Fix: "Put the directory back as a whole. " +
			"If the rest is lost, so is this member: put a new one in its place (`pmmc member replace`), on an empty directory."}
	}
	return nil
}
