package kv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// This file is about bytes that are not what was written. Pebble's blocks have checksums,
// so nothing is ever answered from them. What a replica's state was can be had from the
// others: so a damaged one is put aside as a whole, and the replica begins anew.

// A DamagedError says which file of the state is not what was written.
type DamagedError struct {
	Path string
	Why  string // with the byte, where that is known
}

func (e *DamagedError) Error() string { return fmt.Sprintf("kv: %s is damaged: %s", e.Path, e.Why) }

// Hint tells the operator what to do about it.
func (e *DamagedError) Hint() string {
	return "Look at the disk. The state can be had from the other members: start the node again. Where there is " +
		"no other replica, restore a backup: `pmmc snapshot restore --help`."
}

// A NewerError says that a newer version wrote the files, which are whole.
type NewerError struct{ error }

// Unwrap is what Pebble says of them.
func (e *NewerError) Unwrap() error { return e.error }

// Hint tells the operator what to do about it.
func (e *NewerError) Hint() string {
	return "A newer pmmc wrote this state: start that version. Nothing is lost."
}

// damagedName is the file that says that the state is damaged, and how. What is found
// while the store runs is remembered so until the next Open.
const damagedName = "damaged"

const (
	// asideSuffix is behind the name of the directory into which a damaged state is put,
	// and before the number of the second and the third.
	asideSuffix = ".damaged"
	// maxAside is how many are kept.
	maxAside = 3
)

// An AsideError says that a damaged state stays where it is: of those that were put aside
// before, none is deleted, since what was lost may be in one of them only.
type AsideError struct {
	Dirs   []string // that were put aside before
	Damage string
}

func (e *AsideError) Error() string {
	return fmt.Sprintf("kv: the state is damaged, and as many were put aside before as are kept (%s): %s", strings.Join(e.Dirs, ", "), e.Damage)
}

// Hint tells the operator what to do about it.
func (e *AsideError) Hint() string {
	return "Look at the disk, and whether the other members have all data. Then delete those folders, or move them away, " +
		"and start the node again."
}

// corrupted is told by Pebble of what it could not read, while it reads.
func (s *Store) corrupted(info pebble.DataCorruptionInfo) {
	s.damaged(&DamagedError{Path: info.Path, Why: oneLine(info.Details)})
}

// damaged ends the use of the store; the next Open puts its files aside.
func (s *Store) damaged(d *DamagedError) {
	s.failOnce.Do(func() {
		s.log.Error("the state is damaged: nothing is answered from it any more", "file", d.Path, "error", d.Why)
		if err := s.rememberDamage(d); err != nil {
			s.log.Error("could not take note of the damage", "error", err)
		}
		s.setFailure(d)
	})
}

// rememberDamage does not wait for room on a full disk: the failure has to be known.
func (s *Store) rememberDamage(d *DamagedError) error {
	f, err := s.fs.Unwrap().Create(s.fs.PathJoin(s.options.Dir, damagedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(d.Path + "\n" + d.Why + "\n"))
	return errors.Join(err, f.Sync(), f.Close(), s.syncDirectory(s.options.Dir))
}

// recallDamage is what was found before, or nil.
func recallDamage(disk vfs.FS, dir string) error {
	path := disk.PathJoin(dir, damagedName)
	if _, err := disk.Stat(path); err != nil {
		return nil // even if it is there and can't be read, Pebble will say as much
	}
	b, err := readAll(disk, path)
	if err != nil {
		return &DamagedError{Path: path, Why: err.Error()}
	}
	file, why, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return &DamagedError{Path: file, Why: why}
}

// asDamage tells whether a directory could not be opened because of what is in its files.
func asDamage(err error, dir string) error {
	var known *DamagedError
	switch {
	case err == nil || errors.As(err, &known) || isOfSystem(err):
		return err
	case strings.Contains(err.Error(), "written in unknown format major version"): // it has no type in Pebble
		return &NewerError{err}
	case pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errMissing) || errors.Is(err, syscall.EIO) ||
		errors.Is(err, pebble.ErrDBNotPristine) || errors.Is(err, pebble.ErrDBDoesNotExist) || isUnparsable(err):
		return &DamagedError{Path: dir, Why: oneLine(err)}
	}
	return err
}

// isOfSystem tells of errors that say nothing of what is in the files: a permission, too
// many open files, no memory, no space. They end when their cause does, so that nothing
// may be put aside for them. Two do say something: a file that is not there was lost, and
// what the medium cannot read (EIO) it will not give back, but the other members can.
func isOfSystem(err error) bool {
	var system syscall.Errno
	return errors.As(err, &system) && system != syscall.ENOENT && system != syscall.EIO
}

// isUnparsable tells of errors of Pebble that have no type of their own.
func isUnparsable(err error) bool {
	text := err.Error()
	for _, part := range []string{"OPTIONS", "MANIFEST", "manifest", "invalid options", "comparer", "merger", "checksum"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// putAside moves the files of a damaged state away.
func (s *Store) putAside(why error) error {
	taken := s.aside()
	i := slices.IndexFunc(s.asideNames(), func(name string) bool { return !slices.Contains(taken, name) })
	if i < 0 {
		return &AsideError{Dirs: taken, Damage: why.Error()}
	}
	aside := s.asideNames()[i]
	if err := s.fs.Rename(s.options.Dir, aside); err != nil {
		return fmt.Errorf("kv: put %s aside: %w", s.options.Dir, err)
	}
	s.log.Error("the state is damaged. It was put aside, and is fetched from the other members", "aside", aside, "error", why)
	return s.syncDirectory(s.fs.PathDir(s.options.Dir))
}

// asideNames are the directories into which damaged states may be put.
func (s *Store) asideNames() []string {
	names := []string{s.options.Dir + asideSuffix}
	for n := 2; n <= maxAside; n++ {
		names = append(names, names[0]+"-"+strconv.Itoa(n))
	}
	return names
}

// aside are those of them that there are, or may be.
func (s *Store) aside() []string {
	return slices.DeleteFunc(s.asideNames(), func(name string) bool {
		_, err := s.fs.Stat(name)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// IsRebuilt tells whether the store is empty because a damaged one was put aside.
func (s *Store) IsRebuilt() bool {
	return len(s.aside()) > 0 && s.Executed() == start.executed
}

// Failure is why the store can be used no more, if so.
func (s *Store) Failure() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Check reads all tables of the state as they are now, and returns a *DamagedError for the
// first whose checksums are not right. After each file it waits for as long as pause says.
func (s *Store) Check(ctx context.Context, pause func(bytes uint64) time.Duration) error {
	db, err := s.acquire()
	if err != nil {
		return err
	}
	defer db.release()
	err = checkTables(ctx, s.fs, db.path, db.DB, pause)
	var d *DamagedError
	if errors.As(err, &d) {
		s.damaged(d)
	}
	return err
}

func checkTables(ctx context.Context, disk vfs.FS, dir string, db *pebble.DB, pause func(bytes uint64) time.Duration) error {
	levels, err := db.SSTables()
	if err != nil {
		return fmt.Errorf("kv: list the tables of %s: %w", dir, err)
	}
	for _, level := range levels {
		for _, t := range level {
			path := disk.PathJoin(dir, fmt.Sprintf("%06d.sst", uint64(t.FileNum)))
			if err := checkTable(disk, path); err != nil {
				if errors.Is(err, fs.ErrNotExist) && !isListed(db, t) {
					continue // it was merged into others meanwhile
				}
				return &DamagedError{Path: path, Why: oneLine(err)}
			}
			wait := time.NewTimer(pause(t.Size))
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func isListed(db *pebble.DB, t pebble.SSTableInfo) bool {
	levels, err := db.SSTables()
	if err != nil {
		return false
	}
	for _, level := range levels {
		for _, other := range level {
			if other.FileNum == t.FileNum {
				return true
			}
		}
	}
	return false
}

func checkTable(disk vfs.FS, path string) error {
	f, err := disk.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	usual := new(pebble.Options)
	usual.EnsureDefaults()
	o := usual.MakeReaderOptions()
	o.Filters = map[string]pebble.FilterPolicy{filterPolicy.Name(): filterPolicy}
	r, err := sstable.NewReader(context.Background(), readable, o)
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// CheckDir looks at all files of a store that is not in use: a *DamagedError names the
// first that is not what was written.
func CheckDir(dir string) error {
	disk := vfs.Default
	if err := recallDamage(disk, dir); err != nil {
		return err
	}
	marker, current, err := atomicfs.LocateMarker(disk, dir, markerName)
	if err != nil {
		return fmt.Errorf("kv: find what is current in %s: %w", dir, err)
	}
	if err := marker.Close(); err != nil {
		return err
	}
	if current == "" {
		current = firstDirectory
	}
	path := disk.PathJoin(dir, current)
	n, _, err := checkSealed(disk, dir, current)
	if err != nil {
		return asDamage(err, path)
	}
	db, err := pebble.Open(path, &pebble.Options{
		FS: readable{disk}, Comparer: pebble.DefaultComparer, ReadOnly: true, Logger: silent{},
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}, // the reader hears of it, too
	})
	if err != nil {
		return asDamage(fmt.Errorf("kv: open %s: %w", path, err), path)
	}
	err = checkTables(context.Background(), disk, path, db, func(uint64) time.Duration { return 0 })
	if err == nil {
		var p position
		if p, err = readPosition(db); err == nil {
			err = checkFlushed(dir, n, p.executed)
		}
	}
	return errors.Join(err, db.Close())
}

// readable is a file system that may be mounted read-only, on which Pebble cannot make its lock.
type readable struct{ vfs.FS }

// Lock locks a file, if that can be made.
func (r readable) Lock(name string) (io.Closer, error) {
	lock, err := r.FS.Lock(name)
	if errors.Is(err, syscall.EROFS) {
		return io.NopCloser(nil), nil
	}
	return lock, err
}

// silent is a Pebble logger for those who report errors themselves.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("kv: pebble: "+format, args...))
}

func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func readAll(disk vfs.FS, path string) ([]byte, error) {
	f, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := make([]byte, info.Size())
	_, err = f.ReadAt(b, 0)
	return b, errors.Join(err, f.Close())
}
