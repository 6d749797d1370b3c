package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/cluster"
	"github.com/pmmc-go/pmmc/cluster/diskfull"
)

// Options say where a store lives.
type Options struct {
	Dir    string
	FS     vfs.FS       // nil is the disk
	Logger hclog.Logger // nil says nothing

	// Rebuild has Open put damaged files aside and begin with an empty store, which the
	// node fills from the other members. Otherwise Open returns a *DamagedError.
	Rebuild bool

	// CacheSize is the memory for blocks that were read, in bytes; 0 is 32 MiB. It
	// may use what MemTableSize leaves, too.
	CacheSize int64
	// MemTableSize is how much is gathered in memory before it goes to disk, in
	// bytes; 0 is 32 MiB. Up to four times as much is held while the disk is slow.
	MemTableSize int64

	Clock Clock // of the leases' times to live; nil is the process's
	// HotKeys is of how many keys the newest version is held, for a put to need no
	// read; 0 is 65,536.
	HotKeys int
}

const (
	defaultCacheSize    = 32 << 20
	defaultMemTableSize = 32 << 20
	defaultHotKeys      = 1 << 16
	// memTables is how many are held before writes have to wait for the disk.
	memTables = 4
)

var _ cluster.DurableStateMachine = (*Store)(nil)

// Store is the key-value state machine. Apply, Commit, Snapshot and Restore belong
// to one goroutine, all else may run beside them.
type Store struct {
	options Options
	fs      vfs.FS
	log     hclog.Logger
	cache   *pebble.Cache
	marker  *atomicfs.Marker // names the directory in use

	mu        sync.RWMutex // guards which database is in use, and the open snapshots
	db        *database    // nil once closed
	snapshots map[*Snapshot]struct{}
	databases sync.WaitGroup // until each is closed

	stage *stage // of the Apply that waits for its Commit

	room     *diskfull.Retrier
	failure  atomic.Pointer[error]
	failed   chan struct{} // closed once failure is set
	failOnce sync.Once

	compactor compactor
	lessor    *Lessor
	hub       hub
	executed  executed
}

// Open opens the store in a directory, or makes an empty one where there is none.
func Open(options Options) (*Store, error) {
	s := &Store{
		options:   options,
		fs:        options.FS,
		log:       options.Logger,
		snapshots: make(map[*Snapshot]struct{}),
		failed:    make(chan struct{}),
		lessor:    newLessor(options.Clock),
	}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if s.options.CacheSize == 0 {
		s.options.CacheSize = defaultCacheSize
	}
	if s.options.HotKeys == 0 {
		s.options.HotKeys = defaultHotKeys
	}
	if s.options.MemTableSize == 0 {
		s.options.MemTableSize = defaultMemTableSize
	}
	s.room = diskfull.New(s.log)
	s.fs = roomyFS{s.fs, s.room}
	// Pebble counts what it gathers in memory against the cache.
	s.cache = pebble.NewCache(s.options.CacheSize + memTables*s.options.MemTableSize)
	err := s.openCurrent()
	var damage *DamagedError
	if errors.As(err, &damage) && options.Rebuild {
		if err = s.putAside(damage); err == nil {
			s.failure.Store(nil) // of the old files
			s.failed, s.failOnce = make(chan struct{}), sync.Once{}
			err = s.openCurrent()
		}
	}
	if err != nil {
		s.cache.Unref()
		return nil, err
	}
	s.room.Begin()
	s.lessor.reset(s.db.takeLeases())
	s.hub.start(s)
	s.compactor.start(s)
	return s, nil
}

// fail remembers the first error of the disk. Nothing is tried again after it:
// what the page cache holds then may not be what the disk holds.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.log.Error("the state machine's storage failed", "error", err)
		s.setFailure(err)
	})
}

func (s *Store) setFailure(err error) {
	s.failure.Store(&err)
	close(s.failed)
}

func (s *Store) failureSeen() error {
	if err := s.failure.Load(); err != nil {
		return fmt.Errorf("kv: failed before: %w", *err)
	}
	return nil
}

// Executed is the first slot that was not committed.
func (s *Store) Executed() uint64 { return s.last().executed }

// Revision is the revision of the last effective command.
func (s *Store) Revision() int64 { return s.last().revision }

// CompactRevision is the revision below which the history is gone, or -1.
func (s *Store) CompactRevision() int64 { return s.last().compacted }

func (s *Store) last() position {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return start
	}
	return *s.db.position.Load()
}

// Commit makes one atomic change of what Apply staged for the slot, the records
// and the slot itself.
func (s *Store) Commit(slot uint64, records []cluster.Record) error {
	db, err := s.acquire()
	if err != nil {
		return fmt.Errorf("kv: commit slot %d: %w", slot, err)
	}
	defer db.release()
	if err := s.failureSeen(); err != nil {
		return fmt.Errorf("kv: commit slot %d: %w", slot, err)
	}
	before := *db.position.Load()
	g := s.stage
	s.stage = nil
	if g == nil {
		g = newStage(slot, db)
	}
	defer g.close()
	if slot < before.executed || slot != g.slot {
		return fmt.Errorf("kv: commit slot %d: applied slot %d, executed all below %d", slot, g.slot, before.executed)
	}
	after := g.position
	after.executed = slot + 1
	if err := g.commit(after, records); err != nil {
		return fmt.Errorf("kv: commit slot %d: %w", slot, err)
	}
	db.pass()
	db.committedBytes.Add(g.bytes)
	db.position.Store(&after)
	if !slices.Equal(g.alarms, *db.alarms.Load()) {
		raised := g.alarms
		db.alarms.Store(&raised)
	}
	s.lessor.hear(g.leases)
	db.hot.commit()
	s.hub.wake()
	if after.compacted != before.compacted {
		s.compactor.wake()
	}
	return nil
}

func (g *stage) commit(after position, records []cluster.Record) error {
	for _, r := range records {
		key := append([]byte{spaceRecord}, r.Key...)
		var err error
		if r.Value == nil {
			err = g.batch.Delete(key, nil)
		} else {
			err = g.batch.Set(key, r.Value, nil)
		}
		if err != nil {
			return fmt.Errorf("record %q: %w", r.Key, err)
		}
	}
	if err := g.batch.Set(keyPosition, after.append(nil), nil); err != nil {
		return err
	}
	whole := g.batch
	if g.versions != nil {
		whole = g.versions
		if err := whole.Apply(g.batch, nil); err != nil {
			return err
		}
	}
	g.bytes = int64(whole.Len())
	return whole.Commit(pebble.NoSync)
}

func (s *Store) dropStage() {
	if s.stage != nil {
		s.stage.close()
		s.stage = nil
	}
}

// Records returns the node's records in the order of their keys.
func (s *Store) Records() ([]cluster.Record, error) {
	v, end, err := s.view()
	if err != nil {
		return nil, err
	}
	defer end()
	it, err := v.iterate([]byte{spaceRecord}, []byte{spaceRecord + 1})
	if err != nil {
		return nil, err
	}
	var records []cluster.Record
	for ok := it.First(); ok; ok = it.Next() {
		records = append(records, cluster.Record{
			Key:   string(it.Key()[1:]),
			Value: append([]byte{}, it.Value()...),
		})
	}
	return records, closeIterator(it, nil)
}

// Flush makes durable all that was committed before it and returns what Executed
// was then. What is committed meanwhile may get to the disk, too, and is not claimed.
func (s *Store) Flush() (below uint64, err error) {
	db, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer db.release()
	below = db.position.Load().executed
	bytes := db.committedBytes.Load()
	if db.flushed.Load() >= below {
		return below, nil
	}
	if err := s.flush(db); err != nil {
		return 0, fmt.Errorf("kv: flush below slot %d: %w", below, err)
	}
	if err := s.noteFlushed(note{below: below, sealed: db.number()}); err != nil {
		return 0, err
	}
	raise(&db.flushed, below)
	db.flushedBytes.Store(bytes)
	return below, nil
}

// flush writes what Pebble holds in memory and waits for the disk. Pebble itself
// would wait for ever where the disk has failed.
func (s *Store) flush(db *database) error {
	done, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return s.failureSeen()
	case <-s.failed:
		return s.failureSeen()
	}
}

// raise lifts a mark that others may be lifting, too.
func raise(mark *atomic.Uint64, to uint64) {
	for old := mark.Load(); old < to && !mark.CompareAndSwap(old, to); old = mark.Load() {
	}
}

// Close ends the use of the store, without a Flush. It ends open snapshots and
// waits for the queries that are running.
func (s *Store) Close() error {
	s.mu.Lock()
	db := s.db
	s.db = nil
	open := make([]*Snapshot, 0, len(s.snapshots))
	for snapshot := range s.snapshots {
		open = append(open, snapshot)
	}
	s.mu.Unlock()
	if db == nil {
		return nil
	}
	s.room.GiveUp()
	s.compactor.stop()
	s.hub.stop()
	s.dropStage()
	var errs []error
	for _, snapshot := range open {
		errs = append(errs, snapshot.Close())
	}
	db.release()
	s.databases.Wait()
	s.cache.Unref()
	return errors.Join(append(errs, s.marker.Close(), s.failureSeen())...)
}

// FullSince is when the disk was found full; zero while it has room.
func (s *Store) FullSince() time.Time { return s.room.Since() }

// Abandon has what waits for space on a full disk fail; the store is of no use afterwards.
func (s *Store) Abandon() { s.room.GiveUp() }

// WaitCompacted waits until the space of all that was compacted is free, as a
// physical compaction asks for.
func (s *Store) WaitCompacted(ctx context.Context) error { return s.compactor.wait(ctx, s) }
