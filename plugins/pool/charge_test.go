package pool

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/wasm"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

// work takes the processor for so long.
func work(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; {
		for range 1000 { // nothing
		}
	}
}

// still is a clock that forgives nothing.
func still() time.Time { return time.Unix(0, 0) }

// looks is a checker that does something.
type looks func(j *Job) error

func (l looks) Check(_ context.Context, j *Job) error { return l(j) }

// TestWhatTheNodeDoesIsPaid: what the node does with what a guest wants is its tenant's to
// pay, whether it is done or refused, and by the clock: the guest had hardly any fuel for it.
func TestWhatTheNodeDoesIsPaid(t *testing.T) {
	const takes = 50 * time.Millisecond
	for name, c := range map[string]struct {
		action string
		check  error
		reads  bool // of the store take long
		pays   bool
	}{
		"it looks at it":            {action: "refuse", pays: true},
		"it refuses it":             {action: "refuse", check: &Failure{Reason: ReasonAction}, pays: true},
		"it compares what was read": {action: "put", reads: true, pays: true},
		"the guest wants nothing":   {action: "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			commits := false
			store := &celltest.Store{Reads: func(context.Context, string) error {
				if c.reads && commits {
					work(takes)
				}
				return nil
			}}
			part, err := kv.New(store, nil).Open(t.Context(), "acme", "p", 0)
			if err != nil {
				t.Fatal(err)
			}
			m := &meddler{meddle: func() {}}
			p, _ := newPoolOf(t, builtC(t), func(cfg *Config, d *Deps) {
				cfg.Lanes, d.Reach, d.KV, d.Share = 1, m, part, NewCrowd(1, 4, still).Share()
			})
			do := func() {
				j := job(1, c.action, "{}")
				j.Checker = looks(func(*Job) error { work(takes); return c.check })
				_ = p.Do(t.Context(), j)
			}
			if do(); c.action == "put" { // after its last read of the call
				m.meddle = func() { commits = true }
			}
			before := time.Duration(p.deps.Share.used.Load())
			do()
			if paid := time.Duration(p.deps.Share.used.Load()) - before; c.pays && paid < takes || !c.pays && paid >= takes {
				t.Errorf("%v were paid", paid)
			}
		})
	}
}

// TestChecksInTheCrowd: what a guest of the crowd wants is looked at where it runs, and the
// store does not make the others wait there.
func TestChecksInTheCrowd(t *testing.T) {
	c := NewCrowd(1, 4, time.Now)
	p, _ := newPoolOf(t, builtC(t), func(_ *Config, d *Deps) { d.Share = c.Share() })
	p.deps.Share.charge(time.Hour)
	looked := 0
	j := job(1, "refuse", "{}")
	j.Checker = looks(func(*Job) error { looked += len(c.slots); return nil })
	if err := p.Do(t.Context(), j); err != nil || looked != 1 || len(c.slots) != 0 {
		t.Errorf("%v: looked at %d times in the crowd", err, looked)
	}
}

// TestWritesInTheCrowd: what a guest of the crowd has read is compared where it runs.
func TestWritesInTheCrowd(t *testing.T) {
	c, inside, outside := NewCrowd(1, 4, time.Now), 0, 0
	p, _, store := stored(t, 0, func(_ *Config, d *Deps) { d.Share = c.Share() })
	store.Reads = func(context.Context, string) error {
		if len(c.slots) == 1 {
			inside++
		} else {
			outside++
		}
		return nil
	}
	p.deps.Share.charge(time.Hour)
	if err := p.Do(t.Context(), job(1, "put", "{}")); err != nil || inside != 4 || outside != 0 || len(c.slots) != 0 {
		t.Errorf("%v: %d reads in the crowd, %d outside of it", err, inside, outside)
	}
}

// TestWaitingOutsideOfTheCrowd: writes that wait for a call which runs alone do not keep it
// from its turn.
func TestWaitingOutsideOfTheCrowd(t *testing.T) {
	c := NewCrowd(1, 4, time.Now)
	p, _, _ := stored(t, 0, func(_ *Config, d *Deps) { d.Share = c.Share() })
	p.deps.Share.charge(time.Hour)
	var other kv.Overlay
	other.Begin(t.Context(), p.deps.KV)
	if err := p.deps.KV.Alone(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Do(t.Context(), job(1, "put", "{}")) }() // ends with Together
	until(t, "it waits, and nobody is in the crowd", func() bool { return p.Batches.Load() == 1 && len(c.slots) == 0 })
	p.deps.KV.Together(&other)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStartIsACall: a guest that has to initialise itself for an event has the time of a
// call, and that of the event, and the tenant pays for it.
func TestStartIsACall(t *testing.T) {
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(0)
	limits := guest.Limits{Memory: 1 << 20, Fuel: 50e6, Timeout: 30 * time.Millisecond, Start: time.Hour, Stack: 1 << 20, Output: 256 << 10, HostCalls: 100, Logs: 4 << 10, Module: 16 << 20}
	late := guesttest.Code{}.With(wasm.OpDataDrop, 0).Call(0).Op(wasm.Op(0xa7)).When(guesttest.Code{}.Forever(nil)).I32(0) // 0xa7: i32.wrap_i64
	code := guesttest.Guest{Imports: []string{"now"}, Init: late, Change: func(m *wasm.Module) { m.HasCount = true }}.Module()
	program, err := e.Compile(t.Context(), code, guest.Plan{Host: &host{}, Limits: limits, Granted: hostapi.Capabilities(), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // behind the pool's
		if err := program.Close(); err != nil {
			t.Error(err)
		}
	})
	p, r := newPool(t, func(c *Config, d *Deps) {
		c.Lanes, c.Keep, d.Program, d.Share = 1, false, program, NewCrowd(1, 4, still).Share()
	})
	if err := p.Do(t.Context(), job(1, "x", "{}")); err != nil {
		t.Fatal(err)
	}
	at = time.UnixMilli(1)
	before := p.deps.Share.used.Load()
	if got := reason(p.Do(t.Context(), job(1, "x", "{}"))); got != ReasonStart || !strings.Contains(r.text(), "a call may last 30ms") {
		t.Errorf("%q: %s", got, r.text())
	}
	if paid := time.Duration(p.deps.Share.used.Load() - before); paid < limits.Timeout {
		t.Errorf("%v were paid", paid)
	}
}

// TestRefusedActionIsATry: an event whose actions are refused tells the breaker that the
// guest runs well.
func TestRefusedActionIsATry(t *testing.T) {
	now := time.Now()
	p, _ := newPoolOf(t, builtC(t), func(c *Config, d *Deps) {
		c.BreakFrom, c.BreakFor, d.Reach, d.Now = 1, time.Second, &meddler{meddle: func() {}}, func() time.Time { return now }
	})
	if got := reason(p.Do(t.Context(), job(1, "trap", "{}"))); got != "code" || !p.Broken() {
		t.Fatal(got)
	}
	now = now.Add(time.Hour)
	j := job(1, "refuse", "{}")
	j.Checker = looks(func(*Job) error { return &Failure{Reason: ReasonAction} })
	if got := reason(p.Do(t.Context(), j)); got != ReasonAction || p.Broken() {
		t.Errorf("%q, and the breaker is open: %v", got, p.Broken())
	}
}
