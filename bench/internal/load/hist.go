package load

import "math/bits"

// Hist counts durations in nanoseconds in log-linear buckets: 32 to each power
// of two, so a percentile is at most 3 % too high. The zero Hist is ready.
type Hist struct {
	counts [64 * 32]int64
	n      int64
	max    int64
}

// Add counts one duration; a negative one counts as zero.
func (h *Hist) Add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(ns)]++
	h.n++
	h.max = max(h.max, ns)
}

// Merge adds the counts of o.
func (h *Hist) Merge(o *Hist) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count is the number of durations added.
func (h *Hist) Count() int64 { return h.n }

// MaxMs is the longest duration in milliseconds.
func (h *Hist) MaxMs() float64 { return float64(h.max) / 1e6 }

// PercentileMs is the duration, in milliseconds, that a share p (0 to 1) of
// all durations does not exceed.
func (h *Hist) PercentileMs(p float64) float64 {
	rank := int64(p * float64(h.n))
	for i, n := range h.counts {
		if rank -= n; rank < 0 {
			return float64(min(upper(i), h.max)) / 1e6
		}
	}
	return h.MaxMs()
}

// bucket maps 0–31 to themselves and larger values by their top six bits.
func bucket(ns int64) int {
	if ns < 32 {
		return int(ns)
	}
	shift := bits.Len64(uint64(ns)) - 6
	return (shift+1)*32 + int(ns>>shift)&31
}

// upper is the largest value that bucket i holds.
func upper(i int) int64 {
	if i < 32 {
		return int64(i)
	}
	shift := i/32 - 1
	return (int64(i%32+32)+1)<<shift - 1
}
