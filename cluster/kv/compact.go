package kv

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactor frees the space of what was compacted, in the background and in small
// steps. It owes nothing to determinism: no reader can see what it removes.
//
// It walks over the versions in the order of their making, up to the compacted
// revision. Each has made the version of its key before it superfluous, and a
// deletion is superfluous itself once it is behind that revision. So the work is that of the changes since the last
// compaction, however large the store is; the mark of how far it came is written
// with each step, and a restart goes on from there.
type compactor struct {
	woken   chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	progress chan struct{} // closed and replaced when there was some
}

// compactionStep is how many versions are looked at in one step.
const compactionStep = 1000

func (c *compactor) start(s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.woken = make(chan struct{}, 1)
	c.progress = make(chan struct{})
	c.wake() // there may be work from before a restart
	c.running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.woken:
			}
			if err := c.sweep(ctx, s); err != nil {
				s.fail(err)
				return
			}
		}
	})
}

func (c *compactor) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *compactor) stop() {
	c.cancel()
	c.running.Wait()
}

// sweep makes steps until there is nothing to do.
func (c *compactor) sweep(ctx context.Context, s *Store) error {
	for ctx.Err() == nil {
		db, err := s.acquire()
		if err != nil {
			return nil // closed
		}
		more, err := db.sweepStep(s.hub.sweepable)
		db.release()
		if err != nil {
			return fmt.Errorf("kv: compaction: %w", err)
		}
		c.mu.Lock()
		close(c.progress)
		c.progress = make(chan struct{})
		c.mu.Unlock()
		if !more {
			return nil
		}
	}
	return nil
}

// wait returns once everything below the compacted revision is swept.
func (c *compactor) wait(ctx context.Context, s *Store) error {
	for {
		c.mu.Lock()
		progress := c.progress
		c.mu.Unlock()
		db, err := s.acquire()
		if err != nil {
			return err
		}
		done := db.swept.Load() > db.position.Load().compacted
		db.release()
		if done {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.failed:
			return s.failureSeen()
		}
	}
}

// readSwept returns the first revision that the compactor has not looked at.
func readSwept(r pebble.Reader) (mark revision, err error) {
	err = get(r, keySwept, func(b []byte) (err error) {
		mark, err = parseVersionKey(b)
		return err
	})
	return mark, err
}

// sweepStep looks at some versions and reports whether there are more. It leaves what
// watches need.
func (db *database) sweepStep(sweepable func(compacted int64) int64) (more bool, err error) {
	// The position comes first: what is in the snapshot is then at least as new, and a
	// watch that begins later keeps only what is newer.
	compacted := sweepable(db.position.Load().compacted)
	mark, err := readSwept(db)
	if err != nil || db.swept.Load() > compacted {
		return false, err
	}
	snapshot := db.NewSnapshot()
	defer snapshot.Close()
	batch := db.NewBatch()
	defer batch.Close()
	next, more, err := sweep(snapshot, batch, mark, compacted)
	if err != nil {
		return false, err
	}
	if err := batch.Set(keySwept, versionKey(nil, next), nil); err != nil {
		return false, err
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return false, err
	}
	db.pass() // or its space would not be free
	db.swept.Store(next.main)
	if !more {
		db.swept.Store(compacted + 1)
	}
	return more, nil
}

// sweep deletes what the versions from mark on have made superfluous, and returns
// where to go on. A watch may begin at the compacted revision, so its deletions stay
// until the next compaction, which begins with them.
func sweep(r pebble.Reader, batch *pebble.Batch, mark revision, compacted int64) (next revision, more bool, err error) {
	versions, err := iterate(r, versionKey(nil, mark), versionKey(nil, revision{main: compacted + 1}))
	if err != nil {
		return mark, false, err
	}
	history, err := iterate(r, []byte{spaceHistory}, []byte{spaceHistory + 1})
	if err != nil {
		return mark, false, closeIterator(versions, err)
	}
	next = revision{main: compacted}
	for n, ok := 0, versions.First(); ok && err == nil; n, ok = n+1, versions.Next() {
		var at revision
		if at, err = parseVersionKey(versions.Key()); err != nil {
			break
		}
		if n == compactionStep {
			next, more = at, true
			break
		}
		err = sweepVersion(versions, history, batch, at, at.main < compacted)
	}
	return next, more, closeIterator(versions, closeIterator(history, err))
}

// sweepVersion deletes the version before the one at hand, and a deletion itself if
// nobody can ask for it.
func sweepVersion(versions, history *pebble.Iterator, batch *pebble.Batch, at revision, past bool) error {
	c, err := parseChange(versions.Value())
	if err != nil {
		return err
	}
	k := historyKey(nil, c.key, at)
	if c.deleted && past {
		if err := deleteVersion(batch, k, at); err != nil {
			return err
		}
	}
	if !history.SeekGE(append(k, 0)) {
		return nil
	}
	key, older, err := parseHistoryKey(nil, history.Key())
	if err != nil || !bytes.Equal(key, c.key) {
		return err
	}
	return deleteVersion(batch, history.Key(), older)
}

func deleteVersion(batch *pebble.Batch, historyKey []byte, r revision) error {
	if err := batch.Delete(historyKey, nil); err != nil {
		return err
	}
	return batch.Delete(versionKey(nil, r), nil)
}
