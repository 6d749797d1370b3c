package kv

import (
	"errors"
	"math"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// What is wrong with a watch, in etcd's words.
var (
	ErrWatchRange     = errors.New("mvcc: watcher range is empty")
	ErrWatchDuplicate = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
)

// Watch is what a watch wants to be told of. Key and RangeEnd are read as a range
// request's are.
type Watch struct {
	ID            int64 // unique in its stream; 0 has one chosen
	Key, RangeEnd []byte
	Start         int64 // the first revision; 0 is the one behind the present
	NoPut         bool  // leaves out puts
	NoDelete      bool  // leaves out deletions
	PrevKV        bool  // adds what the key was before
	Notify        bool  // Quiet tells of it
}

// Delivery is what a watch is told: events, in the order of their revisions, or that it
// has ended. All events of one revision are in one delivery.
type Delivery struct {
	ID       int64
	Events   []*mvccpb.Event // also given to others: not to be changed
	Revision int64           // of the store when the events were read
	// Compacted is not 0 if the watch has ended: events that it wanted are gone with the
	// history below this revision.
	Compacted int64

	of   *watch
	size int64
}

// watch is a Watch in a stream. It is in one of three places: the hub's index, if it was
// handed all that happened; the stream's list of those that did not fit; or its index of
// those that read the history.
type watch struct {
	Watch
	span   span
	stream *WatchStream
	next   int64 // what is before is not wanted, or was handed out
	told   bool  // of events, since Quiet was last asked
	gone   bool  // cancelled

	group   *watchGroup // of the index that it is in
	place   int         // in the group
	pending []*mvccpb.Event
}

func (w *watch) wants(c change) bool {
	return c.mod.main >= w.next && !(c.deleted && w.NoDelete) && !(!c.deleted && w.NoPut)
}

// WatchStream is watches that share a consumer. What is handed out and not yet taken
// takes bounded memory: watches for which there is no room read the history later, at
// the pace of the consumer. Its methods, but Ready, belong to one goroutine.
type WatchStream struct {
	hub     *hub
	ready   chan struct{}
	watches map[int64]*watch
	nextID  int64
	lagging *watchIndex // those that read the history
	taken   int64       // bytes of the last Take

	mu       sync.Mutex // guards what the hub fills
	queue    []Delivery
	queued   int64         // bytes of the queue
	last     *mvccpb.Event // the last in the queue: watches of a key share their events
	detached []*watch      // that the hub had no room for
}

// Watch begins a stream without watches, for Close.
func (s *Store) Watch() *WatchStream {
	w := &WatchStream{
		hub: &s.hub, ready: make(chan struct{}, 1), watches: make(map[int64]*watch), lagging: newWatchIndex(),
	}
	s.hub.open(w)
	return w
}

// Ready receives when there may be something to Take, or a Progress that was refused may
// be granted.
func (s *WatchStream) Ready() <-chan struct{} { return s.ready }

func (s *WatchStream) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Len is the number of watches.
func (s *WatchStream) Len() int { return len(s.watches) }

// Create adds a watch and returns its id. The revision is the store's: a watch without a
// start is told of all that is behind it.
func (s *WatchStream) Create(o Watch) (id, revision int64, err error) {
	w := &watch{Watch: o, stream: s, span: spanOf(o.Key, o.RangeEnd), next: o.Start}
	if w.span.empty() {
		return 0, 0, ErrWatchRange
	}
	if s.watches[o.ID] != nil && o.ID != 0 {
		return 0, 0, ErrWatchDuplicate
	}
	if o.ID == 0 {
		for s.watches[s.nextID] != nil {
			s.nextID++
		}
		w.ID = s.nextID
		s.nextID++
	}
	s.watches[w.ID] = w
	if revision = s.hub.begin(w); s.lagging.size > 0 {
		s.signal()
	}
	return w.ID, revision, nil
}

// Cancel ends a watch, if there is one of that id: it is told of nothing any more.
func (s *WatchStream) Cancel(id int64) bool {
	w := s.watches[id]
	if w == nil {
		return false
	}
	s.forget(w)
	s.hub.detach(w)
	s.lagging.remove(w)
	return true
}

func (s *WatchStream) forget(w *watch) {
	w.gone = true
	delete(s.watches, w.ID)
}

// Take returns what there is to tell, which may be nothing. What the Take before it has
// returned is then the consumer's to forget. It returns ErrClosed when the store is
// closed, or what made it fail.
func (s *WatchStream) Take() ([]Delivery, error) {
	if err := s.hub.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	queue, queued, detached := s.queue, s.queued, s.detached
	s.queue, s.queued, s.last, s.detached = nil, 0, nil, nil
	s.mu.Unlock()
	s.hub.bytes.Add(-s.taken)
	s.taken = queued
	deliveries := queue[:0]
	for _, d := range queue {
		if d.of.gone {
			continue
		}
		if d.of.told = true; d.Compacted != 0 {
			s.forget(d.of)
		}
		deliveries = append(deliveries, d)
	}
	for _, w := range detached { // what the queue had of theirs goes out before what they read now
		if !w.gone {
			s.lagging.insert(w)
		}
	}
	if s.lagging.size == 0 {
		return deliveries, nil
	}
	return s.catchUp(deliveries)
}

// catchUp reads a part of the history for the watches that lag.
func (s *WatchStream) catchUp(deliveries []Delivery) ([]Delivery, error) {
	v, end, err := s.hub.store.view()
	if err != nil {
		return nil, err
	}
	defer end()
	from := int64(math.MaxInt64)
	for _, w := range s.lagging.all() {
		if w.next < v.compacted {
			deliveries = append(deliveries, w.compactedAway(v.compacted, v.revision))
			s.lagging.remove(w)
			s.forget(w)
			continue
		}
		from = min(from, w.next)
	}
	p := watchPass{view: v, index: s.lagging, kept: v.compacted, limitRead: s.hub.limits.read, limitFound: s.hub.limits.found}
	if s.hub.full(0) {
		p.limitFound = 1 // so many consumers are slow that each gets one revision at a time
	}
	next, err := p.run(from)
	if err != nil {
		return nil, err
	}
	for _, w := range p.touched {
		w.told = true
		deliveries = append(deliveries, w.deliver(v.revision))
	}
	for _, w := range s.lagging.all() {
		w.next = max(w.next, next)
	}
	s.taken += int64(p.found)
	s.hub.bytes.Add(int64(p.found))
	if s.hub.attach(s.lagging); s.lagging.size > 0 {
		s.signal()
	}
	return deliveries, nil
}

func (w *watch) compactedAway(compacted, revision int64) Delivery {
	return Delivery{ID: w.ID, Revision: revision, Compacted: compacted, of: w, size: eventOverhead}
}

// deliver takes the pending events.
func (w *watch) deliver(revision int64) Delivery {
	d := Delivery{ID: w.ID, Events: w.pending, Revision: revision, of: w}
	w.pending = nil
	return d
}

// Progress returns the revision up to which all watches of the stream were told all. If
// there is none yet, or it is below want, Ready tells when to ask again. A stream without
// watches has none.
func (s *WatchStream) Progress(want int64) (revision int64, ok bool) {
	for _, w := range s.watches {
		want = max(want, w.Start)
	}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	revision = h.next - 1
	if len(s.watches) > 0 && revision >= want && s.lagging.size == 0 && len(s.queue) == 0 && len(s.detached) == 0 {
		return revision, true
	}
	h.asked[s] = want
	return 0, false
}

// Quiet returns the watches with Notify that were told nothing since it was last asked,
// and the revision up to which there was nothing to tell.
func (s *WatchStream) Quiet() (revision int64, ids []int64) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := make(map[*watch]bool, len(s.queue))
	for _, d := range s.queue {
		waiting[d.of] = true
	}
	revision = h.next - 1
	for id, w := range s.watches {
		synced := w.group != nil && w.group.in == h.index
		if w.Notify && !w.told && synced && !waiting[w] && w.Start <= revision {
			ids = append(ids, id)
		}
		w.told = false
	}
	return revision, ids
}

// push queues a delivery, or says that there is no room. The hub has its lock.
func (s *WatchStream) push(d Delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.size += eventOverhead
	if n := len(d.Events); n > 0 && d.Events[n-1] != s.last {
		for _, e := range d.Events {
			d.size += int64(eventBytes(e))
		}
	}
	if d.Compacted == 0 && (len(s.queue) > 0 && s.queued+d.size > s.hub.limits.stream || s.hub.full(d.size)) {
		return false
	}
	if n := len(d.Events); n > 0 {
		s.last = d.Events[n-1]
	}
	s.queue = append(s.queue, d)
	s.queued += d.size
	s.hub.bytes.Add(d.size)
	return true
}

// giveBack returns a watch for which there was no room. The hub has its lock.
func (s *WatchStream) giveBack(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detached = append(s.detached, w)
}

// Close ends all watches.
func (s *WatchStream) Close() {
	s.hub.close(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hub.bytes.Add(-s.queued - s.taken)
	s.queue, s.queued, s.detached, s.taken = nil, 0, nil, 0
}
