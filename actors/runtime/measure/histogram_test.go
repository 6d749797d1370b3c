package measure

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestAValueGoesIntoTheFirstBucketThatHoldsIt(t *testing.T) {
	for _, tt := range []struct {
		value  uint64
		bucket int
	}{{0, 0}, {1, 0}, {10, 0}, {11, 1}, {20, 1}, {21, 2}, {40, 2}, {41, 3}, {math.MaxUint64, 3}} {
		h := Sizes(10, 3)
		h.Observe(tt.value)
		want := make([]uint64, 4)
		want[tt.bucket] = 1
		if d := h.Show(); !slices.Equal(d.Counts, want) || !slices.Equal(d.Bounds, []float64{10, 20, 40}) {
			t.Errorf("%d: the counts are %v, want %v, of bounds %v", tt.value, d.Counts, want, d.Bounds)
		}
	}
}

func TestADistributionIsInItsUnit(t *testing.T) {
	h := Times()
	for range 99 {
		h.Took(time.Millisecond)
	}
	before := h.Show()
	h.Took(time.Second)
	h.Took(-time.Second) // a clock that was set back
	d := h.Show()
	if got := d.Since(before); got.Count() != 2 || math.Abs(got.Sum-1) > 1e-9 {
		t.Errorf("since: %d values of %g s, want 2 of 1 s", got.Count(), got.Sum)
	}
	if p50 := d.Quantile(0.5); p50 < 0.000512 || p50 > 0.001024 {
		t.Errorf("half of them took at most %g s, want what is in the bucket of 1 ms", p50)
	}
	if p100 := d.Quantile(1); p100 < 1 || p100 >= 2 {
		t.Errorf("all of them took at most %g s, want 1 s or up to twice that", p100)
	}
	if both := before.Plus(d.Since(before)); both.Count() != 101 || math.Abs(both.Sum-d.Sum) > 1e-9 || !slices.Equal(both.Counts, d.Counts) {
		t.Errorf("what was before and what came since: %v, want %v", both, d)
	}
	if mean := before.Mean(); math.Abs(mean-0.001) > 1e-9 {
		t.Errorf("the mean is %g s, want 1 ms", mean)
	}
	if none := (Distribution{}); none.Quantile(0.5) != 0 || none.Mean() != 0 || d.Since(none).Count() != 101 || none.Plus(d).Count() != 101 || d.Plus(none).Count() != 101 {
		t.Error("a distribution of nothing is not of nothing")
	}
}

func TestWithinABucketAllAreSpreadEvenly(t *testing.T) {
	d := Distribution{Bounds: []float64{1, 2, 4}, Counts: []uint64{2, 0, 4, 2}}
	for q, want := range map[float64]float64{0: 0, 0.125: 0.5, 0.25: 1, 0.5: 3, 0.75: 4, 0.99: 4, 1: 4} {
		if got := d.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g of them: %g, want %g", q, got, want)
		}
	}
}

func TestTimesReachFromAWriteToAHang(t *testing.T) {
	bounds := Times().Show().Bounds
	if first, last := bounds[0], bounds[len(bounds)-1]; first > 20e-6 || last < 30 {
		t.Errorf("bounds from %g s to %g s", first, last)
	}
}
