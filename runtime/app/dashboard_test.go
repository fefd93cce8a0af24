package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/heddle-rt/heddle/runtime/adapter/redis"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// query is an expression of a dashboard or a rule, and the labels that it is shown by.
type query struct{ where, expr, shown string }

// dashboard is what is read of one of Grafana's.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr, LegendFormat string }
	}
}

func dashboardQueries(t *testing.T) (all []query) {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(grafana(t, "heddle.json"), &d); err != nil {
		t.Fatal(err)
	}
	ids, places := map[int]bool{}, map[[2]int]bool{}
	for _, p := range d.Panels {
		at := [2]int{p.GridPos.X, p.GridPos.Y}
		if ids[p.ID] || places[at] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q, has the id or the place of another", p.ID, p.Title)
		}
		ids[p.ID], places[at] = true, true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			all = append(all, query{p.Title, q.Expr, q.LegendFormat})
		}
	}
	return all
}

func alertQueries(t *testing.T) (all []query) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(grafana(t, "alerts.yaml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: it wants a severity, a summary and a description", r.Alert)
			}
			all = append(all, query{r.Alert, r.Expr, r.Annotations["summary"]})
		}
	}
	return all
}

func grafana(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../configs/grafana", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var described = regexp.MustCompile(`fqName: "([^"]+)".* variableLabels: \{([^}]*)\}`)

// labelsOf are the labels of all that some registries have, by name.
func labelsOf(t *testing.T, registries ...*observe.Registry) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, r := range registries {
		descriptions := make(chan *prometheus.Desc)
		go func() { // ends with the list
			r.Gatherer().(prometheus.Collector).Describe(descriptions)
			close(descriptions)
		}()
		for d := range descriptions {
			m := described.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("%s is written in another way", d)
			}
			out[m[1]] = strings.FieldsFunc(m[2], func(c rune) bool { return c == ',' })
		}
	}
	return out
}

var (
	selected = regexp.MustCompile(`\b((?:heddle|go|process)_\w+)(?:\{([^}]*)\})?`)
	matched  = regexp.MustCompile(`(\w+)\s*[=!]~?"`)
	grouped  = regexp.MustCompile(`by \(([^)]*)\)`)
	legend   = regexp.MustCompile(`\{\{(?: *\$labels\.)?(\w+) *\}\}`)
	series   = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestDashboardsAskForWhatThereIs: nodes and workers have every metric of the dashboard
// and the alerts, with the labels by which it is selected, grouped and shown.
func TestDashboardsAskForWhatThereIs(t *testing.T) {
	n, shared := serve(t), observe.NewRegistry(observe.MetricsConfig{}, "")
	(&clustered{bus: &redis.Bus{}}).metrics(shared)
	workerMetrics(shared, nil)
	known := labelsOf(t, n.app.metrics(observe.MetricsConfig{}), shared)
	asked := map[string]bool{}
	for _, q := range slices.Concat(dashboardQueries(t), alertQueries(t)) {
		for _, name := range q.check(t, known) {
			asked[name] = true
		}
	}
	for name := range known {
		if (strings.HasPrefix(name, "heddle_cluster_") || strings.HasPrefix(name, "heddle_worker_")) && !asked[name] {
			t.Errorf("nobody is shown %s", name)
		}
	}
}

// check returns the metrics that are asked for.
func (q *query) check(t *testing.T, known map[string][]string) (names []string) {
	t.Helper()
	has := []string{"le", "instance"}
	for _, m := range selected.FindAllStringSubmatch(q.expr, -1) {
		name := m[1]
		if _, ok := known[name]; !ok {
			name = series.ReplaceAllString(name, "")
		}
		labels, ok := known[name]
		if !ok {
			t.Errorf("%s: there is no %s", q.where, m[1])
		}
		for _, l := range matched.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "instance" && !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %s", q.where, name, l[1])
			}
		}
		names, has = append(names, name), append(has, labels...)
	}
	var by []string
	for _, l := range legend.FindAllStringSubmatch(q.shown, -1) {
		by = append(by, l[1])
	}
	for _, l := range grouped.FindAllStringSubmatch(q.expr, -1) {
		by = append(by, strings.Split(l[1], ", ")...)
	}
	for _, l := range by {
		if !slices.Contains(has, l) {
			t.Errorf("%s: nothing has the label %s", q.where, l)
		}
	}
	return names
}
