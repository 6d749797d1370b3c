package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// view is one state of the store, to be read: a snapshot for queries, the batch of
// a slot for the operations in it.
type view struct {
	r pebble.Reader
	position
	hot    *hot    // nil for queries
	recent *recent // nil for the operations of a slot, and in scans
}

// get calls fn with the value of a Pebble key, if it has one. fn must not keep it.
func get(r pebble.Reader, key []byte, fn func(value []byte) error) error {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kv: get %q: %w", key, err)
	}
	return errors.Join(fn(value), closer.Close())
}

// readPosition returns the position of what r reads.
func readPosition(r pebble.Reader) (position, error) {
	p := start
	err := get(r, keyPosition, func(b []byte) (err error) {
		p, err = parsePosition(b)
		return err
	})
	return p, err
}

// latest returns the live version of key, if it has one.
func (v view) latest(key []byte) (m meta, found bool, err error) {
	if v.hot != nil {
		if l, ok := v.hot.get(key); ok {
			return l.meta, l.live, nil
		}
	}
	if v.recent != nil {
		if m, ok := v.recent.latest(key, v.revision); ok {
			return m, true, nil
		}
	}
	var buf [64]byte
	err = get(v.r, latestKey(buf[:0], key), func(b []byte) (err error) {
		m, _, err = parseMeta(b)
		found = err == nil
		return err
	})
	switch {
	case err != nil:
	case v.hot != nil:
		v.hot.read(key, latest{m, found})
	case v.recent != nil && found:
		v.recent.read(key, m, v.revision)
	}
	return m, found, err
}

// keyValue returns a version with its value, which others may have, too. It keeps key.
func (v view) keyValue(key []byte, m meta) (*mvccpb.KeyValue, error) {
	if v.recent != nil {
		if kv := v.recent.value(key, m); kv != nil {
			return kv, nil
		}
	}
	var buf [1 + revisionBytes]byte
	var kv *mvccpb.KeyValue
	err := get(v.r, versionKey(buf[:0], m.mod), func(b []byte) error {
		c, err := parseChange(b)
		if err == nil {
			kv = m.keyValue(key, bytes.Clone(c.value))
		}
		return err
	})
	if err == nil && kv == nil {
		err = fmt.Errorf("kv: version %s of key %q is gone", m.mod, key)
	}
	if err == nil && v.recent != nil {
		v.recent.readValue(kv, m)
	}
	return kv, err
}

// checkRevision says whether the state at rev can be read; none is the newest.
func (v view) checkRevision(rev int64) error {
	switch {
	case rev <= 0:
		return nil
	case rev > v.revision:
		return rpctypes.ErrGRPCFutureRev
	case rev < v.compacted:
		return rpctypes.ErrGRPCCompacted
	default:
		return nil
	}
}

// visitor is called for the live keys of a span in order. The key is the visitor's
// only until it returns.
type visitor func(key []byte, m meta) error

// each visits the keys of a span that were live at rev.
func (v view) each(ctx context.Context, s span, rev int64, visit visitor) error {
	switch {
	case s.empty():
		return nil
	case rev > 0 && rev < v.revision:
		return v.eachAt(ctx, s, rev, visit)
	case s.single:
		m, found, err := v.latest(s.start)
		if err != nil || !found {
			return err
		}
		return visit(s.start, m)
	default:
		return v.eachLatest(ctx, s, visit)
	}
}

func (v view) eachLatest(ctx context.Context, s span, visit visitor) error {
	lower, upper := s.latest()
	it, err := v.iterate(lower, upper)
	if err != nil {
		return err
	}
	step := func() error {
		m, _, err := parseMeta(it.Value())
		if err != nil {
			return fmt.Errorf("%w, of key %q", err, it.Key())
		}
		return visit(it.Key()[1:], m)
	}
	for n, ok := 0, it.First(); ok; n, ok = n+1, it.Next() {
		if err = stillWanted(ctx, n); err == nil {
			err = step()
		}
		if err != nil {
			break
		}
	}
	return closeIterator(it, err)
}

// eachAt finds, for each key, the newest version that is not after rev.
func (v view) eachAt(ctx context.Context, s span, rev int64, visit visitor) error {
	lower, upper := s.history()
	it, err := v.iterate(lower, upper)
	if err != nil {
		return err
	}
	var key, seek []byte
	at := lastOf(rev)
	step := func() (bool, error) {
		var r revision
		if key, r, err = parseHistoryKey(key[:0], it.Key()); err != nil {
			return false, err
		}
		if r.main > rev {
			seek = historyKey(seek[:0], key, at)
			return it.SeekGE(seek), nil // at this key's version, or at a later key
		}
		if len(it.Value()) > 0 {
			m, _, err := parseMeta(it.Value())
			if err != nil {
				return false, fmt.Errorf("%w, of key %q", err, key)
			}
			if err := visit(key, m); err != nil {
				return false, err
			}
		}
		seek = historyEnd(seek[:0], key)
		return it.SeekGE(seek), nil
	}
	for n, ok := 0, it.First(); ok && err == nil; n++ {
		if err = stillWanted(ctx, n); err == nil {
			ok, err = step()
		}
	}
	return closeIterator(it, err)
}

func (v view) iterate(lower, upper []byte) (*pebble.Iterator, error) {
	return iterate(v.r, lower, upper)
}

func iterate(r pebble.Reader, lower, upper []byte) (*pebble.Iterator, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("kv: iterate from %q: %w", lower, err)
	}
	return it, nil
}

// closeIterator returns err, or else what ended the iteration early.
func closeIterator(it io.Closer, err error) error {
	closeErr := it.Close() // has the iterator's own error, too
	if err == nil && closeErr != nil {
		err = fmt.Errorf("kv: iterate: %w", closeErr)
	}
	return err
}

// stillWanted looks at the context now and then during a scan.
func stillWanted(ctx context.Context, n int) error {
	if n%1024 != 1023 {
		return nil
	}
	return ctx.Err()
}
