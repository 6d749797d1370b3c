package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// hub tells watches of new events. Commit only wakes it; its one goroutine then reads
// the new versions once, whoever many watches there are, and puts what they want into
// the queues of their streams. It waits for no consumer: a watch for which there is no
// room is given back to its stream, which has it read the history.
//
// The versions are read from Pebble, whose memory holds the latest: a copy of them here
// would cost those that write, and save little.
//
// A stream's lock is taken inside of the hub's.
type hub struct {
	store   *Store
	limits  watchLimits
	woken   chan struct{}
	active  atomic.Bool  // somebody wants to be told
	bytes   atomic.Int64 // that are queued or being sent, of all streams
	life    context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	awaited bool // by the compactor
	index   *watchIndex
	next    int64                  // the watches in the index were handed all that is before
	streams map[*WatchStream]bool  // that are open
	asked   map[*WatchStream]int64 // those that want to know when all up to a revision is handed out
}

// watchLimits bound what watches take, in bytes.
type watchLimits struct {
	all    int64 // queued or being sent, of all streams
	stream int64 // queued in a stream; at least one delivery may be
	read   int   // of the history, in one pass; a revision is read whole
	found  int   // of the events that a stream's pass finds, each counted once
	told   int   // and the hub's
}

var defaultWatchLimits = watchLimits{all: 64 << 20, stream: 1 << 20, read: 4 << 20, found: 128 << 10, told: 1 << 20}

func (h *hub) start(s *Store) {
	h.store, h.limits = s, defaultWatchLimits
	h.woken, h.index = make(chan struct{}, 1), newWatchIndex()
	h.streams, h.asked = make(map[*WatchStream]bool), make(map[*WatchStream]int64)
	h.life, h.cancel = context.WithCancel(context.Background())
	h.running.Go(func() {
		for {
			select {
			case <-h.life.Done():
				return
			case <-h.woken:
			}
			if err := h.tell(); err != nil {
				h.store.fail(fmt.Errorf("kv: watches: %w", err))
				h.signalAll()
				return
			}
		}
	})
}

// wake makes the hub look for new events. It never waits.
func (h *hub) wake() {
	if !h.active.Load() {
		return
	}
	select {
	case h.woken <- struct{}{}:
	default:
	}
}

// stop ends the goroutine, and lets streams see that the store is closed.
func (h *hub) stop() {
	h.cancel()
	h.running.Wait()
	h.signalAll()
}

func (h *hub) signalAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		s.signal()
	}
}

func (h *hub) err() error {
	if err := h.store.failureSeen(); err != nil {
		return err
	}
	if h.life.Err() != nil {
		return ErrClosed
	}
	return nil
}

// full reports whether there is no room for that many bytes more.
func (h *hub) full(size int64) bool { return h.bytes.Load()+size > h.limits.all }

// tell goes on until all that there is is told.
func (h *hub) tell() error {
	for more := true; more && h.life.Err() == nil; {
		v, end, err := h.store.view()
		if errors.Is(err, ErrClosed) {
			return nil
		}
		if err == nil {
			more, err = h.step(v)
			end()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// step tells a part of what is new in a view, and reports whether there is more.
func (h *hub) step(v view) (more bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.index.size == 0 {
		h.active.Store(false)
		return false, nil
	}
	h.next = min(h.next, v.revision+1) // a restored state may be an older one
	kept, err := v.kept()
	if err != nil {
		return false, err
	}
	if h.next < kept {
		h.endBelow(kept, v)
	}
	p := watchPass{view: v, index: h.index, kept: kept, limitRead: h.limits.read, limitFound: h.limits.told}
	next, err := p.run(h.next)
	if err != nil {
		return false, err
	}
	for _, w := range p.touched {
		if d := w.deliver(v.revision); !w.stream.push(d) {
			h.index.remove(w)
			w.next = d.Events[0].Kv.ModRevision
			w.stream.giveBack(w)
		}
		w.stream.signal()
	}
	h.next = next
	h.letSweep()
	h.answer()
	return next <= v.revision, nil
}

// endBelow ends the watches whose events are gone, as after a Restore.
func (h *hub) endBelow(kept int64, v view) {
	for _, w := range h.index.all() {
		if w.next < kept {
			h.index.remove(w)
			w.stream.push(w.compactedAway(v.compacted, v.revision))
			w.stream.signal()
		}
	}
	h.next = kept
}

// sweepable is how much of what is compacted may go: a watch that is up to date is not
// to end because the hub is a moment behind. The hub wakes the compactor for the rest.
func (h *hub) sweepable(compacted int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.index.size == 0 || compacted < h.next {
		return compacted
	}
	h.awaited = true
	return h.next - 1
}

// letSweep wakes the compactor if it waits for the hub.
func (h *hub) letSweep() {
	if h.awaited {
		h.awaited = false
		h.store.compactor.wake()
	}
}

// answer wakes the streams that asked to be told how far the hub is.
func (h *hub) answer() {
	for s, want := range h.asked {
		if h.next > want {
			delete(h.asked, s)
			s.signal()
		}
	}
}

func (h *hub) open(s *WatchStream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s] = true
}

func (h *hub) close(s *WatchStream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range s.watches {
		h.index.remove(w)
	}
	h.letSweep()
	delete(h.streams, s)
	delete(h.asked, s)
}

// settle sets the hub in motion if it has rested. The revision is looked at behind
// active: a Commit that did not see the one is seen by the other.
func (h *hub) settle() (revision int64) {
	resting := h.index.size == 0
	h.active.Store(true)
	revision = h.store.Revision()
	if resting {
		h.next = revision + 1
	}
	return max(revision, h.next-1)
}

// begin takes a new watch, or has it read the history first. It returns the store's
// revision, behind which the watch begins if it does not say where.
func (h *hub) begin(w *watch) (revision int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if revision = h.settle(); w.next == 0 {
		w.next = revision + 1
	}
	if w.next < h.next {
		w.stream.lagging.insert(w)
	} else {
		h.index.insert(w)
	}
	return revision
}

// attach takes those watches of a stream over that were told all that the others were.
func (h *hub) attach(lagging *watchIndex) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle()
	for _, w := range lagging.all() {
		if w.next >= h.next {
			lagging.remove(w)
			h.index.insert(w)
		}
	}
	h.wake()
}

// detach takes a watch back.
func (h *hub) detach(w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.index.remove(w)
	h.letSweep()
}
