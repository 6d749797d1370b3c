package journal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pmmc-go/pmmc/actors/runtime/measure"
	"github.com/pmmc-go/pmmc/messages"
)

// Log is the Journal. One goroutine, the writer, gathers what waits, writes it as
// one batch and syncs once.
type Log struct {
	store  store
	failed func(error)
	logger hclog.Logger

	known  sync.RWMutex // held by the writer where it changes owners, and by others to read them
	owners owners

	// The writer's own, after Open.
	last    uint64 // the last batch
	chain   uint32 // the checksum of its head
	encoder encoder
	taken   []item    // what take returned last
	segment int       // SegmentBytes
	stuck   bool      // a batch at the front cannot be read, so it is not moved
	written time.Time // when the first batch was written that is not settled; zero if all are

	syncTimes, batchSizes *measure.Histogram

	uncut    sync.RWMutex          // held for reading by who reads batches, for writing by a cut and by Close
	halfRead atomic.Pointer[batch] // of which Recall has given a part: the next one is likely to go on there

	wake  chan struct{} // holds one token when there may be something to do
	ended chan struct{} // closed when the writer has ended

	mu       sync.Mutex
	phase    phase
	err      error // why phase is failing
	queue    []item
	inFlight []item // what the writer has taken and not finished
	stats    Stats  // but for what store.usage and the histograms know
	closing  sync.Once
	closed   error // what Close returns
}

var _ Journal = (*Log)(nil)

// phase is where in its life a Log is.
type phase int

const (
	open     phase = iota
	draining       // Close: what is queued is written, then the writer ends
	crashed        // Crash: nothing more is written or acknowledged
	failing        // a write failed: likewise
)

// item is a record and who waits for it; a rec of nil only waits for those before.
type item struct {
	rec  *messages.Record
	done func()
	at   time.Time
}

// Open opens the journal in o.Dir, or makes one there. It reads all of it: an error
// is a *CorruptError when something acknowledged is damaged, a *LockedError when
// another process has it open, or what the file system said.
func Open(o Options) (*Log, error) {
	return o.open(func() (store, error) { return openDisk(o, files{}) })
}

func (o *Options) open(open func() (store, error)) (*Log, error) {
	if o.Failed == nil {
		return nil, errors.New("journal: Options.Failed is required: a failure that nobody hears of is a hang")
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes {
		return nil, fmt.Errorf("journal: segments of %d bytes: want %d to %d", o.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	l := &Log{
		store:  s,
		failed: o.Failed,
		logger: o.Logger,
		owners: make(owners), segment: o.SegmentBytes,
		wake:  make(chan struct{}, 1),
		ended: make(chan struct{}),

		syncTimes: measure.Times(), batchSizes: measure.Sizes(1, 14),
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	go l.run()
	return l, nil
}

// load reads the whole log, checks it, and learns the facts.
func (l *Log) load() error {
	first, last, err := l.store.bounds()
	if err != nil {
		return err
	}
	marked, markedChain := l.store.acknowledged()
	if marked > last {
		return l.store.corrupt(marked, fmt.Sprintf("it was acknowledged, but the log ends with batch %d", last))
	}
	r := &reader{store: l.store}
	for index := first; index <= last; index++ {
		h, _, err := r.next(index, func(rec *messages.Record) error { return l.owners.note(rec, index) })
		if err != nil {
			return err
		}
		if index == marked && h.chain != markedChain {
			return r.behind(l.store.corrupt(index, fmt.Sprintf("another batch was acknowledged: head is %08x, want %08x", h.chain, markedChain)))
		}
		l.chain = h.chain
	}
	l.last = last
	l.stats.First, l.stats.Last = first, last
	if err := l.store.recovered(last, l.chain); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Owners lists the owners of live pvalues; see [Journal].
func (l *Log) Owners() (names []string) {
	l.known.RLock()
	defer l.known.RUnlock()
	for name, f := range l.owners {
		if len(f.live) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Append queues rec; see [Journal].
func (l *Log) Append(rec *messages.Record, done func()) {
	l.enqueue(item{rec, done, time.Now()})
}

func (l *Log) enqueue(it item) {
	l.mu.Lock()
	if l.phase == open {
		l.queue = append(l.queue, it)
	}
	l.mu.Unlock()
	l.nudge()
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Owner is what the last Own wrote.
func (l *Log) Owner() Owner { return l.store.owner() }

// Own makes durable to whom the journal belongs.
func (l *Log) Own(o Owner) error {
	if err := l.store.own(o); err != nil {
		return fmt.Errorf("journal: write whose it is: %w", err)
	}
	return nil
}

// Stats tells how the journal is doing.
func (l *Log) Stats() Stats {
	bytes, segments := l.store.usage()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.DiskBytes, s.Segments, s.FullSince = bytes, segments, l.store.fullSince()
	s.SyncTimes, s.BatchSizes = l.syncTimes.Show(), l.batchSizes.Show()
	s.Entries = s.Last + 1 - s.First
	s.Queued = len(l.inFlight) + len(l.queue)
	if len(l.inFlight) > 0 {
		s.OldestWaiting = l.inFlight[0].at
	} else if len(l.queue) > 0 {
		s.OldestWaiting = l.queue[0].at
	}
	return s
}

// Close writes what is queued, calls its dones, and closes the files. It returns
// the failure that the journal had, if any; a second call returns the same.
func (l *Log) Close() error { return l.end(draining) }

// Crash is kill -9 without the end of the process: what is queued is dropped, no
// done is called any more, and the files are closed as they are. It is for tests.
func (l *Log) Crash() {
	_ = l.end(crashed) // a crash doesn't say how it went
}

func (l *Log) end(p phase) error {
	l.closing.Do(func() {
		l.mu.Lock()
		if l.phase == open {
			l.phase = p
		}
		l.mu.Unlock()
		l.store.giveUp()
		if p == crashed {
			l.store.abandon()
		}
		l.nudge()
		<-l.ended
		l.uncut.Lock() // until nobody reads
		defer l.uncut.Unlock()
		if l.phase == draining {
			l.closed = l.store.settle()
		}
		l.closed = errors.Join(l.err, l.closed, l.store.close())
	})
	return l.closed
}

// reason is why there is no answer.
func (l *Log) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return ErrClosed
}
