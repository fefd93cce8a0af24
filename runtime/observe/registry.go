package observe

import (
	"cmp"
	"regexp"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Registry holds the node's metrics. Its methods are for set-up: a name that is
// malformed or taken, a missing help or a label too many is a fault of the
// program, and panics. What they return is for the running node and never fails.
type Registry struct {
	prom    *prometheus.Registry
	maxSets int
	refused *CounterVec // label sets beyond the bound, by metric
}

// NewRegistry is a Registry with the metrics of the Go runtime, of the process
// and of the build. An empty version is taken from the binary.
func NewRegistry(cfg MetricsConfig, version string) *Registry {
	r := &Registry{prom: prometheus.NewRegistry(), maxSets: cmp.Or(cfg.MaxLabelSets, 1000)}
	r.prom.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{
			Matcher: regexp.MustCompile(`^(/sched/latencies:seconds|/sched/pauses/total/gc:seconds)$`),
		})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	r.refused = r.Counter("heddle_label_sets_refused_total", "Look-ups of label sets beyond the bound of their metric.", "metric")
	version = buildVersion(version)
	r.GaugesFunc("heddle_build_info", "Always 1; the labels name the build.", []string{"version", "go"}, func(yield func(float64, ...string)) {
		yield(1, version, runtime.Version())
	})
	return r
}

// Gatherer gives the metrics to whoever wants to read them otherwise than by
// /metrics.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.prom }

// checkName holds names to heddle_<noun>_<unit>.
func checkName(name, help string, counter bool) {
	switch {
	case !regexp.MustCompile(`^heddle(_[a-z][a-z0-9]*)+$`).MatchString(name):
		panic("observe: metric " + name + " is not named heddle_<noun>_<unit>")
	case counter != strings.HasSuffix(name, "_total"):
		panic("observe: metric " + name + ": counters end in _total, and nothing else does")
	case help == "":
		panic("observe: metric " + name + " has no help")
	}
}

func (r *Registry) desc(name, help string, labels []string, counter bool) *prometheus.Desc {
	checkName(name, help, counter)
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector reads metrics when they are asked for.
type collector struct {
	desc    *prometheus.Desc
	collect func(chan<- prometheus.Metric)
}

func (c *collector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }
func (c *collector) Collect(out chan<- prometheus.Metric) { c.collect(out) }

// constant is a metric with the value of this moment; a wrong number of labels
// shows as an error of the scrape.
func constant(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

func histogram(desc *prometheus.Desc, s Summary, labels []string) prometheus.Metric {
	m, err := prometheus.NewConstHistogram(desc, s.Count, s.Sum.Seconds(), s.Cumulative(), labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
