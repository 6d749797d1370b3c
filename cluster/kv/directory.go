package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// A store's directory holds one Pebble directory, db-N, and a marker that names
// it. A restore builds db-N+1 beside it and moves the marker, which is one atomic
// change; whatever the marker does not name is left over from a crash. The first
// directory needs no marker.
const (
	markerName      = "database"
	directoryPrefix = "db-"
	firstDirectory  = directoryPrefix + "1"
)

// errMissing is a directory that is not there and should be.
var errMissing = errors.New("a database is missing")

// openCurrent opens the database that the marker names and removes all others.
func (s *Store) openCurrent() error {
	dir := s.options.Dir
	if err := s.makeDirectory(dir); err != nil {
		return fmt.Errorf("kv: make %s: %w", dir, err)
	}
	if err := recallDamage(s.fs, dir); err != nil {
		return err
	}
	marker, current, err := atomicfs.LocateMarker(s.fs, dir, markerName)
	if err != nil {
		return fmt.Errorf("kv: find what is current in %s: %w", dir, err)
	}
	if s.db, err = s.openMarked(current); err != nil {
		marker.Close()
		return asDamage(err, dir)
	}
	if err := s.seals(); err != nil {
		s.db.release()
		s.databases.Wait()
		s.db = nil
		return errors.Join(err, marker.Close())
	}
	s.marker = marker
	return nil
}

// makeDirectory makes a directory that a power cut does not take away: each new
// one is an entry of its parent, which has to be synced. The directory's own is
// synced even if it is old, as it may be from just before a crash.
func (s *Store) makeDirectory(dir string) error {
	parents := []string{s.fs.PathDir(dir)}
	for {
		last := parents[len(parents)-1]
		if _, err := s.fs.Stat(last); err == nil || last == s.fs.PathDir(last) {
			break
		}
		parents = append(parents, s.fs.PathDir(last))
	}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := s.syncDirectory(parent); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncDirectory(dir string) error {
	f, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// seals has the next Open demand what there is now: see note and seal, and their order.
func (s *Store) seals() error {
	n := note{below: s.db.position.Load().executed}
	if _, err := s.fs.Stat(s.fs.PathJoin(s.db.path, sealName)); errors.Is(err, fs.ErrNotExist) {
		if err := s.replaceFile(s.options.Dir, noteName, n.append(nil)); err != nil {
			return err
		}
	}
	if err := s.seal(s.db.path); err != nil {
		return err
	}
	n.sealed = s.db.number()
	return s.replaceFile(s.options.Dir, noteName, n.append(nil))
}

// openMarked opens the database of a name, which is none before the first restore,
// and removes the others.
func (s *Store) openMarked(current string) (*database, error) {
	dir := s.options.Dir
	names, err := s.databaseNames()
	if err != nil {
		return nil, err
	}
	marked := current != ""
	if !marked {
		current = firstDirectory
	}
	if !slices.Contains(names, current) && (marked || len(names) > 0) {
		return nil, fmt.Errorf("%w: kv: %s has %q but not %s, which is the current one", errMissing, dir, names, current)
	}
	for _, name := range names {
		if name == current {
			continue
		}
		if err := s.fs.RemoveAll(s.fs.PathJoin(dir, name)); err != nil {
			return nil, fmt.Errorf("kv: remove the unfinished %s: %w", name, err)
		}
	}
	n, sealed, err := checkSealed(s.fs, dir, current)
	if err != nil {
		return nil, err
	}
	db, err := s.openDatabase(s.fs.PathJoin(dir, current), marked || sealed)
	if err != nil {
		return nil, err
	}
	if err := checkFlushed(dir, n, db.position.Load().executed); err != nil {
		db.release()
		s.databases.Wait()
		return nil, err
	}
	return db, nil
}

// databaseNames lists the Pebble directories.
func (s *Store) databaseNames() ([]string, error) {
	all, err := s.fs.List(s.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("kv: list %s: %w", s.options.Dir, err)
	}
	var names []string
	for _, name := range all {
		if _, ok := directoryNumber(name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func directoryNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, directoryPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil
}

// nextDirectory is a name that none of the directories has.
func (s *Store) nextDirectory() (string, error) {
	names, err := s.databaseNames()
	if err != nil {
		return "", err
	}
	last := 0
	for _, name := range names {
		n, _ := directoryNumber(name)
		last = max(last, n)
	}
	return directoryPrefix + strconv.Itoa(last+1), nil
}
