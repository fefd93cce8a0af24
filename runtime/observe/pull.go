package observe

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// GaugeFunc adds a gauge that is read when it is asked for. read is called from
// any goroutine, and does not block.
func (r *Registry) GaugeFunc(name, help string, read func() float64) {
	r.GaugesFunc(name, help, nil, func(yield func(float64, ...string)) { yield(read()) })
}

// GaugesFunc adds a gauge with labels. read yields a value for each label set;
// values of one set are added up.
func (r *Registry) GaugesFunc(name, help string, labels []string, read func(yield func(v float64, values ...string))) {
	r.pull(r.desc(name, help, labels, false), name, prometheus.GaugeValue, len(labels), read)
}

// CounterFunc adds a counter that is kept elsewhere: what read returns never
// goes down.
func (r *Registry) CounterFunc(name, help string, read func() float64) {
	r.CountersFunc(name, help, nil, func(yield func(float64, ...string)) { yield(read()) })
}

// CountersFunc is CounterFunc with labels, as GaugesFunc.
func (r *Registry) CountersFunc(name, help string, labels []string, read func(yield func(v float64, values ...string))) {
	r.pull(r.desc(name, help, labels, true), name, prometheus.CounterValue, len(labels), read)
}

// HistogramFunc adds a histogram that a package keeps itself.
func (r *Registry) HistogramFunc(name, help string, h *Histogram) {
	r.HistogramsFunc(name, help, nil, func(yield func(Summary, ...string)) { yield(h.Summary()) })
}

// HistogramsFunc adds histograms that packages keep themselves, one for each
// label set; a set that is yielded again, or beyond the bound, is left out.
func (r *Registry) HistogramsFunc(name, help string, labels []string, read func(yield func(s Summary, values ...string))) {
	desc := r.durations(name, help, labels)
	r.prom.MustRegister(&collector{desc, func(out chan<- prometheus.Metric) {
		seen := map[string]bool{}
		read(func(s Summary, values ...string) {
			values = clean(values)
			key := strings.Join(values, "\x00")
			if seen[key] {
				return
			}
			if len(seen) >= r.maxSets {
				r.refused.With(name).Inc()
				return
			}
			seen[key] = true
			out <- histogram(desc, s, values)
		})
	}})
}

// pull adds up what read yields by label set, so that neither a repeated set nor
// too many of them spoil the scrape.
func (r *Registry) pull(desc *prometheus.Desc, name string, kind prometheus.ValueType, labels int, read func(func(float64, ...string))) {
	type sum struct {
		labels []string
		v      float64
	}
	r.prom.MustRegister(&collector{desc, func(out chan<- prometheus.Metric) {
		sums := map[string]*sum{}
		read(func(v float64, values ...string) {
			values = clean(values)
			key := strings.Join(values, "\x00")
			if sums[key] == nil && len(sums) >= r.maxSets && labels > 0 {
				r.refused.With(name).Inc()
				values = rest(labels)
				key = strings.Join(values, "\x00")
			}
			if sums[key] == nil {
				sums[key] = &sum{labels: slices.Clone(values)}
			}
			sums[key].v += v
		})
		for _, s := range sums {
			out <- constant(desc, kind, s.v, s.labels)
		}
	}})
}
