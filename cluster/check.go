package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pmmc-go/pmmc/cluster/journal"
	"github.com/pmmc-go/pmmc/messages"
)

// Checked is what CheckDataDir found of one part of a data directory.
type Checked struct {
	Path string
	Says string // what it is
	Err  error  // what is wrong with it; nil if all bytes are what was written
}

// CheckDataDir reads all files of a data directory that is not in use, and compares their
// checksums. State looks at the folder of the state machine. What is no data directory, and
// one on which a node runs, is an error.
func CheckDataDir(dir string, state func(dir string) error) ([]Checked, error) {
	entries, err := entriesOf(dir)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(entries, isOurs) {
		return nil, &IdentityError{dir, "nothing in it is a node's", "Name the data_dir of a node's configuration."}
	}
	var locked *journal.LockedError
	switch err := journal.InUse(filepath.Join(dir, journalDir)); {
	case errors.As(err, &locked):
		return nil, &IdentityError{dir, "a node runs on it", "Stop that node, then check again (`fuser` or `lsof` on " + locked.Path +
			" names its process). A node that runs checks its files itself, every check_every of its configuration: its metric pmmc_disk_damaged is 1 where something is damaged."}
	case err != nil:
		return nil, err
	}
	identity, id := checkIdentity(dir)
	all := []Checked{identity}
	for _, part := range []struct {
		path, says string
		check      func(string) error
		belongs    func(dir string, id *messages.Identity) error
	}{
		{filepath.Join(dir, journalDir), "what was promised and accepted", journal.CheckDir, checkJournalBelongs},
		{StateDir(dir), "the state machine", state, checkStateBelongs},
	} {
		c := Checked{Path: part.path, Says: part.says}
		if id != nil {
			c.Err = part.belongs(dir, id)
		}
		if c.Err == nil {
			_, c.Err = os.Stat(part.path)
		}
		if c.Err == nil {
			c.Err = part.check(part.path)
		}
		all = append(all, c)
	}
	return all, nil
}

// checkIdentity reads the identity; it is nil if it cannot be read.
func checkIdentity(dir string) (Checked, *messages.Identity) {
	c := Checked{Path: filepath.Join(dir, identityFile), Says: "whose it is"}
	b, err := os.ReadFile(c.Path)
	id := &messages.Identity{}
	if err == nil {
		b, err = checkSummed(b)
	}
	if err == nil {
		err = protojson.Unmarshal(b, id)
	}
	if err != nil {
		c.Err = &IdentityError{Dir: dir, Why: identityFile + " cannot be read: " + err.Error()}
		return c, nil
	}
	c.Says = "of member " + id.Name + " of cluster " + id.Cluster
	if id.Spent != "" {
		c.Err = outdated(dir, id.Spent)
	}
	return c, id
}

// checkJournalBelongs finds what a start would refuse before it reads the journal's batches.
func checkJournalBelongs(dir string, id *messages.Identity) error {
	path := filepath.Join(dir, journalDir)
	if has, err := journal.HasFiles(path); err != nil {
		return err
	} else if !has && (id.Journal || id.Admitted) {
		return journalError(dir, &journal.MissingError{Path: path})
	}
	owner, err := journal.ReadOwner(path)
	if err != nil {
		return err
	}
	return journalBelongs(dir, id, owner, 0)
}

// checkStateBelongs finds a state that a start would refuse, or begin anew.
func checkStateBelongs(dir string, id *messages.Identity) error {
	salt, err := ownerOfState(StateDir(dir))
	if err == nil && salt != 0 && salt != id.Salt {
		err = &IdentityError{dir, fmt.Sprintf("its folder %q is of another data directory", stateDir), stateForeign}
	}
	return err
}
