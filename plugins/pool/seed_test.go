package pool

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// seeds is the host of guests that are told their seeds.
type seeds struct {
	host
	told func() hostapi.Status
}

func (s *seeds) Metric(int, string, float64) hostapi.Status { return s.told() }

// seedsAre is a stateless pool of the guest of testdata/seed.c, whose input takes 64 KiB.
func seedsAre(t *testing.T, told func() hostapi.Status, change func(*Config, *Deps)) *Pool {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	limits := guest.Limits{Memory: 32 << 20, Fuel: 50e6, Timeout: time.Minute, Start: time.Minute, Stack: 1 << 20, Output: 256 << 10, HostCalls: 100, Logs: 4 << 10, Module: 16 << 20}
	code := builtCOf(t, "seed.c", "-DHEDDLE_INPUT=65536")
	program, err := e.Compile(t.Context(), code, guest.Plan{Host: &seeds{told: told}, Limits: limits, Granted: hostapi.Capabilities()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // behind the pool's
		if err := program.Close(); err != nil {
			t.Error(err)
		}
	})
	p, _ := newPool(t, func(c *Config, d *Deps) {
		c.Lanes, c.Keep, d.Program, d.Slots = 1, false, program, make(Slots, 1)
		change(c, d)
	})
	return p
}

// TestSeedsInTheCrowd: guests of the crowd are started, and told their seeds behind each
// call, where they run.
func TestSeedsInTheCrowd(t *testing.T) {
	c := NewCrowd(1, 4, time.Now)
	inside, outside := 0, 0
	p := seedsAre(t, func() hostapi.Status {
		if len(c.slots) == 1 {
			inside++
		} else {
			outside++
		}
		return hostapi.OK
	}, func(_ *Config, d *Deps) { d.Share = c.Share() })
	p.deps.Share.charge(time.Hour)
	inside, outside = 0, 0 // not of compiling it
	for _, action := range []string{"x", "x", "trap", "x"} {
		if err := p.Do(context.Background(), job(1, action, "{}")); (err == nil) != (action == "x") {
			t.Errorf("%s: %v", action, err)
		}
	}
	// Of two instances that have trapped, of the one before, of that one's calls, and
	// of what came behind.
	if inside != 6 || outside != 0 || len(c.slots) != 0 {
		t.Errorf("%d seeds in the crowd, %d outside of it", inside, outside)
	}
}

// TestSeedThatFailsIsPaidFor by the tenant, though no call follows.
func TestSeedThatFailsIsPaidFor(t *testing.T) {
	answer := hostapi.OK
	p := seedsAre(t, func() hostapi.Status { return answer }, func(_ *Config, d *Deps) { d.Share = NewCrowd(1, 4, time.Now).Share() })
	if err := p.Do(t.Context(), job(1, "x", "{}")); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"reset", "start"} {
		answer = hostapi.OK
		if part == "reset" {
			answer = hostapi.Denied
		}
		before := p.deps.Share.used.Load()
		l := &p.lanes[0]
		if part == "reset" {
			l.reset()
		} else {
			answer = hostapi.Denied
			if _, err := l.begin([]*Job{{ctx: t.Context()}}); err == nil {
				t.Error("it was started")
			}
		}
		if l.inst != nil || p.deps.Share.used.Load() <= before {
			t.Errorf("%s: nothing was paid", part)
		}
	}
}

// TestStartThatFailsOnce: what does not fit into one call is not put into one, also when
// it could not be known first what fits.
func TestStartThatFailsOnce(t *testing.T) {
	fails := 0
	p := seedsAre(t, func() hostapi.Status {
		if fails--; fails >= 0 {
			return hostapi.Denied
		}
		return hostapi.OK
	}, func(*Config, *Deps) {})
	bring := func() string {
		list := tasks(t, "one", "two", "three")
		for _, n := range list {
			n.Record.Payload = []byte(`{"text":"` + strings.Repeat("x", 40<<10) + `"}`)
		}
		bring(t, p, list, nil)
		for _, n := range list {
			if len(n.Actions) > 0 {
				t.Errorf("%s: the guest says %q", n.action, n.Actions[0].A)
			}
		}
		return reasons(list)
	}
	fails = 1
	if got := bring(); got != "one=start two=start three=start" || p.Batches.Load() != 0 {
		t.Errorf("%s in %d calls", got, p.Batches.Load())
	}
	if got := bring(); got != "one= two= three=" || p.Batches.Load() != 3 {
		t.Errorf("%s in %d calls", got, p.Batches.Load())
	}
	fails = 1 // behind the first
	if got := bring(); got != "one= two= three=" || p.Batches.Load() != 6 || p.Restarts.Load() != 2 {
		t.Errorf("%s in %d calls on %d instances", got, p.Batches.Load(), p.Restarts.Load())
	}
}
