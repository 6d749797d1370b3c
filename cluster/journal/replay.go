package journal

import (
	"errors"

	"github.com/pmmc-go/pmmc/messages"
)

// This file is how what was written is read again, by its owners.

// Replay calls f with the live records of an owner; see [Journal].
func (l *Log) Replay(owner string, f func(*messages.Record)) error {
	l.uncut.RLock()
	defer l.uncut.RUnlock()

	var before, after []*messages.Record
	var live []held
	var forgotten uint64
	ready := make(chan struct{})
	l.enqueue(item{done: func() {
		if known := l.owners[owner]; known != nil {
			before, after = known.small(owner)
			live = append(live, known.live...)
			forgotten = known.forgotten
		}
		close(ready)
	}})
	select {
	case <-ready:
	case <-l.ended:
		// The writer may have come to it just before it ended, and then the store is
		// still there for as long as uncut is held.
		select {
		case <-ready:
		default:
			return l.reason()
		}
	}
	for _, rec := range before {
		f(rec)
	}
	for _, h := range live {
		b, err := l.read(h.index)
		if err == nil {
			_, err = l.replayBatch(b, owner, forgotten, func(rec *messages.Record) bool { f(rec); return true })
		}
		if err != nil {
			return err
		}
	}
	for _, rec := range after {
		f(rec)
	}
	return nil
}

// Recall calls f with live pvalues of an owner; see [Journal].
func (l *Log) Recall(owner string, first, last uint64, f func(*messages.PValue) bool) error {
	if !l.uncut.TryRLock() {
		return nil // a cut writes, and may wait for room on the disk
	}
	defer l.uncut.RUnlock()
	l.mu.Lock()
	p := l.phase
	l.mu.Unlock()
	if p != open {
		return l.reason() // the files may be closed
	}
	var batches []uint64
	var forgotten uint64
	l.known.RLock()
	if known := l.owners[owner]; known != nil {
		forgotten = known.forgotten
		for _, h := range known.live {
			if h.lowest <= last && first <= h.highest {
				batches = append(batches, h.index)
			}
		}
	}
	l.known.RUnlock()
	for _, index := range batches {
		b := l.halfRead.Swap(nil)
		if b == nil || b.index != index {
			var err error
			if b, err = l.read(index); err != nil {
				return err
			}
		}
		more, err := l.replayBatch(b, owner, forgotten, func(rec *messages.Record) bool { return f(rec.GetPvalue()) })
		if err != nil {
			return err
		}
		if !more {
			l.halfRead.Store(b)
			return nil
		}
	}
	return nil
}

// batch is one that was read and checked.
type batch struct {
	index uint64
	count uint32
	bytes []byte
}

// read reads a batch and checks it.
func (l *Log) read(index uint64) (*batch, error) {
	bytes, err := l.store.read(index)
	if err != nil {
		return nil, err
	}
	h, why := checkBatch(bytes, l.store.salt(), index)
	if why != "" {
		return nil, l.store.corrupt(index, why)
	}
	return &batch{index: index, count: h.count, bytes: bytes}, nil
}

// errEnough ends the reading of a batch early.
var errEnough = errors.New("journal: enough")

// replayBatch calls f with the live pvalues of a batch, until f returns false.
func (l *Log) replayBatch(b *batch, owner string, forgotten uint64, f func(*messages.Record) bool) (more bool, err error) {
	err = records(b.bytes, b.count, func(rec *messages.Record) error {
		if v := rec.GetPvalue(); v != nil && rec.Owner == owner && v.Slot >= forgotten && !f(rec) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, l.store.corrupt(b.index, err.Error())
	}
	return err == nil, nil
}
