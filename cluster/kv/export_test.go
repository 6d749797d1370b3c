package kv

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// ParsePut is parsePut.
var ParsePut = parsePut

// Versions counts what lies in the spaces of versions and of the history, which
// is what a compaction makes smaller.
func (s *Store) Versions() (versions, history int, err error) {
	v, end, err := s.view()
	if err != nil {
		return 0, 0, err
	}
	defer end()
	count := func(space byte) (n int, err error) {
		it, err := v.iterate([]byte{space}, []byte{space + 1})
		if err != nil {
			return 0, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		return n, closeIterator(it, nil)
	}
	if versions, err = count(spaceVersion); err == nil {
		history, err = count(spaceHistory)
	}
	return versions, history, err
}

// StopCompactor leaves what is compacted from now on in its place.
func (s *Store) StopCompactor() { s.compactor.stop() }

// SweepStep makes one of the compactor's steps.
func (s *Store) SweepStep() (more bool, err error) {
	db, err := s.acquire()
	if err != nil {
		return false, err
	}
	defer db.release()
	return db.sweepStep(s.hub.sweepable)
}

// CompactionStep is how many versions a step looks at.
const CompactionStep = compactionStep

// Pebble is the database in use.
func (s *Store) Pebble() *pebble.DB { return s.db.DB }

// Deleted are the keys that a revision deleted, in the order in which it did.
func (s *Store) Deleted(rev int64) (keys []string, err error) {
	v, end, err := s.view()
	if err != nil {
		return nil, err
	}
	defer end()
	it, err := v.iterate(versionKey(nil, revision{main: rev}), versionKey(nil, revision{main: rev + 1}))
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var c change
		if c, err = parseChange(it.Value()); c.deleted {
			keys = append(keys, string(c.key))
		}
	}
	return keys, closeIterator(it, err)
}

// Grant tells the lessor of a grant.
func (l *Lessor) Grant(id, ttl int64) { l.hear([]leaseNews{{id: id, now: lease{ttl: ttl}}}) }

// Revoke tells the lessor of a revocation.
func (l *Lessor) Revoke(id int64) { l.hear([]leaseNews{{id: id, gone: true}}) }

// LimitWatches bounds what waits in a stream and in all, and what a pass finds, in bytes.
func (s *Store) LimitWatches(stream, all int64, found int) {
	s.hub.limits = watchLimits{stream: stream, all: all, read: found, found: found, told: found}
}

// WatchBytes is what watches hold.
func (s *Store) WatchBytes() int64 { return s.hub.bytes.Load() }

// Lagging counts the watches of a stream that read the history, and those that will.
func (s *WatchStream) Lagging() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lagging.size + len(s.detached)
}

// Hold returns what reads a key, as the state is now, and what ends that.
func (s *Store) Hold() (get func(key string) (value string, rev int64, err error), end func(), err error) {
	v, end, err := s.view()
	return func(key string) (string, int64, error) {
		r, err := v.rangeKeys(context.Background(), &pb.RangeRequest{Key: []byte(key)})
		if err != nil || len(r.Kvs) == 0 {
			return "", 0, err
		}
		return string(r.Kvs[0].Value), r.Kvs[0].ModRevision, nil
	}, end, err
}

// Recalled tells whether a get of a key would read nothing from Pebble.
func (s *Store) Recalled(key string) bool {
	m, ok := s.db.recent.latest([]byte(key), s.Revision())
	return ok && s.db.recent.value([]byte(key), m) != nil
}

// RecalledKeys counts the keys of which a get remembered something.
func (s *Store) RecalledKeys() int { return s.db.recent.keys.Len() }
