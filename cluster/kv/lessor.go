package kv

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Clock is a clock that only goes forward. Its differences count, not what it says.
type Clock func() time.Duration

// monotonic is the clock of the process.
func monotonic() Clock {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// Lessor knows when leases expire, by this node's clock. It changes nothing and decides
// nothing: a lease that has expired goes on until a revocation of it is executed, which
// somebody has to propose.
//
// Each node has all deadlines, so they survive a change of leader. They are as late as
// they can be: a node that restarts, or restores a snapshot, gives every lease its
// whole time to live again.
type Lessor struct {
	clock Clock

	mu     sync.Mutex
	leases map[int64]*timed
	queue  queue
}

// timed is a lease with its deadline.
type timed struct {
	id       int64
	granted  lease
	deadline time.Duration // on the lessor's clock
	place    int           // in the queue
}

func newLessor(clock Clock) *Lessor {
	if clock == nil {
		clock = monotonic()
	}
	return &Lessor{clock: clock, leases: make(map[int64]*timed)}
}

// Lessor is the store's.
func (s *Store) Lessor() *Lessor { return s.lessor }

// Now is the time on the lessor's clock.
func (l *Lessor) Now() time.Duration { return l.clock() }

// hear takes what was executed.
func (l *Lessor) hear(news []leaseNews) {
	if len(news) == 0 {
		return
	}
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range news {
		if n.gone {
			l.forget(n.id)
		} else {
			l.begin(now, n.id, n.now)
		}
	}
}

// begin begins a term of a lease; the lock is held.
func (l *Lessor) begin(now time.Duration, id int64, granted lease) {
	deadline := after(now, granted.ttl)
	if t, ok := l.leases[id]; ok {
		t.granted, t.deadline = granted, deadline
		heap.Fix(&l.queue, t.place)
		return
	}
	t := &timed{id: id, granted: granted, deadline: deadline}
	l.leases[id] = t
	heap.Push(&l.queue, t)
}

func (l *Lessor) forget(id int64) {
	if t, ok := l.leases[id]; ok {
		delete(l.leases, id)
		heap.Remove(&l.queue, t.place)
	}
}

// reset replaces all leases.
func (l *Lessor) reset(news []leaseNews) {
	l.mu.Lock()
	l.leases, l.queue = make(map[int64]*timed, len(news)), make(queue, 0, len(news))
	l.mu.Unlock()
	l.hear(news)
}

// after is a time to live after now. MaxLeaseTTL is 285 years, which a duration just
// holds.
func after(now time.Duration, ttl int64) time.Duration {
	if rest := math.MaxInt64 - now; time.Duration(ttl)*time.Second > rest {
		return math.MaxInt64
	}
	return now + time.Duration(ttl)*time.Second
}

// Expired is a lease whose deadline has passed, in that term.
type Expired struct {
	ID   int64
	Term uint64
}

// Expired returns leases whose deadlines have passed, up to a limit. The work is that
// of those alone.
func (l *Lessor) Expired(limit int) (expired []Expired) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	// In a heap, what has not expired has nobody below it who has.
	for open := []int{0}; len(open) > 0 && len(expired) < limit; {
		place := open[len(open)-1]
		open = open[:len(open)-1]
		if place >= len(l.queue) || l.queue[place].deadline > now {
			continue
		}
		t := l.queue[place]
		expired = append(expired, Expired{t.id, t.granted.term})
		open = append(open, 2*place+1, 2*place+2)
	}
	return expired
}

// Remaining is how long a lease has to live, at least 0, and its time to live.
func (l *Lessor) Remaining(id int64) (remaining, ttl time.Duration, err error) {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.leases[id]
	if !ok {
		return 0, 0, rpctypes.ErrGRPCLeaseNotFound
	}
	return max(t.deadline-now, 0), time.Duration(t.granted.ttl) * time.Second, nil
}

// Leases are the ids of all leases, in the order in which they expire.
func (l *Lessor) Leases() []int64 {
	l.mu.Lock()
	all := make([]timed, len(l.queue))
	for i, t := range l.queue {
		all[i] = *t
	}
	l.mu.Unlock()
	slices.SortFunc(all, func(a, b timed) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.id, b.id))
	})
	ids := make([]int64, len(all))
	for i, t := range all {
		ids[i] = t.id
	}
	return ids
}

// Len is how many leases there are.
func (l *Lessor) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// queue is a heap of leases, the one that expires first in front.
type queue []*timed

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].deadline < q[j].deadline }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is heap.Interface's.
func (q *queue) Push(x any) {
	t := x.(*timed)
	t.place = len(*q)
	*q = append(*q, t)
}

// Pop is heap.Interface's.
func (q *queue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return t
}

// LeaseKeys are the keys of a lease in the last committed state, in their order.
func (s *Store) LeaseKeys(id int64) ([][]byte, error) {
	v, end, err := s.view()
	if err != nil {
		return nil, err
	}
	defer end()
	return v.attached(id)
}
