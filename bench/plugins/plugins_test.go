package plugins

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func newBench(t *testing.T) *Bench {
	t.Helper()
	b, err := New(Options{Root: "..", Quick: true, Reps: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// cheap runs a part, which must leave out nothing but what can not be built here.
func cheap(t *testing.T, part func(*Bench, context.Context) (*Report, error)) *Report {
	t.Helper()
	if testing.Short() {
		t.Skip("guests have to be built")
	}
	if err := there("go"); err != nil {
		t.Skip(err)
	}
	r, err := part(newBench(t), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Left {
		if !strings.Contains(l, errMissing.Error()) {
			t.Error("left out:", l)
		}
	}
	return r
}

// rows wants a table with at least so many rows, and figures in them.
func rows(t *testing.T, r *Report, title string, least int) {
	t.Helper()
	for _, table := range r.Tables {
		if !strings.HasPrefix(table.Title, title) {
			continue
		}
		if len(table.Rows) < least {
			t.Errorf("%s: %d rows", table.Title, len(table.Rows))
		}
		for _, row := range table.Rows {
			if len(row) != len(table.Head) {
				t.Errorf("%s: %d cells under %d heads", table.Title, len(row), len(table.Head))
			}
		}
		return
	}
	t.Errorf("no table %q", title)
}

func TestEcho(t *testing.T) {
	r := cheap(t, (*Bench).echo)
	rows(t, r, "An echo", 4)
	for _, c := range r.Claims {
		if c.Measured <= 1 {
			t.Errorf("%s: %s", c.What, c.measured())
		}
	}
}

func TestInstances(t *testing.T) {
	r := cheap(t, (*Bench).instances)
	rows(t, r, "An instance", 1)
	for _, c := range r.Claims {
		if c.Unit == "KiB" && !c.Met() { // memory does not depend on how busy the machine is
			t.Errorf("%s: %s, want %s", c.What, c.measured(), c.goal())
		}
	}
}

func TestRoute(t *testing.T) { rows(t, cheap(t, (*Bench).route), "An event", 5) }

func TestSafepoints(t *testing.T) {
	r := cheap(t, (*Bench).safepoints)
	rows(t, r, "How long", 2)
	rows(t, r, "Others", 2)
}

func TestMetering(t *testing.T) {
	b, r := newBench(t), &Report{}
	p := &b.programs()[0]
	code, err := p.code(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := r.table("metering", "program", "plain", "metered", "ratio", "rounds", "fastest", "module", "metered")
	if err := b.weigh(t.Context(), r, table, p, code); err != nil {
		t.Fatal(err)
	}
	rows(t, r, "metering", 1)
}

func TestDeploysAreFlat(t *testing.T) {
	b, r := newBench(t), &Report{}
	if err := b.series(t.Context(), r, "small modules", 200, func(n int) ([]byte, error) { return smallModule(n), nil }); err != nil {
		t.Fatal(err)
	}
	rows(t, r, "200 deploys", 10)
	for _, c := range r.Claims {
		if !c.Met() && !strings.Contains(c.What, "RSS") { // of the whole test
			t.Errorf("%s: %s, want %s", c.What, c.measured(), c.goal())
		}
	}
}

// TestLostEvents: a flow notices that an event is lost.
func TestLostEvents(t *testing.T) {
	b := newBench(t)
	h, err := newHost(b.engine, newCells(), func(c *host.Config) { c.Lanes = 1 })
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, err := deployed(t.Context(), h, "changing", manifest.Stateless, smallModule(1), "")
	if err != nil {
		t.Fatal(err)
	}
	f := flowing(t.Context(), h)
	for f.events.Load() == 0 {
		if err := pause(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	broken := smallModule(2)
	i := bytes.LastIndex(broken, []byte{opDrop, opI32Const, 0, opEnd})
	broken[i+2] = 8 // it says that it has written so much; that is no action
	bundle, err := bundle("changing", manifest.Stateless, broken, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.deploy(t.Context(), bundle); err != nil {
		t.Fatal(err)
	}
	f.wg.Wait() // each of the senders loses one
	if err := f.end(); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("lost events went unseen: %v", err)
	}
}

func TestVariants(t *testing.T) {
	a, err := variant(smallModule(1), 7)
	if err != nil {
		t.Fatal(err)
	}
	c, err := variant(smallModule(1), 8)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, c) || bytes.Equal(smallModule(1), smallModule(2)) {
		t.Error("variants are the same")
	}
	b := newBench(t)
	p, err := b.program(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	r := &Report{}
	table := r.table("numbers", "what", "figure")
	table.row("one", 1.0)
	table.row("third", 1.0/3)
	r.below("small", 3, "ms", 5)
	r.atLeast("large", 3, "times", 20)
	r.leave("rust", errors.New("no cargo"))
	var b bytes.Buffer
	if err := r.Write(&b, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| one | 1 |", "| third | 0.33 |", "| small | below 5 ms | 3 ms | met |", "| large | at least 20 times | 3 times | **missed** |", "left out: rust: no cargo"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestStatistics(t *testing.T) {
	list := []float64{5, 1, 4, 2, 3}
	if median(list) != 3 || median(list[:4]) != 3 || percentile(list, 0.99) != 5 || percentile(list, 0) != 1 {
		t.Errorf("median %v, %v, percentiles %v, %v", median(list), median(list[:4]), percentile(list, 0.99), percentile(list, 0))
	}
	a, b := &took{rounds: []float64{2, 30, 4}}, &took{rounds: []float64{1, 10, 2}}
	if ratio(a, b) != 2 || added(a, b) != 2 {
		t.Errorf("ratio %v, added %v", ratio(a, b), added(a, b))
	}
}

// TestMissing: what can not be built is left out with its reason.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := newBench(t)
	if _, err := b.guest(t.Context(), "c/bench"); !errors.Is(err, errMissing) {
		t.Errorf("%v", err)
	}
}

func TestEchoedLength(t *testing.T) {
	if len(echoed) != 256 {
		t.Errorf("%d bytes", len(echoed))
	}
}
