package kv

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/hashicorp/go-hclog"
)

// database is one Pebble directory in use. Restore puts another in its place while
// queries and snapshots still read it, so it is closed when the last of them ends.
type database struct {
	*pebble.DB
	path     string
	position atomic.Pointer[position] // as of the last Commit
	flushed  atomic.Uint64            // executed, as far as it is known to be on disk
	swept    atomic.Int64             // the compactor has done its work up to here
	leases   []leaseNews              // that there were when it was opened, for the lessor
	present  present
	hot      *hot
	recent   *recent
	alarms   atomic.Pointer[alarms] // as of the last Commit

	committedBytes, flushedBytes atomic.Int64 // since it was opened; see usage.go

	refs     atomic.Int64 // the store's own is one
	obsolete atomic.Bool  // to be removed once it is closed
	closed   func(*database, error)
}

// baseBytes is what Pebble keeps in the first sorted level: the fewer levels, the less
// often is a version written again.
const baseBytes = 256 << 20

// filterPolicy has a new key known to be new without a read.
var filterPolicy = bloom.FilterPolicy(10)

// openDatabase opens a Pebble directory. must says that it has to be there already.
func (s *Store) openDatabase(path string, must bool) (*database, error) {
	options := &pebble.Options{
		FS:                          s.fs,
		Cache:                       s.cache,
		Comparer:                    pebble.DefaultComparer,
		DisableWAL:                  true,
		ErrorIfNotExists:            must,
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		MemTableSize:                uint64(s.options.MemTableSize),
		MemTableStopWritesThreshold: memTables,
		LBaseMaxBytes:               baseBytes,
		Logger:                      logger{s.log},
		EventListener:               &pebble.EventListener{BackgroundError: s.fail, DataCorruption: s.corrupted},
	}
	options.Levels[0].Compression = func() *block.CompressionProfile { return block.NoCompression } // lives shortly
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = filterPolicy
	}
	pdb, err := pebble.Open(path, options)
	if err != nil {
		return nil, fmt.Errorf("kv: open %s: %w", path, err)
	}
	db := &database{DB: pdb, path: path, hot: newHot(s.options.HotKeys)}
	if db.recent, err = newRecent(); err == nil {
		err = db.load()
	}
	if err != nil {
		pdb.Close()
		return nil, fmt.Errorf("kv: open %s: %w", path, err)
	}
	db.refs.Store(1)
	s.databases.Add(1)
	db.closed = s.databaseClosed
	return db, nil
}

// load reads what the database is asked for all the time.
func (db *database) load() error {
	p, err := readPosition(db)
	if err != nil {
		return err
	}
	mark, err := readSwept(db)
	if err != nil {
		return err
	}
	db.leases = nil
	if err := eachLease(db, func(id int64, l lease) {
		db.leases = append(db.leases, leaseNews{id: id, now: l})
	}); err != nil {
		return err
	}
	raised, err := readAlarms(db)
	if err != nil {
		return err
	}
	db.position.Store(&p)
	db.alarms.Store(&raised)
	db.flushed.Store(p.executed)
	db.swept.Store(mark.main)
	return nil
}

// number is that of the database's directory.
func (db *database) number() uint64 {
	n, _ := directoryNumber(filepath.Base(db.path))
	return uint64(n)
}

// takeLeases returns the leases that there were when the database was opened, and
// forgets them.
func (db *database) takeLeases() []leaseNews {
	leases := db.leases
	db.leases = nil
	return leases
}

// acquire returns the database in use, for release.
func (s *Store) acquire() (*database, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, ErrClosed
	}
	s.db.refs.Add(1)
	return s.db, nil
}

func (db *database) release() {
	if db.refs.Add(-1) == 0 {
		db.pass()
		db.closed(db, db.Close())
	}
}

// databaseClosed is told when the last user of a database has gone.
func (s *Store) databaseClosed(db *database, err error) {
	defer s.databases.Done()
	if err == nil && db.obsolete.Load() {
		err = s.fs.RemoveAll(db.path)
	}
	if err != nil {
		s.fail(fmt.Errorf("kv: close %s: %w", db.path, err))
	}
}

// view returns the last committed state for a query, and what ends that.
func (s *Store) view() (view, func(), error) {
	db, err := s.acquire()
	if err != nil {
		return view{}, nil, err
	}
	m, err := db.moment()
	if err != nil {
		db.release()
		return view{}, nil, err
	}
	return m.view, func() {
		m.end()
		db.release()
	}, nil
}

// logger is Pebble's way to hclog.
type logger struct{ hclog.Logger }

func (l logger) Infof(format string, args ...any) {
	if l.IsTrace() {
		l.Trace(fmt.Sprintf(format, args...))
	}
}

func (l logger) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }

// Fatalf must not return: Pebble calls it when its files can no longer be trusted, such as after
// a failed write of its MANIFEST. It is called in goroutines of Pebble, which hold its locks:
// nothing can be closed any more, and a panic there would end the process without a reason that
// an operator can read. The journals have all that was executed.
func (l logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.Logger.Error("halting: the database cannot go on", "error", text)
	fmt.Fprintf(os.Stderr, "Error: kv: pebble: %s\n", text)
	os.Exit(1)
}
