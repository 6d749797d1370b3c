package kv

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// staged is the state with what a slot's operations have done to it so far, as they read
// it. Most slots hold nothing but puts, which read the newest version of a key and no
// more; their batch needs no index, which costs as much as the writes themselves.
type staged struct{ g *stage }

// Get reads past the batch for the newest version of a key: had the slot written it,
// hot would have answered.
func (s staged) Get(key []byte) ([]byte, io.Closer, error) {
	if key[0] == spaceLatest {
		return s.g.db.Get(key)
	}
	b, err := s.g.index()
	if err != nil {
		return nil, nil, err
	}
	return b.Get(key)
}

// NewIter iterates over the state with the slot's changes.
func (s staged) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	return s.NewIterWithContext(context.Background(), o)
}

// NewIterWithContext iterates over the state with the slot's changes.
func (s staged) NewIterWithContext(ctx context.Context, o *pebble.IterOptions) (*pebble.Iterator, error) {
	b, err := s.g.index()
	if err != nil {
		return nil, err
	}
	return b.NewIterWithContext(ctx, o)
}

// Close does nothing: the batch is the stage's.
func (s staged) Close() error { return nil }

// index is the batch, from now on with an index.
func (g *stage) index() (*pebble.Batch, error) {
	if g.batch.Indexed() {
		return g.batch, nil
	}
	b := g.db.NewIndexedBatch()
	if err := cmp.Or(b.Apply(g.versions, nil), b.Apply(g.batch, nil)); err != nil {
		b.Close()
		return nil, fmt.Errorf("kv: index the batch of slot %d: %w", g.slot, err)
	}
	g.close()
	g.batch, g.versions = b, nil
	return b, nil
}
