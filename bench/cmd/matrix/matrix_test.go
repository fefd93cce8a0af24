package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/bench/internal/driver"
)

const recorded = `{"scenario":"environment","server":"","run":"r1","cpu":"model","processors":4}
{"run":"r1","rep":1,"scenario":"fanout","server":"heddle","cpu_us_per_delivery":1,"deliveries_per_s":100,"other_cores":0.1}
{"run":"r1","rep":1,"scenario":"fanout","server":"rawgws","cpu_us_per_delivery":4,"deliveries_per_s":50,"other_cores":0.1}
{"run":"r1","rep":1,"scenario":"fanout","server":"heddle-socketio","cpu_us_per_delivery":1.1,"deliveries_per_s":90,"other_cores":0.1}
{"run":"r1","rep":1,"scenario":"fanout","server":"socketio","cpu_us_per_delivery":11,"deliveries_per_s":9,"other_cores":0.1}
{"run":"r1","rep":2,"scenario":"fanout","server":"heddle","cpu_us_per_delivery":2,"deliveries_per_s":100,"other_cores":0.1}
{"run":"r1","rep":2,"scenario":"fanout","server":"rawgws","cpu_us_per_delivery":4,"deliveries_per_s":50,"other_cores":0.1}
{"run":"r2","rep":1,"scenario":"fanout","server":"heddle","cpu_us_per_delivery":99,"deliveries_per_s":1,"other_cores":3}
{"run":"r2","rep":1,"scenario":"fanout","server":"nats","error":"it did not start"}
{"run":"r1","rep":1,"scenario":"chat","server":"heddle","held_rate":5000,"steps":[{"rate":2000,"p99_ms":3.25}]}
{"run":"r1","rep":1,"scenario":"presence","server":"heddle","parts":[{"name":"a user","p99_ms":4,"goal":"p99_ms at most 20","met":true},{"name":"a room","p99_ms":600,"goal":"p99_ms at most 500","met":false}]}
{"run":"r1","rep":2,"scenario":"presence","server":"heddle","parts":[{"name":"a user","p99_ms":4.1,"goal":"p99_ms at most 20","met":true},{"name":"a room","p99_ms":400,"goal":"p99_ms at most 500","met":true}]}
{"run":"r1","rep":1,"scenario":"slope","server":"heddle","conns":5000,"rss_mb":60}
{"run":"r1","rep":1,"scenario":"slope","server":"heddle","conns":10000,"rss_mb":110}
{"run":"r1","rep":1,"scenario":"slope","server":"rawgws","conns":5000,"rss_mb":110}
{"run":"r1","rep":1,"scenario":"slope","server":"rawgws","conns":10000,"rss_mb":210}
`

// cell finds a figure by the beginning of its row and the head of its column.
func cell(t *testing.T, tables []table, title string, row []string, head string) string {
	t.Helper()
	for _, tab := range tables {
		if tab.title != title {
			continue
		}
		column := slices.Index(tab.head, head)
		for _, r := range tab.rows {
			if column >= 0 && slices.Equal(r[:len(row)], row) {
				return r[column]
			}
		}
	}
	t.Errorf("no %q of %v in %q", head, row, title)
	return ""
}

func TestReport(t *testing.T) {
	o, err := parse([]string{"-report", "-md", "-out", filepath.Join(t.TempDir(), "results.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.out, []byte(recorded), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := load(o.out)
	if err != nil {
		t.Fatal(err)
	}
	tables := o.tables(all)
	for _, c := range []struct {
		title string
		row   []string
		head  string
		want  string
	}{
		{"S2 fan-out at saturation", []string{"heddle"}, "CPU µs/delivery", "1.50 (1.00–2.00)"},
		{"S2 fan-out at saturation", []string{"rawgws"}, "CPU µs/delivery", "4.00"},
		{"S2 fan-out at saturation", []string{"heddle"}, "runs", "2"}, // without the noisy one
		{"S2 fan-out at saturation: Heddle divided by the peer", []string{"heddle", "rawgws"}, "CPU µs/delivery ↓", "0.38"},
		{"S2 fan-out at saturation: Heddle divided by the peer", []string{"heddle", "rawgws"}, "deliveries/s ↑", "2.00"},
		{"S2 fan-out at saturation: Heddle divided by the peer", []string{"heddle", "rawgws"}, "pairs", "2"},
		{"S2 fan-out at saturation: Heddle divided by the peer", []string{"heddle-socketio", "heddle"}, "CPU µs/delivery ↓", "1.10"},
		{"S2 fan-out at saturation: Heddle divided by the peer", []string{"heddle-socketio", "socketio"}, "CPU µs/delivery ↓", "0.10"},
		{"S3 chat", []string{"heddle"}, "2k p99", "3.2"},
		{"S3 chat", []string{"heddle"}, "5k p99", missing},
		{"S7 presence", []string{"heddle", "a user"}, "p99 ms", "4.0"},
		{"S7 presence", []string{"heddle", "a user"}, "met", "2 of 2"},
		{"S7 presence", []string{"heddle", "a room"}, "p99 ms", "500.0 (400.0–600.0)"},
		{"S7 presence", []string{"heddle", "a room"}, "goal", "p99_ms at most 500"},
		{"S7 presence", []string{"heddle", "a room"}, "met", "1 of 2"},
		{"S1 slope: idle memory in MB at several sizes", []string{"heddle", "RSS"}, "B/conn", "10000"},
		{"S1 slope: idle memory in MB at several sizes", []string{"heddle", "RSS"}, "MB at 100000", "1010"},
		{"S1 slope: Heddle's bytes per connection divided by the peer's", []string{"heddle", "rawgws"}, "RSS ↓", "0.50"},
	} {
		if got := cell(t, tables, c.title, c.row, c.head); got != c.want {
			t.Errorf("%s, %v, %s: %q, want %q", c.title, c.row, c.head, got, c.want)
		}
	}
	var md strings.Builder
	if err := o.write(&md, tables); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### S2 fan-out at saturation\n\n| server | deliveries/s |", "|---|---:|", "| heddle | rawgws | 2.00 |", "| r1 | model | 4 |"} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("no %q in\n%s", want, md.String())
		}
	}
}

func TestFit(t *testing.T) {
	l, ok := fit([]float64{1, 2, 3}, []float64{12, 14, 16})
	if !ok || math.Abs(l.slope-2) > 1e-9 || math.Abs(l.at(100)-210) > 1e-9 {
		t.Errorf("got %+v, %v", l, ok)
	}
	if _, ok := fit([]float64{5, 5}, []float64{1, 2}); ok {
		t.Error("one size has a slope")
	}
}

func TestSelected(t *testing.T) {
	names := func(args ...string) (names []string) {
		o, err := parse(args)
		if err != nil {
			t.Fatal(err)
		}
		list, err := selected(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			names = append(names, s.name)
		}
		return names
	}
	has := slices.Contains[[]string]
	if usual := names(); !has(usual, "heddle") || !has(usual, "nats") || has(usual, "melody") || has(usual, "centrifugo5") {
		t.Errorf("the usual ones are %v", usual)
	}
	if quick := names("-quick"); !has(quick, "pebble") || has(quick, "nats") {
		t.Errorf("the quick ones are %v", quick)
	}
	if named := names("-servers", "melody"); !slices.Equal(named, []string{"melody"}) {
		t.Errorf("named: %v", named)
	}
	if every := names("-servers", "every", "-centrifugo", "c"); len(every) != len(servers()) {
		t.Errorf("every one: %v", every)
	}
	if _, err := selected(&options{servers: []string{"nginx"}}); err == nil {
		t.Error("an unknown server was taken")
	}
}

func TestJobs(t *testing.T) {
	o, err := parse([]string{"-quick", "-servers", "heddle,heddle-durable,pebble", "-scenarios", "slope,durable,typing", "-sizes", "1,2", "-flags", "-conns 9"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := selected(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range (&matrix{options: o}).jobs(list) {
		got = append(got, j.scenario+" "+j.name+" "+j.flags[len(j.flags)-1])
	}
	want := []string{"slope heddle 1", "slope heddle 2", "durable heddle-durable 9", "durable pebble 9", "typing heddle 9"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := shared([]string{"-conns", "7", "-rate", "5", "-rates", "5,6", "-time", "1s"}); !slices.Equal(got, []string{"-conns", "7", "-rates", "5,6", "-time", "1s"}) {
		t.Errorf("shared flags: %v", got)
	}
}

// A wrong record must be seen: quick is a smoke test.
func TestFailed(t *testing.T) {
	for name, c := range map[string]struct {
		r    record
		want bool
	}{
		"error":           {record{"error": "x"}, true},
		"wrong answers":   {record{"failures": 2.0, "closed": 1.0}, true},
		"closed for slow": {record{"failures": 1.0, "closed": 1.0}, false},
		"fine":            {record{"failures": 0.0, "closed": 0.0}, false},
	} {
		if c.r.failed() != c.want {
			t.Errorf("%s: failed is %v", name, !c.want)
		}
	}
}

// The generator signs tokens with a default secret, and the server's file has it
// too.
func TestHeddleConf(t *testing.T) {
	conf, err := os.ReadFile("../../servers/conf/heddle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(conf), "secret: "+driver.Secret+"\n") {
		t.Errorf("servers/conf/heddle.yaml does not have the secret %s", driver.Secret)
	}
}
