package guest

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// built is the Go guest of testdata/pass, compiled once for all tests.
var built = sync.OnceValues(func() ([]byte, error) { return guesttest.Go(filepath.Join("testdata", "pass")) })

// recorder is a host that keeps what is logged.
type recorder struct {
	Host
	lines []string
}

func (r *recorder) Log(_ int, text string) { r.lines = append(r.lines, text) }

func limits() Limits {
	return Limits{
		Memory: 32 << 20, Fuel: 50e6, Timeout: 10 * time.Second, Start: 10 * time.Second, Stack: 1 << 20, Output: 256 << 10,
		HostCalls: 100, Logs: 4 << 10, Module: 16 << 20,
	}
}

// engine is shared, since it keeps compiled code.
var engine = sync.OnceValues(func() (*Engine, error) {
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		return nil, err
	}
	return New(Config{Cache: cache})
})

// compiled is a program with the config, once for all tests: with the race detector it
// takes seconds.
var compiled = map[string]func() (*Program, error){"": compiling(""), "seed": compiling("seed")}

func compiling(config string) func() (*Program, error) {
	return sync.OnceValues(func() (*Program, error) {
		code, err := built()
		if err != nil {
			return nil, err
		}
		e, err := engine()
		if err != nil {
			return nil, err
		}
		return e.Compile(context.Background(), code, Plan{Limits: limits(), Host: &recorder{}, Config: []byte(config), Now: time.Now})
	})
}

// program is one whose plan the test may change: of what is not compiled in. It is the
// test's until it ends.
func program(t testing.TB, config string, change func(*Plan)) *Program {
	t.Helper()
	p, err := compiled[config]()
	if err != nil {
		t.Fatal(err)
	}
	before := p.plan
	if change != nil {
		change(&p.plan)
	}
	t.Cleanup(func() {
		p.plan = before
		if n := p.Instances(); n != 0 {
			t.Errorf("%d instances are left", n)
		}
	})
	return p
}

// TestClose has a program of its own.
func TestClose(t *testing.T) {
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(t.Context(), code, Plan{Limits: limits(), Host: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i.Close()
	if err := errors.Join(p.Close(), e.Close()); err != nil || p.Instances() != 0 {
		t.Errorf("%v, %d instances are left", err, p.Instances())
	}
}

func instance(t testing.TB, p *Program) *Instance {
	t.Helper()
	i, err := p.New(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func record(action, payload string) hostapi.Record {
	return hostapi.Record{Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: "ann", Action: action, Payload: []byte(payload), Whole: len(payload)}
}

// TestMoreThanFits fails, and is nobody's cost.
func TestMoreThanFits(t *testing.T) {
	i := instance(t, program(t, "", nil))
	call := Call{Host: &recorder{}, Records: []hostapi.Record{record("nothing", ""), record("nothing", strings.Repeat("x", int(i.arenas.inCap)))}}
	out := Output{Usage: Usage{Fuel: 1}}
	var trap *Trap
	if n, err := i.Fits(call.Records), i.Run(&call, &out); n != 1 || !errors.As(err, &trap) || trap.Reason != TrapHost || out.Usage != (Usage{}) {
		t.Errorf("%d fit: %v, %+v", n, err, out.Usage)
	}
}

func TestRun(t *testing.T) {
	p := program(t, "", nil)
	i := instance(t, p)
	if !p.Captured() {
		t.Error("a Go guest was not captured")
	}
	h := &recorder{}
	var out Output
	call := Call{Host: h, Records: []hostapi.Record{record("echo", `{"a":1}`), record("nothing", ""), record("log", "hello"), record("echo", `{"b":2}`)}}
	if n := i.Fits(call.Records); n != 4 {
		t.Errorf("%d records fit", n)
	}
	if err := i.Run(&call, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Actions) != 2 || string(out.Actions[1].A) != `{"b":2}` || out.Actions[1].Record != 3 || out.Actions[1].Kind != hostapi.Replace {
		t.Errorf("%+v", out.Actions)
	}
	if len(h.lines) != 1 || h.lines[0] != "hello" {
		t.Error(h.lines)
	}
	if u := out.Usage; u.Fuel < 100 || u.Fuel > 1e6 || u.HostCalls != 1 || u.Time <= 0 || u.In < 4*hostapi.HeaderSize || u.Out < 2*hostapi.ActionSize {
		t.Errorf("%+v", u)
	}
}

func TestResetForgets(t *testing.T) {
	i := instance(t, program(t, "", nil))
	var out Output
	for range 3 {
		call := Call{Host: &recorder{}, Records: []hostapi.Record{record("count", "")}}
		if err := i.Run(&call, &out); err != nil {
			t.Fatal(err)
		}
		if got := string(out.Actions[0].A); got != "1" {
			t.Errorf("it is call %s", got)
		}
		if err := i.Reset(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHostileGuests(t *testing.T) {
	p := program(t, "", nil)
	for name, tc := range map[string]struct {
		reason Reason
		why    string
		logs   string
	}{
		"spin":    {TrapFuel, "out of fuel", ""},
		"recurse": {TrapFuel, "out of fuel", ""}, // Go's stack is in its memory, and bounded like it
		"panic":   {TrapCode, "gave up", "panic: as asked for"},
		"eat":     {TrapCode, "gave up", "out of memory"},
		"flood":   {TrapCalls, "too many calls", ""},
		"lie":     {TrapOutput, "arena", ""},
		"status":  {TrapStatus, "failed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := instance(t, p)
			h := &recorder{}
			var out Output
			err := i.Run(&Call{Host: h, Records: []hostapi.Record{record(name, "")}}, &out)
			var trap *Trap
			if !errors.As(err, &trap) || trap.Reason != tc.reason || !strings.Contains(trap.Why, tc.why) {
				t.Errorf("%v %+v\n%q", err, trap, h.lines)
			}
			if text := strings.Join(h.lines, "\n"); tc.logs != "" && !strings.Contains(text, tc.logs) {
				t.Errorf("its log does not say %q: %q", tc.logs, text)
			}
			if i.CanReset() {
				t.Error("it would be used again")
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	const timeout = 2 * time.Second
	i := instance(t, program(t, "", func(p *Plan) { p.Limits.Fuel, p.Limits.Timeout = 1e12, timeout }))
	var out Output
	began := time.Now()
	collected := make(chan time.Time, 1)
	go func() { // collections beside a guest that spins: one of them begins while it does
		for range 3 {
			runtime.GC()
		}
		collected <- time.Now()
	}()
	err := i.Run(&Call{Host: &recorder{}, Records: []hostapi.Record{record("spin", "")}}, &out)
	ended := time.Now()
	var trap *Trap
	if !errors.As(err, &trap) || trap.Reason != TrapDeadline || ended.Sub(began) < timeout {
		t.Errorf("%v after %v", err, ended.Sub(began))
	}
	// Without safepoints the collector waits until the guest has ended.
	if at := <-collected; !at.Before(ended) {
		t.Errorf("three collections ended %v behind the guest", at.Sub(ended))
	}
	t.Logf("ended after %v of %v", ended.Sub(began), timeout)
}

func BenchmarkRun(b *testing.B) {
	p := program(b, "", nil)
	for _, tc := range []struct {
		name, action string
		n            int
	}{{"nothing, 1", "nothing", 1}, {"nothing, 64", "nothing", 64}, {"echo 256 bytes, 1", "echo", 1}} {
		b.Run(tc.name, func(b *testing.B) {
			i := instance(b, p)
			call := Call{Host: &recorder{}}
			for range tc.n {
				call.Records = append(call.Records, record(tc.action, strings.Repeat("x", 256)))
			}
			var out Output
			b.ReportAllocs()
			for b.Loop() {
				if err := i.Run(&call, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tc.n), "ns/event")
		})
	}
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			i, err := p.New(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			i.Close()
		}
	})
	b.Run("reset", func(b *testing.B) {
		i := instance(b, p)
		call := Call{Host: &recorder{}, Records: []hostapi.Record{record("nothing", "")}}
		var out Output
		for b.Loop() {
			if err := i.Run(&call, &out); err != nil {
				b.Fatal(err)
			}
			if err := i.Reset(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("private", func(b *testing.B) {
		i := instance(b, p)
		call := Call{Host: &recorder{}, Records: []hostapi.Record{record("nothing", "")}}
		var out Output
		for b.Loop() {
			if err := i.Run(&call, &out); err != nil {
				b.Fatal(err)
			}
		}
		n, _ := i.Private()
		b.ReportMetric(float64(n), "private-bytes")
	})
}
