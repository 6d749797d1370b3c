package kv

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// history visits the changes from a revision on, in their order, until enough of them
// were seen. It stops between revisions only, and returns the first that it has not
// visited. The change is the visitor's only until it returns.
func (v view) history(from int64, enough func() bool, visit func(change) error) (next int64, err error) {
	next = max(from, v.revision+1)
	if from > v.revision {
		return next, nil
	}
	it, err := v.iterate(versionKey(nil, revision{main: from}), versionKey(nil, revision{main: v.revision + 1}))
	if err != nil {
		return from, err
	}
	at := from
	for ok := it.First(); ok; ok = it.Next() {
		var c change
		if c, err = parseChange(it.Value()); err != nil {
			err = fmt.Errorf("%w, at %q", err, it.Key())
			break
		}
		if c.mod.main != at && enough() {
			next = c.mod.main
			break
		}
		at = c.mod.main
		if err = visit(c); err != nil {
			break
		}
	}
	return next, closeIterator(it, err)
}

// creates tells a put of a new key from one of a key that was there.
func (c change) creates() bool { return !c.deleted && c.create == c.mod.main }

// event is the change as watches show it. It keeps nothing of c.
func (c change) event() *mvccpb.Event {
	key := append([]byte(nil), c.key...)
	if c.deleted {
		return &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: key, ModRevision: c.mod.main}}
	}
	return &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: c.keyValue(key, append([]byte(nil), c.value...))}
}

// before is what the key of a change was, or nil if it was not there or the states
// before kept cannot be read any more.
func (v view) before(c change, kept int64) (*mvccpb.KeyValue, error) {
	at := c.mod.main - 1
	if c.creates() || at < kept {
		return nil, nil
	}
	var last meta
	found := false
	key := append([]byte(nil), c.key...)
	err := v.each(context.Background(), spanOf(key, nil), at, func(_ []byte, m meta) error {
		last, found = m, true
		return nil
	})
	if err != nil || !found {
		return nil, err
	}
	return v.keyValue(key, last)
}

// kept is the revision from which on the history is whole: what is compacted may still
// be there.
func (v view) kept() (int64, error) {
	mark, err := readSwept(v.r)
	if mark.sub > 0 { // some changes of this one have been looked at
		mark.main++
	}
	return mark.main, err
}
