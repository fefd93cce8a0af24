package observe

import (
	"testing"
	"time"
)

func TestHistogramBoundsEveryDuration(t *testing.T) {
	for d := time.Duration(0); d < 60*time.Second; d = d*5/4 + 137 {
		i := bucket(d)
		if d >= upper(i) || (i > 0 && d < upper(i-1)) {
			t.Fatalf("%v in bucket %d, which is [%v, %v)", d, i, upper(i-1), upper(i))
		}
	}
}

func TestQuantile(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Observe(time.Duration(i) * time.Millisecond)
	}
	s := h.Summary()
	if p := s.Quantile(0.5); p < 500*time.Millisecond || p > 625*time.Millisecond {
		t.Errorf("median %v", p)
	}
	if c := s.Cumulative(); c[upper(buckets-5).Seconds()] != 1000 {
		t.Errorf("cumulative %v", c)
	}
}

func TestSince(t *testing.T) {
	var h Histogram
	h.ObserveMany(time.Second, 1000)
	before := h.Summary()
	h.ObserveMany(time.Millisecond, 3)
	h.Observe(3 * time.Millisecond)
	s := h.Summary()
	later := s.Since(&before)
	if p := later.Quantile(0.5); later.Count != 4 || later.Sum != 6*time.Millisecond || p < time.Millisecond || p > 2*time.Millisecond {
		t.Errorf("%d, %v, median %v", later.Count, later.Sum, p)
	}
	if s.Count != 1004 || s.Quantile(0.5) < time.Second {
		t.Errorf("of all: %d, median %v", s.Count, s.Quantile(0.5))
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			h.Observe(123 * time.Microsecond)
		}
	})
}
