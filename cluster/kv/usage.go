package kv

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Size is the space that the store takes on disk, in bytes.
func (s *Store) Size() int64 {
	return s.measure(func(db *database) int64 { return int64(db.Metrics().DiskSpaceUsage()) })
}

// SizeInUse is the space that the present state takes, in bytes: on disk and, of what is
// not there yet, in memory. It may be more than Size for as long. Unlike Size it has no
// part in what goes by itself: files that are replaced and not yet deleted, or are held
// by a snapshot that is being sent.
func (s *Store) SizeInUse() int64 { return s.measure((*database).inUse) }

func (s *Store) measure(of func(*database) int64) int64 {
	db, err := s.acquire()
	if err != nil {
		return 0
	}
	defer db.release()
	return of(db)
}

// inUse counts as in memory what was committed since the last flush of ours, but not
// more than Pebble has memory for: it flushes by itself, too.
func (db *database) inUse() int64 {
	below := db.flushedBytes.Load() // before what it is compared with
	m := db.Metrics()
	return int64(m.Table.Local.LiveSize) + min(db.committedBytes.Load()-below, int64(m.MemTable.Size))
}

// Committed counts the bytes that were committed in all, before they are compressed. It
// costs nothing, so that one can tell how much SizeInUse may have grown since it was
// asked for. It begins anew with a Restore.
func (s *Store) Committed() int64 {
	return s.measure(func(db *database) int64 { return db.committedBytes.Load() })
}

// reclaimStep is how much data is written anew at a time, in bytes. In between, Pebble
// does what the writes ask for.
const reclaimStep = 64 << 20

// Reclaim gives back the space of what was deleted and compacted: Pebble would do so,
// too, but with later writes, of which there may be none. Reads and writes go on
// meanwhile. It writes all data anew that has something to give, so it takes its time.
func (s *Store) Reclaim(ctx context.Context) error {
	if err := s.WaitCompacted(ctx); err != nil {
		return err
	}
	if _, err := s.Flush(); err != nil { // or what it wrote would count as in memory, too
		return err
	}
	db, err := s.acquire()
	if err != nil {
		return err
	}
	defer db.release()
	bounds, err := db.bounds()
	for i := 1; i < len(bounds) && err == nil; i++ {
		err = db.Compact(ctx, bounds[i-1], bounds[i], false)
	}
	if err != nil {
		return fmt.Errorf("kv: reclaim: %w", err)
	}
	return nil
}

// bounds cut the keys into pieces of about reclaimStep.
func (db *database) bounds() ([][]byte, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	tables := slices.Concat(levels...)
	slices.SortFunc(tables, func(a, b pebble.SSTableInfo) int {
		return bytes.Compare(a.Smallest.UserKey, b.Smallest.UserKey)
	})
	bounds, size := [][]byte{{0}}, uint64(0)
	for _, t := range tables {
		if key := t.Smallest.UserKey; size >= reclaimStep && !bytes.Equal(key, bounds[len(bounds)-1]) {
			bounds, size = append(bounds, key), 0
		}
		size += t.Size
	}
	return append(bounds, []byte{0xff}), nil
}
