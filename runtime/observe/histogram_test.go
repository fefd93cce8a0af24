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

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			h.Observe(123 * time.Microsecond)
		}
	})
}
