package kv

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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
	s.dropStage()
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
	if err := s.fill(db, r); err != nil {
		db.obsolete.Store(true)
		db.release()
		return fmt.Errorf("kv: restore: %w", err)
	}
	return s.switchTo(db, name)
}

// switchTo makes db, which is whole and on disk, the one in use.
func (s *Store) switchTo(db *database, name string) error {
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
	s.db = db
	s.mu.Unlock()
	old.obsolete.Store(true)
	old.release()
	s.compactor.wake()
	return nil
}

// fill reads a snapshot into an empty database and makes it durable.
func (s *Store) fill(db *database, r io.Reader) error {
	sum := sha256.New()
	in := io.TeeReader(r, sum)
	header := make([]byte, len(snapshotMagic)+positionBytes)
	if err := readFull(in, header, "header"); err != nil {
		return err
	}
	if !bytes.HasPrefix(header, []byte(snapshotMagic)) {
		return fmt.Errorf("%w: begins with %q, want %q", ErrSnapshot, header[:len(snapshotMagic)], snapshotMagic)
	}
	want, err := parsePosition(header[len(snapshotMagic):])
	if err != nil {
		return err
	}
	if err := fillFrames(db, in); err != nil {
		return err
	}
	computed := sum.Sum(nil)
	checksum := make([]byte, len(computed))
	if err := readFull(r, checksum, "checksum"); err != nil {
		return err
	}
	if !bytes.Equal(checksum, computed) {
		return fmt.Errorf("%w: checksum is %x, want %x", ErrSnapshot, computed[:8], checksum[:8])
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

func fillFrames(db *database, in io.Reader) error {
	var number [8]byte
	var frame bytes.Buffer
	entries := uint64(0)
	for {
		if err := readFull(in, number[:4], "length of a frame"); err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(number[:4]))
		if length == 0 {
			break
		}
		if length > snapshotMaxFrame {
			return fmt.Errorf("%w: frame of %d bytes", ErrSnapshot, length)
		}
		// Copied rather than allocated ahead: a damaged length costs no memory.
		frame.Reset()
		if n, err := io.CopyN(&frame, in, length); err != nil {
			return fmt.Errorf("%w: frame ends after %d of %d bytes: %w", ErrSnapshot, n, length, err)
		}
		n, err := fillFrame(db, frame.Bytes())
		if err != nil {
			return err
		}
		entries += n
	}
	if err := readFull(in, number[:], "number of entries"); err != nil {
		return err
	}
	if want := binary.BigEndian.Uint64(number[:]); entries != want {
		return fmt.Errorf("%w: %d entries, want %d", ErrSnapshot, entries, want)
	}
	return nil
}

func fillFrame(db *database, frame []byte) (entries uint64, err error) {
	batch := db.NewBatch()
	defer batch.Close()
	for rest := frame; len(rest) > 0; entries++ {
		var key, value []byte
		var ok bool
		if key, rest, ok = cutBytes(rest); !ok || len(key) == 0 {
			return 0, fmt.Errorf("%w: entry %d of a frame is cut in its key", ErrSnapshot, entries)
		}
		if value, rest, ok = cutBytes(rest); !ok {
			return 0, fmt.Errorf("%w: entry %d of a frame is cut in its value", ErrSnapshot, entries)
		}
		if err := batch.Set(key, value, nil); err != nil {
			return 0, err
		}
	}
	return entries, batch.Commit(pebble.NoSync)
}

// cutBytes takes bytes off that follow their length.
func cutBytes(b []byte) (taken, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(length)
	return b[n:end], b[end:], true
}

func readFull(r io.Reader, b []byte, what string) error {
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSnapshot, what, err)
	}
	return nil
}
