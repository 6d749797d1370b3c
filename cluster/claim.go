//go:build unix

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster/journal"
)

// private is the mode of a data directory: in it is all that clients wrote, and promises
// that nobody else may touch.
const private fs.FileMode = 0o700

// An UnusableError says that a data directory cannot be made, or is none: it is named
// wrongly, or not this user's to make.
type UnusableError struct {
	Dir string
	Err error // of the system
}

func (e *UnusableError) Error() string {
	return fmt.Sprintf("cluster: data directory %s cannot be made: %v", e.Dir, e.Err)
}

// Hint tells the operator what to do about it.
func (e *UnusableError) Hint() string {
	return "Correct data_dir of the configuration: want a directory that is there and is this user's, or one that this user can make."
}

// Unwrap returns the cause.
func (e *UnusableError) Unwrap() error { return e.Err }

// Claim makes a data directory, or sees to it that one that is there is this user's own:
// another user's is refused, and so is one in which another user's files are, or only such
// as are no node's, and one on which a node runs. Others' access to it is taken away. Whoever
// opens a file in it before Start, as a state machine does in its StateDir, calls it first.
func Claim(dir string, log hclog.Logger) error {
	switch err := makeDir(dir, syncDir); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &UnusableError{dir, err}
	case err != nil:
		return fmt.Errorf("cluster: data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("cluster: data directory: %w", err)
	}
	if err := refuseForeign(dir, info); err != nil {
		return err
	}
	entries, err := entriesOf(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 && !slices.ContainsFunc(entries, isOurs) {
		return &IdentityError{dir, fmt.Sprintf("it is not empty, and nothing in it is a node's: there is %q", entries[0].Name()),
			"Name a directory that is empty, or that is not there yet: nobody but the node may have files in it."}
	}
	for _, e := range entries {
		switch info, err := os.Lstat(filepath.Join(dir, e.Name())); {
		case errors.Is(err, fs.ErrNotExist): // a node that runs replaces its files
		case err != nil:
			return fmt.Errorf("cluster: data directory: %w", err)
		default:
			if err := refuseForeign(dir, info); err != nil {
				return err
			}
		}
	}
	if err := journal.InUse(filepath.Join(dir, journalDir)); err != nil {
		return fmt.Errorf("cluster: data directory %s: %w", dir, err)
	}
	if info.Mode().Perm()&^private == 0 {
		return nil
	}
	if err := os.Chmod(dir, private); err != nil {
		return fmt.Errorf("cluster: data directory: %w", err)
	}
	log.Info("data directory closed to other users", "dir", dir, "was", info.Mode().Perm(), "is", private)
	return nil
}

// makeDir makes a directory and its parents such that a power cut does not take them away: a new
// directory is an entry of its parent, which has to be synced. The parent of one that exists is
// synced, too, because its maker may have crashed in between.
func makeDir(dir string, sync func(dir string) error) error {
	dir = filepath.Clean(dir)
	parents := []string{filepath.Dir(dir)}
	for {
		last := parents[len(parents)-1]
		if _, err := os.Stat(last); err == nil || last == filepath.Dir(last) {
			break
		}
		parents = append(parents, filepath.Dir(last))
	}
	if err := os.MkdirAll(dir, private); err != nil {
		return err
	}
	for _, parent := range parents {
		err := sync(parent)
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) { // of a file system that cannot sync directories
			return err
		}
	}
	return nil
}

// lostAndFound is in each ext4 file system, and root's.
const lostAndFound = "lost+found"

// entriesOf lists what is in a data directory, but for what is in any: lost+found, and what
// file systems and tools hide behind a dot.
func entriesOf(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: data directory: %w", err)
	}
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == lostAndFound || strings.HasPrefix(e.Name(), ".")
	}), nil
}

// isOurs tells whether an entry of a data directory is one that nodes make, if only on the way.
func isOurs(e fs.DirEntry) bool {
	return strings.HasPrefix(e.Name(), identityFile) || e.Name() == journalDir || e.Name() == stateDir
}

// refuseForeign refuses what another user owns: a file in dir, or dir itself.
func refuseForeign(dir string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return &IdentityError{dir,
		fmt.Sprintf("%s is of the user with number %d, and this process runs as %d", info.Name(), stat.Uid, os.Geteuid()),
		"Start the node as the user who owns its data directory. If that user is to be another one from now on, give it all " +
			"of the directory while no node runs on it: chown -R USER DIRECTORY."}
}
