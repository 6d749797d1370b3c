// Package measure counts how large things are and how long they take, cheaply enough
// for a hot path: an observation is two atomic additions and allocates nothing.
package measure

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// Histogram counts values in buckets of which each is twice as wide as the one before.
// Its methods may be called from any goroutine.
type Histogram struct {
	first  uint64  // the upper bound of the first bucket
	unit   float64 // by which values are multiplied when they are shown
	counts []atomic.Uint64
	sum    atomic.Uint64
}

// Times returns a histogram of durations from 16 µs to 34 s, shown in seconds.
func Times() *Histogram { return newHistogram(uint64(16*time.Microsecond), 22, 1/float64(time.Second)) }

// Sizes returns a histogram of numbers, in buckets from first on.
func Sizes(first uint64, buckets int) *Histogram { return newHistogram(first, buckets, 1) }

func newHistogram(first uint64, buckets int, unit float64) *Histogram {
	return &Histogram{first: first, unit: unit, counts: make([]atomic.Uint64, buckets+1)}
}

// Observe counts a value. What is larger than the last bound has a bucket, too.
func (h *Histogram) Observe(value uint64) {
	bucket := 0
	if value > h.first {
		bucket = min(bits.Len64((value-1)/h.first), len(h.counts)-1)
	}
	h.counts[bucket].Add(1)
	h.sum.Add(value)
}

// Took counts a duration.
func (h *Histogram) Took(d time.Duration) { h.Observe(uint64(max(0, d))) }

// Show shows what was counted so far.
func (h *Histogram) Show() Distribution {
	d := Distribution{Bounds: make([]float64, len(h.counts)-1), Counts: make([]uint64, len(h.counts))}
	for i := range h.counts {
		if i < len(d.Bounds) {
			d.Bounds[i] = float64(h.first<<i) * h.unit
		}
		d.Counts[i] = h.counts[i].Load()
	}
	d.Sum = float64(h.sum.Load()) * h.unit
	return d
}

// Distribution is what a Histogram had counted at some time, in the base unit of what
// it counts: seconds, bytes, or plain numbers.
type Distribution struct {
	Bounds []float64 // the upper bounds of the buckets but the last, which has none
	Counts []uint64  // of values in each bucket
	Sum    float64   // of all values
}

// Count is how many values there were.
func (d Distribution) Count() uint64 {
	n := uint64(0)
	for _, c := range d.Counts {
		n += c
	}
	return n
}

// Mean is their average; 0 if there were none.
func (d Distribution) Mean() float64 {
	if n := d.Count(); n > 0 {
		return d.Sum / float64(n)
	}
	return 0
}

// Quantile is what a part q of them, from 0 to 1, does not exceed, as Prometheus finds it:
// within a bucket, as if they were spread evenly; the last bound stands for what is beyond
// it. It is 0 if there were none.
func (d Distribution) Quantile(q float64) float64 {
	all := d.Count()
	if all == 0 {
		return 0
	}
	wanted, below, from := q*float64(all), 0.0, 0.0
	for i, bound := range d.Bounds {
		n := float64(d.Counts[i])
		if n > 0 && below+n >= wanted {
			return from + (bound-from)*(wanted-below)/n
		}
		below, from = below+n, bound
	}
	return from
}

// Since is what was counted after an earlier Distribution of the same Histogram; a zero
// one is of its beginning.
func (d Distribution) Since(earlier Distribution) Distribution {
	since := Distribution{Bounds: d.Bounds, Counts: slices.Clone(d.Counts), Sum: d.Sum - earlier.Sum}
	for i := range min(len(since.Counts), len(earlier.Counts)) {
		since.Counts[i] -= min(earlier.Counts[i], since.Counts[i])
	}
	return since
}

// Plus is what was counted in two of the same buckets, or in one where the other is zero.
func (d Distribution) Plus(other Distribution) Distribution {
	if len(d.Counts) == 0 {
		return other
	}
	sum := Distribution{Bounds: d.Bounds, Counts: slices.Clone(d.Counts), Sum: d.Sum + other.Sum}
	for i := range min(len(sum.Counts), len(other.Counts)) {
		sum.Counts[i] += other.Counts[i]
	}
	return sum
}
