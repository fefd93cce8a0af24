package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is the Go guest of package guest's tests, compiled once.
var built = sync.OnceValues(func() ([]byte, error) { return guesttest.Go(filepath.Join("..", "guest", "testdata", "pass")) })

// reach keeps what guests log.
type reach struct {
	mu      sync.Mutex
	lines   []string
	metrics []string
}

func (r *reach) Line(_ int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, text)
}

func (r *reach) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}
func (r *reach) Measures(int, string, float64) hostapi.Status { return hostapi.OK }
func (r *reach) Metric(_ int, name string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = append(r.metrics, fmt.Sprint(name, " ", value))
}
func (r *reach) Secret(string) ([]byte, hostapi.Status) { return nil, hostapi.NotFound }
func (r *reach) Lookup(context.Context, hostapi.Lookup, string) ([]byte, hostapi.Status) {
	return nil, hostapi.NotFound
}

// engine is shared, since it keeps compiled code.
var engine = sync.OnceValues(func() (*guest.Engine, error) {
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		return nil, err
	}
	return guest.New(guest.Config{Cache: cache})
})

func newPool(t testing.TB, change func(*Config, *Deps), bounds ...func(*guest.Limits)) (*Pool, *reach) {
	t.Helper()
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return newPoolOf(t, code, change, bounds...)
}

func newPoolOf(t testing.TB, code []byte, change func(*Config, *Deps), bounds ...func(*guest.Limits)) (*Pool, *reach) {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	limits := guest.Limits{
		Memory: 32 << 20, Fuel: 50e6, Timeout: 10 * time.Second, Start: time.Minute, Stack: 1 << 20, Output: 256 << 10, HostCalls: 100, Logs: 4 << 10, Module: 16 << 20,
	}
	for _, bound := range bounds {
		bound(&limits)
	}
	program, err := programs.of(e, code, limits)
	if err != nil {
		t.Fatal(err)
	}
	r := &reach{}
	cfg := Config{Lanes: 2, Queue: 1000, Keep: true, Calls: 1e6, Memory: 24 << 20, LogsPerS: 1000, BreakFor: time.Minute, BreakFrom: 1000}
	deps := Deps{Program: program, Reach: r, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg, &deps)
	}
	p := New(cfg, deps)
	t.Cleanup(func() {
		p.Close()
		if n := program.Instances(); n != 0 {
			t.Errorf("%d instances are left", n)
		}
	})
	return p, r
}

// programs are compiled once for all tests: with the race detector it takes seconds.
var programs compiled

type compiled struct {
	mu  sync.Mutex
	all map[string]*guest.Program
}

func (c *compiled) of(e *guest.Engine, code []byte, limits guest.Limits) (p *guest.Program, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(len(code), limits)
	if p = c.all[key]; p != nil {
		return p, nil
	}
	if p, err = e.Compile(context.Background(), code, guest.Plan{Host: &host{}, Limits: limits, Granted: hostapi.Capabilities()}); err != nil {
		return nil, err
	}
	if c.all == nil {
		c.all = map[string]*guest.Program{}
	}
	c.all[key] = p
	return p, nil
}

func job(key uint64, action, payload string) *Job {
	return &Job{Key: key, Record: hostapi.Record{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: fmt.Sprint("user", key), Action: action, Payload: []byte(payload), Whole: len(payload),
	}}
}

// TestEachGetsItsOwn has many goroutines bring events at once, some of which are
// poison.
func TestEachGetsItsOwn(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) {
			p, r := newPool(t, func(c *Config, _ *Deps) { c.Keep = keep })
			var wg sync.WaitGroup
			var failed atomic.Int32
			const workers, each = 40, 50
			for w := range workers {
				wg.Go(func() {
					for i := range each {
						payload, action := fmt.Sprintf(`{"n":"%d/%d"}`, w, i), "echo"
						if w == 7 && i%10 == 3 {
							action = "panic"
						}
						j := job(uint64(w), action, payload)
						err := p.Do(context.Background(), j)
						var f *Failure
						switch {
						case action == "panic":
							if !errors.As(err, &f) || f.Reason != "code" {
								t.Errorf("the poison: %v", err)
							}
							failed.Add(1)
						case err != nil:
							t.Errorf("a neighbour: %v", err)
						case len(j.Actions) != 1 || string(j.Actions[0].A) != payload:
							t.Errorf("%s got %+v", payload, j.Actions)
						}
					}
				})
			}
			wg.Wait()
			if failed.Load() != each/10 || !strings.Contains(r.text(), "failed (code): unreachable") {
				t.Errorf("%d have failed, the log: %s", failed.Load(), r.text())
			}
			t.Logf("%d events in %d batches, %d instances", p.Events.Load(), p.Batches.Load(), p.Restarts.Load())
		})
	}
}

func TestKept(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"kept":            {func(*Config) {}, "12345"},
		"begun each time": {func(c *Config) { c.Keep = false }, "11111"},
		"recycled":        {func(c *Config) { c.Calls = 2 }, "12121"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, func(c *Config, _ *Deps) { tc.change(c) })
			got := ""
			for range 5 {
				j := job(1, "count", "{}")
				if err := p.Do(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				got += string(j.Actions[0].A)
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	now := time.Now()
	p, _ := newPool(t, func(c *Config, d *Deps) {
		c.BreakFrom, c.BreakFor = 3, time.Second
		d.Now = func() time.Time { return now }
	})
	do := func(action string) string {
		err := p.Do(t.Context(), job(1, action, "{}"))
		var f *Failure
		if errors.As(err, &f) {
			return f.Reason
		}
		return ""
	}
	for i, step := range []struct {
		action, want string
		later        time.Duration
	}{
		{"panic", "code", 0}, {"panic", "code", 0}, {"echo", "", 0}, // in a row it is none
		{"panic", "code", 0}, {"panic", "code", 0}, {"panic", "code", 0},
		{"echo", ReasonBroken, 0}, {"echo", ReasonBroken, 900 * time.Millisecond},
		{"panic", "code", 200 * time.Millisecond}, // it is tried
		{"echo", ReasonBroken, time.Second}, {"echo", "", 1100 * time.Millisecond}, {"echo", "", 0},
	} {
		now = now.Add(step.later)
		if got := do(step.action); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	if p.Opened.Load() == 0 || p.Failed.Counts()[ReasonBroken] != 3 {
		t.Errorf("opened %d times, %v", p.Opened.Load(), p.Failed.Counts())
	}
}

// TestQueue has a guest spin in the only lane: those who wait are bounded.
func TestQueue(t *testing.T) {
	p, _ := newPool(t, func(c *Config, _ *Deps) { c.Lanes, c.Queue = 1, 2 }, func(l *guest.Limits) { l.Fuel, l.Timeout = 1e15, 2*time.Second })
	var wg sync.WaitGroup
	busy := make(chan string, 10)
	wg.Go(func() { busy <- reason(p.Do(context.Background(), job(1, "spin", "{}"))) })
	for p.lanes[0].state() != "1 0" {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		wg.Go(func() { busy <- reason(p.Do(context.Background(), job(1, "echo", "{}"))) })
	}
	for p.lanes[0].state() != "1 2" {
		time.Sleep(time.Millisecond)
	}
	if got := reason(p.Do(t.Context(), job(1, "echo", "{}"))); got != ReasonBusy {
		t.Errorf("%q", got)
	}
	wg.Wait()
	close(busy)
	got := map[string]int{}
	for r := range busy {
		got[r]++
	}
	if got["deadline"] != 1 || got[""] != 2 {
		t.Errorf("%v", got)
	}
}

func reason(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Reason
	}
	return ""
}

func (l *lane) state() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := 0
	if l.busy {
		busy = 1
	}
	return fmt.Sprint(busy, " ", len(l.queue))
}

func TestIdle(t *testing.T) {
	now := time.Now()
	p, _ := newPool(t, func(_ *Config, d *Deps) { d.Now = func() time.Time { return now } })
	if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
		t.Fatal(err)
	}
	p.Idle(time.Second, time.Minute)
	if p.deps.Program.Instances() != 1 {
		t.Error("ended too early")
	}
	now = now.Add(time.Hour)
	p.Idle(time.Second, time.Minute)
	if p.deps.Program.Instances() != 0 {
		t.Error("not ended")
	}
	if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkDo(b *testing.B) {
	for _, keep := range []bool{true, false} {
		p, _ := newPool(b, func(c *Config, _ *Deps) { c.Keep = keep })
		b.Run(fmt.Sprint("keep=", keep, "/alone"), func(b *testing.B) {
			b.ReportAllocs()
			j := job(1, "nothing", `{"text":"x"}`)
			for b.Loop() {
				if err := p.Do(b.Context(), j); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("keep=", keep, "/crowd"), func(b *testing.B) {
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				j := job(1, "nothing", `{"text":"x"}`)
				for pb.Next() {
					_ = p.Do(context.Background(), j)
				}
			})
		})
	}
}
