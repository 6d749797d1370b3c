package kv

import (
	"fmt"
	"hash/maphash"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// recent remembers keys that queries read lately, with their values: to read one of them
// again takes nothing from Pebble.
//
// An entry says which version of a key was the newest as of a revision. It counts as long as
// no key with the same hash was written after that: every write leaves its revision in
// written, before a snapshot can show it. So a query may look at an older state, and note
// what it read there after later writes were committed.
type recent struct {
	keys    *lru.Cache[string, *recalled]
	seed    maphash.Seed
	written [recentHashes]atomic.Int64 // the revision of the last write to a key with this hash, committed or not
}

// recalled is a key's version that was live and the newest as of a revision.
type recalled struct {
	meta
	asOf int64
	kv   atomic.Pointer[mvccpb.KeyValue] // nil until its value is wanted; shared, and never changed
}

// A store remembers recentKeys keys, and only those that have no more than recentBytes with
// their value: 32 MiB at the most, as keys are held twice, and some 4 MiB for the list.
const (
	recentKeys   = 1 << 14
	recentBytes  = 1 << 10
	recentHashes = 1 << 14
)

func newRecent() (*recent, error) {
	keys, err := lru.New[string, *recalled](recentKeys)
	if err != nil {
		return nil, fmt.Errorf("kv: remember %d keys: %w", recentKeys, err)
	}
	return &recent{keys: keys, seed: maphash.MakeSeed()}, nil
}

func (r *recent) lastWrite(key []byte) *atomic.Int64 {
	return &r.written[maphash.Bytes(r.seed, key)%recentHashes]
}

// write tells that a revision, which nobody can read yet, has another version of a key.
func (r *recent) write(key []byte, rev int64) { r.lastWrite(key).Store(rev) }

// latest returns the version of a key that is the newest as of a revision, if it is known.
func (r *recent) latest(key []byte, rev int64) (meta, bool) {
	known, ok := r.keys.Get(string(key))
	switch {
	case !ok:
		return meta{}, false
	case known.mod.main > rev: // an older state is looked at, which has not got it yet
		return meta{}, false
	case known.asOf < r.lastWrite(key).Load(): // there may be a newer one
		return meta{}, false
	}
	return known.meta, true
}

// read notes what was read: the version of a key that is the newest as of a revision.
func (r *recent) read(key []byte, m meta, asOf int64) {
	if len(key) > recentBytes {
		return
	}
	now := &recalled{meta: m, asOf: asOf}
	now.kv.Store(r.value(key, m))
	r.keys.Add(string(key), now)
}

// value returns a version of a key with its value, or nil if that is not known.
func (r *recent) value(key []byte, m meta) *mvccpb.KeyValue {
	if known, ok := r.keys.Peek(string(key)); ok && known.mod == m.mod {
		return known.kv.Load()
	}
	return nil
}

// readValue notes a version's value, if the version is known.
func (r *recent) readValue(kv *mvccpb.KeyValue, m meta) {
	if len(kv.Key)+len(kv.Value) > recentBytes {
		return
	}
	if known, ok := r.keys.Peek(string(kv.Key)); ok && known.mod == m.mod {
		known.kv.Store(kv)
	}
}
