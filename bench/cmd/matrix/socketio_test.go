package main

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// programs builds what measuring a node needs.
func programs(t *testing.T, bin string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a node has to be built")
	}
	for dir, pkg := range map[string]string{"": "./cmd/edgebench", "..": "./cmd/heddle"} {
		c := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", pkg)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// The same scenario runs against a node with either protocol and against the reference
// server, with either of its vocabularies.
func TestFanOutOverSocketIO(t *testing.T) {
	t.Chdir("../..")
	o, err := parse([]string{"-bin", t.TempDir(), "-data", t.TempDir(), "-server-cpus", "", "-client-cpus", "",
		"-servers", "heddle,heddle-socketio,heddle-socketio-durable,socketio,socketio-alike"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := selected(o)
	if err != nil {
		t.Fatal(err)
	}
	programs(t, o.bin)
	m := &matrix{options: o}
	for _, s := range list {
		for _, scenario := range []string{"fanout", "paced"} {
			if scenario == "paced" && s.name != "heddle-socketio" {
				continue // whose frames differ in nothing
			}
			t.Run(scenario+" "+s.name, func(t *testing.T) {
				if err := installed(s.needs); err != nil {
					t.Skip(err)
				}
				for d := 500 * time.Millisecond; ; d *= 2 { // in a short time nothing may happen on a slow machine
					r, err := m.measure(t.Context(), job{s, scenario, []string{"-conns", "20", "-rate", "50", "-warm", "100ms", "-time", d.String()}})
					if err != nil {
						t.Fatal(err)
					}
					if r.failed() || r["closed"] != 0.0 {
						t.Fatalf("failures in %v", r)
					}
					if n, ok := r.value("p50_ms"); ok && n > 0 {
						break
					}
					if d > 5*time.Second {
						t.Fatalf("nothing was delivered: %v", r)
					}
				}
			})
		}
	}
}

// Without Node its servers are left out, and the others are not.
func TestWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := installed(partNode); err == nil {
		t.Fatal("there is a node in an empty folder")
	}
	list, err := selected(&options{servers: []string{"heddle", "rawgws", "socketio", "socketio-alike"}})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, s := range without(list, installed) {
		left = append(left, s.name)
	}
	if !slices.Equal(left, []string{"heddle", "rawgws"}) {
		t.Errorf("left: %v", left)
	}
	if err := install(t.Context(), new(options), partNode, ""); err == nil {
		t.Error("installed without node")
	}
}

// Ratios of a dialect of ours are those that say something: to the native one, and to
// who speaks the same.
func TestDivides(t *testing.T) {
	all := map[string]server{}
	for _, s := range servers() {
		all[s.name] = s
	}
	for _, c := range []struct {
		ours, peer string
		want       bool
	}{
		{"heddle", "rawgws", true}, {"heddle", "heddle-socketio", false}, {"rawgws", "heddle", false},
		{"heddle-socketio", "heddle", true}, {"heddle-socketio", "socketio-alike", true}, {"heddle-socketio", "rawgws", false},
		{"heddle-socketio-durable", "heddle-durable", true}, {"heddle-socketio-durable", "heddle", false},
	} {
		if got := all[c.ours].divides(all[c.peer]); got != c.want {
			t.Errorf("%s by %s: %v", c.ours, c.peer, got)
		}
	}
}
