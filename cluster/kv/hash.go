package kv

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HashKV hashes all that can be seen at the compacted revision and from there to
// rev, which is the newest if it is 0. Replicas that have executed the same commands
// and compacted alike have equal hashes, however much of the compacted history their
// compactors have removed. It returns what the hash is of, too.
func (s *Store) HashKV(ctx context.Context, rev int64) (hash uint32, compactRev, hashRev int64, err error) {
	v, end, err := s.view()
	if err != nil {
		return 0, 0, 0, err
	}
	defer end()
	if rev > 0 && rev < v.compacted {
		return 0, v.compacted, 0, rpctypes.ErrGRPCCompacted
	}
	if rev > v.revision {
		return 0, v.compacted, 0, rpctypes.ErrGRPCFutureRev
	}
	if rev <= 0 {
		rev = v.revision
	}
	hash, err = v.hash(ctx, rev)
	return hash, v.compacted, rev, err
}

func (v view) hash(ctx context.Context, rev int64) (hash uint32, err error) {
	versions, err := v.iterate(versionKey(nil, revision{}), versionKey(nil, revision{main: rev + 1}))
	if err != nil {
		return 0, err
	}
	history, err := v.iterate([]byte{spaceHistory}, []byte{spaceHistory + 1})
	if err != nil {
		return 0, closeIterator(versions, err)
	}
	var seek []byte
	// kept reports whether the version at hand can be seen at the compacted revision.
	kept := func(at revision) (bool, error) {
		c, err := parseChange(versions.Value())
		if err != nil || c.deleted {
			return false, err
		}
		seek = historyKey(seek[:0], c.key, lastOf(v.compacted))
		if !history.SeekGE(seek) {
			return false, fmt.Errorf("kv: version %s of key %q is not in the history", at, c.key)
		}
		seek = historyKey(seek[:0], c.key, at)
		return bytes.Equal(history.Key(), seek), nil
	}
	for n, ok := 0, versions.First(); ok && err == nil; n, ok = n+1, versions.Next() {
		if err = stillWanted(ctx, n); err != nil {
			break
		}
		var at revision
		if at, err = parseVersionKey(versions.Key()); err != nil {
			break
		}
		visible := at.main > v.compacted
		if !visible {
			visible, err = kept(at)
		}
		if visible {
			hash = crc32.Update(hash, castagnoli, versions.Key())
			hash = crc32.Update(hash, castagnoli, versions.Value())
		}
	}
	return hash, closeIterator(versions, closeIterator(history, err))
}
