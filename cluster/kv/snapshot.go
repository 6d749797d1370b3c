package kv

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A snapshot is a stream of
//
//	"pmmc-kv" and the format's version, one byte each letter
//	the position, as in values.go: executed slot, revision, compacted revision
//	frames: a length of four bytes, then entries as lengths and bytes of key and value
//	a frame of length zero
//	the number of entries, eight bytes
//	the SHA-256 of all that
//
// Numbers are big-endian, lengths of entries varints. The entries are all that
// Pebble holds, in order, the position and the node's records among them.
const (
	snapshotMagic = "pmmc-kv\x01"
	// snapshotFrame is the size at which a frame is closed: what is read from Pebble
	// at a time, and held in memory.
	snapshotFrame = 256 << 10
	// snapshotMaxFrame is more than a frame with the largest entry can have.
	snapshotMaxFrame = 64 << 20
)

// Snapshot is the state at one moment. It holds on to the space of what is deleted
// later, until it is closed.
type Snapshot struct {
	store *Store
	db    *database

	mu       sync.Mutex // guards what Pebble gave us against Close
	snapshot *pebble.Snapshot
	closed   bool
}

// Snapshot returns the state as of the last Commit, to be written out while others
// follow. The result is a *Snapshot.
func (s *Store) Snapshot() (io.WriterTo, error) {
	db, err := s.acquire()
	if err != nil {
		return nil, err
	}
	snapshot := &Snapshot{store: s, db: db, snapshot: db.NewSnapshot()}
	s.mu.Lock()
	s.snapshots[snapshot] = struct{}{}
	closed := s.db == nil
	s.mu.Unlock()
	if closed {
		return nil, errors.Join(ErrClosed, snapshot.Close())
	}
	return snapshot, nil
}

// Close ends the use of the snapshot. A WriteTo that is running ends with ErrClosed.
func (n *Snapshot) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	n.store.mu.Lock()
	delete(n.store.snapshots, n)
	n.store.mu.Unlock()
	err := n.snapshot.Close()
	n.db.release()
	return err
}

// WriteTo writes the whole snapshot. It may be called again.
func (n *Snapshot) WriteTo(w io.Writer) (int64, error) {
	sum := sha256.New()
	counted := &countingWriter{w: w}
	out := bufio.NewWriterSize(counted, snapshotFrame)
	err := n.write(io.MultiWriter(out, sum))
	if err == nil {
		_, err = out.Write(sum.Sum(nil))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return counted.n, fmt.Errorf("kv: write snapshot: %w", err)
	}
	return counted.n, nil
}

func (n *Snapshot) write(w io.Writer) error {
	header, err := n.header()
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	var from, frame []byte
	entries := uint64(0)
	for {
		var count uint64
		if from, frame, count, err = n.frame(from, frame[:0]); err != nil {
			return err
		}
		entries += count
		if err := writeFrame(w, frame); err != nil {
			return err
		}
		if len(frame) == 0 {
			_, err := w.Write(binary.BigEndian.AppendUint64(nil, entries))
			return err
		}
	}
}

func (n *Snapshot) header() ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	p, err := readPosition(n.snapshot)
	return p.append([]byte(snapshotMagic)), err
}

// frame appends entries to dst, from a key on, and returns the key to go on from.
// The lock is held for one frame, so that Close need not wait for a slow reader.
func (n *Snapshot) frame(from, dst []byte) (next, frame []byte, entries uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, nil, 0, ErrClosed
	}
	it, err := iterate(n.snapshot, from, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	next = from
	for ok := it.First(); ok && len(dst) < snapshotFrame; ok = it.Next() {
		value := it.Value()
		dst = binary.AppendUvarint(dst, uint64(len(it.Key())))
		dst = append(dst, it.Key()...)
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		dst = append(dst, value...)
		next = append(append(next[:0], it.Key()...), 0)
		entries++
	}
	return next, dst, entries, closeIterator(it, nil)
}

func writeFrame(w io.Writer, frame []byte) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(frame)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	_, err := w.Write(frame)
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
