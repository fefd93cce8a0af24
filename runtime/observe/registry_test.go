package observe

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
)

// everyKind has one metric of each method.
func everyKind(maxSets int) *Registry {
	r := NewRegistry(MetricsConfig{MaxLabelSets: maxSets}, "v1.2.3")
	r.Counter("heddle_events_total", "Events.", "tenant", "action").With("acme", "message:send").Add(3)
	r.Histogram("heddle_stage_seconds", "Time in a stage.", "stage").With("decode").Observe(3 * time.Millisecond)
	r.GaugeFunc("heddle_connections_open", "Open connections.", func() float64 { return 7 })
	r.CounterFunc("heddle_frames_total", "Frames.", func() float64 { return 8 })
	r.HistogramFunc("heddle_commit_seconds", "Time to commit.", &Histogram{})
	r.GaugesFunc("heddle_queue_bytes", "Bytes that wait.", []string{"queue"}, func(yield func(float64, ...string)) {
		yield(1, "a")
		yield(2, "b")
		yield(4, "a")
	})
	return r
}

// exported is the text form of some metrics.
func exported(t *testing.T, r *Registry, names ...string) string {
	t.Helper()
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		if slices.Contains(names, f.GetName()) {
			if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.String()
}

func TestEveryMetricIsWellNamedAndHasHelp(t *testing.T) {
	r := everyKind(100)
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
	}
	for _, name := range []string{"go_sched_latencies_seconds", "go_sched_pauses_total_gc_seconds", "go_goroutines", "process_start_time_seconds", "heddle_build_info"} {
		if !found[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestValues(t *testing.T) {
	r := everyKind(100)
	want := `# HELP heddle_connections_open Open connections.
# TYPE heddle_connections_open gauge
heddle_connections_open 7
# HELP heddle_events_total Events.
# TYPE heddle_events_total counter
heddle_events_total{action="message:send",tenant="acme"} 3
# HELP heddle_frames_total Frames.
# TYPE heddle_frames_total counter
heddle_frames_total 8
# HELP heddle_queue_bytes Bytes that wait.
# TYPE heddle_queue_bytes gauge
heddle_queue_bytes{queue="a"} 5
heddle_queue_bytes{queue="b"} 2
`
	if got := exported(t, r, "heddle_connections_open", "heddle_events_total", "heddle_frames_total", "heddle_queue_bytes"); got != want {
		t.Error(got)
	}
}

func TestHistogramIsExportedInSeconds(t *testing.T) {
	r := NewRegistry(MetricsConfig{}, "v")
	h := r.Histogram("heddle_stage_seconds", "Time in a stage.", "stage").With("x")
	for _, d := range []time.Duration{time.Microsecond, time.Millisecond, time.Second, 1000 * time.Second} {
		h.Observe(d)
	}
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "heddle_stage_seconds" {
			continue
		}
		got := f.GetMetric()[0].GetHistogram()
		buckets := got.GetBucket()
		if got.GetSampleCount() != 4 || got.GetSampleSum() != 1001.001001 || buckets[0].GetUpperBound() != 1.024e-6 || buckets[0].GetCumulativeCount() != 1 || buckets[len(buckets)-1].GetCumulativeCount() != 3 {
			t.Errorf("%v", got)
		}
		return
	}
	t.Error("not exported")
}

func TestLabelSetsAreBounded(t *testing.T) {
	r := NewRegistry(MetricsConfig{MaxLabelSets: 2}, "v")
	events := r.Counter("heddle_events_total", "Events.", "tenant", "action")
	a := events.With("a", "x")
	events.With("b", "x").Inc()
	for _, tenant := range []string{"c", "d", "e\xff", strings.Repeat("f", 1000)} {
		events.With(tenant, "x").Inc()
	}
	if events.With("a", "x") != a {
		t.Error("a set that is known was refused")
	}
	r.GaugesFunc("heddle_rooms_open", "Rooms.", []string{"tenant"}, func(yield func(float64, ...string)) {
		for _, tenant := range []string{"a", "b", "c", "d"} {
			yield(1, tenant)
		}
	})
	want := `# HELP heddle_events_total Events.
# TYPE heddle_events_total counter
heddle_events_total{action="other",tenant="other"} 4
heddle_events_total{action="x",tenant="a"} 0
heddle_events_total{action="x",tenant="b"} 1
# HELP heddle_rooms_open Rooms.
# TYPE heddle_rooms_open gauge
heddle_rooms_open{tenant="a"} 1
heddle_rooms_open{tenant="b"} 1
heddle_rooms_open{tenant="other"} 2
`
	if got := exported(t, r, "heddle_events_total", "heddle_rooms_open"); got != want {
		t.Error(got)
	}
	if n := r.refused.With("heddle_events_total").Value(); n != 4 {
		t.Errorf("%d refused", n)
	}
}

func TestMisuseOfARegistryPanics(t *testing.T) {
	r := everyKind(100)
	cases := map[string]func(){
		"taken":        func() { r.Counter("heddle_events_total", "Other.") },
		"prefix":       func() { r.Counter("events_total", "Events.") },
		"capitals":     func() { r.Counter("heddle_Events_total", "Events.") },
		"counter unit": func() { r.Counter("heddle_events", "Events.") },
		"gauge unit":   func() { r.GaugeFunc("heddle_events_seen_total", "Events.", func() float64 { return 0 }) },
		"histogram":    func() { r.Histogram("heddle_stage_ms", "Time.") },
		"no help":      func() { r.Counter("heddle_new_total", "") },
		"labels":       func() { r.Counter("heddle_more_total", "More.", "a").With("x", "y") },
	}
	for name, misuse := range cases {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse()
		})
	}
}

func TestScrapeSurvivesWrongLabels(t *testing.T) {
	r := everyKind(100)
	r.GaugesFunc("heddle_wrong_bytes", "Wrong.", []string{"a"}, func(yield func(float64, ...string)) { yield(1, "x", "y") })
	families, err := r.Gatherer().Gather()
	if err == nil || len(families) < 10 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

func TestCountingWhileGathering(t *testing.T) {
	r := NewRegistry(MetricsConfig{MaxLabelSets: 10}, "v")
	v, h := r.Counter("heddle_events_total", "Events.", "n"), r.Histogram("heddle_stage_seconds", "Time.", "n")
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := range 200 {
				v.With(string(rune('a' + (i+j)%20))).Inc()
				h.With(string(rune('a' + j%20))).Observe(time.Millisecond)
				if j%50 == 0 {
					if _, err := r.Gatherer().Gather(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	var total uint64
	v.vec.each(func(c *Counter, _ []string) { total += c.Value() })
	if total != 800 {
		t.Errorf("%d counted", total)
	}
}

func BenchmarkCounter(b *testing.B) {
	c := NewRegistry(MetricsConfig{}, "v").Counter("heddle_events_total", "Events.", "tenant").With("acme")
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkGather(b *testing.B) {
	r := everyKind(100)
	h := r.Histogram("heddle_many_seconds", "Many.", "n")
	for i := range 100 {
		h.With(string(rune('a' + i))).Observe(time.Millisecond)
	}
	var g prometheus.Gatherer = r.Gatherer()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
