package observe

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the value of every label of what exceeds the bound of its metric.
const other = "other"

// longest is how many bytes of a label's value are kept.
const longest = 128

// Counter counts up. The zero Counter is ready; each has its own cache line.
type Counter struct {
	n atomic.Uint64
	_ [56]byte
}

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Value is the count so far.
func (c *Counter) Value() uint64 { return c.n.Load() }

// vec keeps one T for each label set, up to a bound; all further sets share
// one.
type vec[T any] struct {
	name    string
	labels  int
	max     int
	refused *CounterVec

	mu   sync.RWMutex
	sets map[string]*set[T]
}

type set[T any] struct {
	labels []string
	value  T
}

func (v *vec[T]) with(values []string) *T {
	if len(values) != v.labels {
		panic(fmt.Sprintf("observe: metric %s has %d labels, not %d", v.name, v.labels, len(values)))
	}
	labels := clean(values)
	key := strings.Join(labels, "\x00")
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.sets[key]; ok {
		return &s.value
	}
	if len(v.sets) >= v.max && v.labels > 0 {
		if v.refused != nil {
			v.refused.With(v.name).Inc()
		}
		labels = rest(v.labels)
		key = strings.Join(labels, "\x00")
		if s, ok := v.sets[key]; ok {
			return &s.value
		}
	}
	s := &set[T]{labels: labels}
	v.sets[key] = s
	return &s.value
}

// each visits all sets; the lock is not held meanwhile.
func (v *vec[T]) each(visit func(value *T, labels []string)) {
	v.mu.RLock()
	all := make([]*set[T], 0, len(v.sets))
	for _, s := range v.sets {
		all = append(all, s)
	}
	v.mu.RUnlock()
	for _, s := range all {
		visit(&s.value, s.labels)
	}
}

func rest(n int) []string { return slices.Repeat([]string{other}, n) }

// clean makes label values that Prometheus takes: UTF-8 without the separator
// of keys, and of bounded length.
func clean(values []string) []string {
	out := make([]string, len(values))
	for i, s := range values {
		out[i] = strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), longest)], ""), "\x00", "")
	}
	return out
}

// CounterVec is a counter for each label set.
type CounterVec struct{ vec vec[Counter] }

// With is the counter of a label set, in the order of the labels' names. It
// takes a lock and is meant for set-up: keep what it returns.
func (v *CounterVec) With(values ...string) *Counter { return v.vec.with(values) }

// Counter adds a counter; its name ends in _total.
func (r *Registry) Counter(name, help string, labels ...string) *CounterVec {
	v := &CounterVec{newVec[Counter](r, name, labels)}
	desc := r.desc(name, help, labels, true)
	r.prom.MustRegister(&collector{desc, func(out chan<- prometheus.Metric) {
		v.vec.each(func(c *Counter, labels []string) {
			out <- constant(desc, prometheus.CounterValue, float64(c.Value()), labels)
		})
	}})
	return v
}

func newVec[T any](r *Registry, name string, labels []string) vec[T] {
	return vec[T]{name: name, labels: len(labels), max: r.maxSets, refused: r.refused, sets: map[string]*set[T]{}}
}

// HistogramVec is a Histogram for each label set.
type HistogramVec struct{ vec vec[Histogram] }

// With is the histogram of a label set, as CounterVec.With.
func (v *HistogramVec) With(values ...string) *Histogram { return v.vec.with(values) }

// Histogram adds a histogram of durations; its name ends in _seconds.
func (r *Registry) Histogram(name, help string, labels ...string) *HistogramVec {
	v := &HistogramVec{newVec[Histogram](r, name, labels)}
	desc := r.durations(name, help, labels)
	r.prom.MustRegister(&collector{desc, func(out chan<- prometheus.Metric) {
		v.vec.each(func(h *Histogram, labels []string) { out <- histogram(desc, h.Summary(), labels) })
	}})
	return v
}

func (r *Registry) durations(name, help string, labels []string) *prometheus.Desc {
	if !strings.HasSuffix(name, "_seconds") {
		panic("observe: metric " + name + ": histograms of durations end in _seconds")
	}
	return r.desc(name, help, labels, false)
}
