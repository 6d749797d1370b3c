// Package load does something again and again, from many workers at once, and counts how
// often and how fast: as fast as answers come (closed loop), or at a rate (open loop).
package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Options are those of a run.
type Options struct {
	Workers int           // that do one thing at a time each
	Rate    float64       // in a second, of all workers; 0 is as fast as answers come
	Warm    time.Duration // that is not counted, before …
	For     time.Duration // … the time that is
	Do      func(ctx context.Context, worker int, number uint64) error
	Kind    func(error) string // by what name an error is counted; by its text if nil
	Report  func(Result)       // sees each second, if not nil
}

// Result is what came of a run, or of a part of it.
type Result struct {
	Took    time.Duration
	Latency *hdrhistogram.Histogram // in microseconds, of all that was done
	Errors  map[string]uint64
}

// Latencies are counted from 1 µs to 100 s with three digits.
const (
	longest = 100_000_000
	digits  = 3
)

func newResult() Result {
	return Result{Latency: hdrhistogram.New(1, longest, digits), Errors: make(map[string]uint64)}
}

// Rate is how much was done in a second.
func (r Result) Rate() float64 { return float64(r.Latency.TotalCount()) / r.Took.Seconds() }

// At is the latency below which a share of all lies, in per cent.
func (r Result) At(percent float64) time.Duration {
	return time.Duration(r.Latency.ValueAtQuantile(percent)) * time.Microsecond
}

// Failed is how much was not done.
func (r Result) Failed() (n uint64) {
	for _, m := range r.Errors {
		n += m
	}
	return n
}

// String shows a result in a line.
func (r Result) String() string {
	return fmt.Sprintf("%.0f/s  p50 %v  p90 %v  p99 %v  p99.9 %v  max %v  errors %d",
		r.Rate(), r.At(50), r.At(90), r.At(99), r.At(99.9), r.At(100), r.Failed())
}

func (r Result) add(other Result) {
	r.Latency.Merge(other.Latency)
	for kind, n := range other.Errors {
		r.Errors[kind] += n
	}
}

// counter counts what some workers did. A histogram has 150 KB, so workers share a few.
type counter struct {
	mu   sync.Mutex
	part Result // since it was last taken
}

const counters = 8

// take takes what was done since the last time.
func (c *counter) take() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	part := c.part
	c.part = newResult()
	return part
}

// Run runs the workers until the time is over, or ctx ends.
func Run(ctx context.Context, o Options) Result {
	ctx, cancel := context.WithCancel(ctx)
	begin := time.Now()
	var number atomic.Uint64
	var running sync.WaitGroup
	all := make([]*counter, min(counters, o.Workers))
	for i := range all {
		all[i] = &counter{part: newResult()}
	}
	var starts chan start
	if o.Rate > 0 {
		starts = make(chan start)
		running.Go(func() { pace(ctx, o.Rate, begin, starts) })
	}
	for i := range o.Workers {
		running.Go(func() { work(ctx, o, i, starts, &number, all[i%len(all)]) })
	}
	defer func() {
		cancel()
		running.Wait()
	}()
	collect := func() Result {
		sum := newResult()
		for _, c := range all {
			sum.add(c.take())
		}
		return sum
	}
	sleep(ctx, time.Until(begin.Add(o.Warm)))
	collect()
	total, counted := newResult(), time.Now()
	for end := counted.Add(o.For); ctx.Err() == nil && time.Now().Before(end); {
		second := time.Now()
		sleep(ctx, min(time.Second, time.Until(end)))
		part := collect()
		part.Took = time.Since(second)
		total.add(part)
		if o.Report != nil {
			o.Report(part)
		}
	}
	total.Took = time.Since(counted)
	return total
}

// start is what is to be done in an open loop, and when.
type start struct {
	number uint64
	at     time.Time
}

// pace hands out what is to be done at a rate, each when it is due, to who has nothing to
// do. One goroutine sleeps for all: a timer for each would cost as much as what is done.
func pace(ctx context.Context, rate float64, begin time.Time, starts chan<- start) {
	for n := uint64(0); ; n++ {
		at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		sleep(ctx, time.Until(at))
		select {
		case starts <- start{n, at}:
		case <-ctx.Done():
			return
		}
	}
}

// work does one thing at a time: what starts says, if it is not nil. Latency counts from
// when something was to start: who comes late has waited.
func work(ctx context.Context, o Options, id int, starts <-chan start, number *atomic.Uint64, c *counter) {
	for ctx.Err() == nil {
		var s start
		if starts == nil {
			s = start{number.Add(1) - 1, time.Now()}
		} else {
			select {
			case s = <-starts:
			case <-ctx.Done():
				return
			}
		}
		err := o.Do(ctx, id, s.number)
		if ctx.Err() != nil {
			return
		}
		c.count(time.Since(s.at), err, o.Kind)
	}
}

func (c *counter) count(took time.Duration, err error, kind func(error) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		_ = c.part.Latency.RecordValue(min(max(took.Microseconds(), 1), longest)) // within its range
	case kind != nil:
		c.part.Errors[kind(err)]++
	default:
		c.part.Errors[err.Error()]++
	}
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
