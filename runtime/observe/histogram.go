package observe

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets are log-linear, four to each power of two, in units of 256 ns: four
// below 1.024 µs, the last up to 69 s (above counts there too). A bucket above
// the first four is at most 25 % wide.
const (
	unitBits = 8
	subBits  = 2
	octaves  = 26
	buckets  = (octaves + 1) << subBits
)

// Histogram counts durations without locks or allocations. The zero Histogram
// is ready.
type Histogram struct {
	sum    atomic.Int64 // nanoseconds
	counts [buckets]atomic.Uint64
}

// Observe adds one duration.
func (h *Histogram) Observe(d time.Duration) {
	h.sum.Add(int64(d))
	h.counts[bucket(d)].Add(1)
}

// ObserveMany adds so many durations that are the same.
func (h *Histogram) ObserveMany(d time.Duration, n int) {
	h.sum.Add(int64(d) * int64(n))
	h.counts[bucket(d)].Add(uint64(n))
}

func bucket(d time.Duration) int {
	u := uint64(max(d, 0)) >> unitBits
	if u < 1<<subBits {
		return int(u)
	}
	shift := bits.Len64(u) - 1 - subBits
	if shift >= octaves {
		return buckets - 1
	}
	return shift<<subBits + int(u>>shift)
}

// upper is the exclusive upper edge of a bucket.
func upper(i int) time.Duration {
	if i < 1<<subBits {
		return time.Duration(i+1) << unitBits
	}
	shift := i>>subBits - 1
	return time.Duration(i-shift<<subBits+1) << shift << unitBits
}

// Summary is what a Histogram has counted.
type Summary struct {
	Count  uint64
	Sum    time.Duration
	counts [buckets]uint64
}

// Summary reads the histogram; counts that come in meanwhile may be missed.
func (h *Histogram) Summary() Summary {
	s := Summary{Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.Count += s.counts[i]
	}
	return s
}

// Quantile is an upper bound of the q-quantile, 0 if nothing was counted.
func (s *Summary) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(s.Count))
	var seen uint64
	for i, n := range s.counts {
		if seen += n; n > 0 && seen > rank {
			return upper(i)
		}
	}
	if s.Count == 0 {
		return 0
	}
	return upper(buckets - 1)
}

// Cumulative gives Prometheus' view: for each power of two from 1.024 µs the
// number of durations below it, keyed in seconds.
func (s *Summary) Cumulative() map[float64]uint64 {
	out := make(map[float64]uint64, octaves)
	var seen uint64
	for i, n := range s.counts[:buckets-1] {
		seen += n
		if (i+1)&(1<<subBits-1) == 0 {
			out[upper(i).Seconds()] = seen
		}
	}
	return out
}

// Merge adds what o has counted.
func (s *Summary) Merge(o Summary) {
	s.Count += o.Count
	s.Sum += o.Sum
	for i, n := range o.counts {
		s.counts[i] += n
	}
}

// Since is what was counted after an earlier summary of the same Histogram.
func (s *Summary) Since(before *Summary) Summary {
	later := *s
	later.Count -= before.Count
	later.Sum -= before.Sum
	for i, n := range before.counts {
		later.counts[i] -= n
	}
	return later
}
