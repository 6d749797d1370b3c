package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// places are those for requests of one kind. Each request that is admitted takes one.
type places struct {
	limit int
	began time.Time // what times are counted from

	mu    sync.Mutex
	taken int
	all   place // a ring: it and the places that are taken for streams
}

func newPlaces(limit int) *places {
	p := &places{limit: limit, began: time.Now()}
	p.all.next, p.all.previous = &p.all, &p.all
	return p
}

// count is how many are taken.
func (p *places) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// enter takes a place if there is one, until leave.
func (p *places) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit {
		return false
	}
	p.taken++
	return true
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
}

// place is that of a request that came on a stream, and the request's context. It belongs
// to the stream until the request's body is read, and from then on to the handler. It
// costs each request, so it has neither a timer nor a watcher of the stream: sweep looks
// at all of them now and then.
type place struct {
	context.Context // ends with the stream, or when the request took too long
	cancel          context.CancelCauseFunc
	of              *places
	next, previous  *place
	due             atomic.Int64 // when it will have taken too long, after of.began; 0 is never
	begun           atomic.Bool  // its handler, or it was given back before
}

type placeKey struct{}

// Value knows the place, too.
func (p *place) Value(key any) any {
	if key == (placeKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// placeOf is the place of the request with a context, or nil if it is nobody's.
func placeOf(ctx context.Context) *place {
	p, _ := ctx.Value(placeKey{}).(*place)
	return p
}

// enterStream takes a place for a stream whose request is to come within a time, or
// returns nil.
func (p *places) enterStream(ctx context.Context, within time.Duration) *place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit {
		return nil
	}
	p.taken++
	q := &place{of: p, next: &p.all, previous: p.all.previous}
	q.next.previous, q.previous.next = q, q
	q.Context, q.cancel = context.WithCancelCause(ctx)
	q.limit(within)
	return q
}

// limit has the request ended, with errTimeout as the cause, when it goes on for longer.
func (p *place) limit(d time.Duration) { p.due.Store(int64(time.Since(p.of.began) + d)) }

// unlimit takes the limit back.
func (p *place) unlimit() { p.due.Store(0) }

// begin makes the place the handler's, unless the stream has ended.
func (p *place) begin() bool {
	p.unlimit()
	return p.begun.CompareAndSwap(false, true)
}

// leave gives the place back.
func (p *place) leave() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.remove(p)
}

func (p *places) remove(q *place) {
	q.next.previous, q.previous.next = q.previous, q.next
	q.next, q.previous = nil, nil
	p.taken--
}

// sweep ends the requests that took too long, and gives back the places of streams that
// ended before their handlers began.
func (p *places) sweep() {
	now := int64(time.Since(p.began))
	p.mu.Lock()
	defer p.mu.Unlock()
	for q := p.all.next; q != &p.all; {
		next := q.next // q may lose its own
		if due := q.due.Load(); due != 0 && due <= now {
			q.cancel(errTimeout)
		}
		if !q.begun.Load() && q.Err() != nil && q.begun.CompareAndSwap(false, true) {
			p.remove(q)
		}
		q = next
	}
}

// sweepPause is between two looks at the requests under way, or less if their limit is
// small.
const sweepPause = 100 * time.Millisecond

// sweep looks after all places until they are no longer needed.
func (g *Gateway) sweep() {
	again := time.NewTicker(min(sweepPause, g.options.Limits.Timeout/4))
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-g.drained:
			return
		}
		g.requests.sweep()
		g.looks.sweep()
		for _, p := range g.streams {
			p.sweep()
		}
	}
}
