package kv

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// ErrSnapshot is in the chain of errors of a Restore from what is not a whole and
// undamaged snapshot.
var ErrSnapshot = errors.New("kv: bad snapshot")

// Restore replaces the state by a snapshot, on disk and durably, or leaves it as it
// was. Queries that are running end on the state on which they began.
func (s *Store) Restore(r io.Reader) error {
	if err := s.failureSeen(); err != nil {
		return fmt.Errorf("kv: restore: %w", err)
	}
	name, err := s.nextDirectory()
	if err != nil {
		return fmt.Errorf("kv: restore: %w", err)
	}
	db, err := s.openDatabase(s.fs.PathJoin(s.options.Dir, name), false)
	if err != nil {
		return fmt.Errorf("kv: restore: %w", err)
	}
	if err = s.fill(db, r); err == nil {
		err = s.seal(db.path) // before the marker or a note names it
	}
	if err != nil {
		db.obsolete.Store(true)
		db.release()
		return fmt.Errorf("kv: restore: %w", err)
	}
	return s.switchTo(db, name)
}

// switchTo makes db, which is whole and on disk, the one in use.
func (s *Store) switchTo(db *database, name string) error {
	s.dropStage()
	s.mu.Lock()
	old := s.db
	if old == nil {
		s.mu.Unlock()
		db.obsolete.Store(true)
		db.release()
		return fmt.Errorf("kv: restore: %w", ErrClosed)
	}
	// From here on it is done or the node ends: a marker that moved half-way may be
	// either, and only Open can tell.
	if err := s.marker.Move(name); err != nil {
		s.mu.Unlock()
		err = fmt.Errorf("kv: restore: move the marker to %s: %w", name, err)
		s.fail(err)
		db.release()
		return err
	}
	n := note{below: db.position.Load().executed, sealed: db.number()}
	if err := s.replaceFile(s.options.Dir, noteName, n.append(nil)); err != nil {
		s.mu.Unlock()
		s.fail(err)
		db.release()
		return err
	}
	s.db = db
	s.mu.Unlock()
	s.lessor.reset(db.takeLeases())
	old.obsolete.Store(true)
	old.release()
	s.compactor.wake()
	s.hub.wake()
	return nil
}

// fill reads a snapshot into an empty database and makes it durable.
func (s *Store) fill(db *database, r io.Reader) error {
	sum := sha256.New()
	in := io.TeeReader(r, sum)
	want, err := readHeader(in)
	if err != nil {
		return err
	}
	if err := readFrames(in, db.fillFrame); err != nil {
		return err
	}
	if err := checkSum(r, sum); err != nil {
		return err
	}
	if err := s.flush(db); err != nil {
		return err
	}
	if err := db.load(); err != nil {
		return err
	}
	if got := *db.position.Load(); got != want {
		return fmt.Errorf("%w: holds position %+v, its header says %+v", ErrSnapshot, got, want)
	}
	return nil
}

func (db *database) fillFrame(frame []byte) (entries uint64, err error) {
	batch := db.NewBatch()
	defer batch.Close()
	entries, err = readFrame(frame, func(key, value []byte) error { return batch.Set(key, value, nil) })
	if err != nil {
		return 0, err
	}
	return entries, batch.Commit(pebble.NoSync)
}
