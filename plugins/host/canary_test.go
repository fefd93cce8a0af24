package host

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

// outage has so many events of a version fail by no fault of its own.
func outage(t *testing.T, v *Version, events int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range events {
		if err := v.Pool.Do(ctx, &pool.Job{Record: hostapi.Record{Hook: hostapi.HookBefore}}); err == nil {
			t.Fatal("it was asked")
		}
	}
}

// TestCanaryIsJudgedByItsOwnTime: what was before it came makes it neither better nor worse,
// unless the live version is hardly asked beside it.
func TestCanaryIsJudgedByItsOwnTime(t *testing.T) {
	for name, c := range map[string]struct {
		word   string
		before func(live *Version)         // the canary comes
		after  func(live, canary *Version) // it has come
		bad    bool
	}{
		"an outage before": {"good", func(live *Version) { outage(t, live, 2000) }, func(live, canary *Version) {
			live.Pool.Events.Add(100)
			canary.Pool.Events.Add(100)
			outage(t, canary, 100)
		}, true},
		"an outage of both, and a long time before": {"good", func(live *Version) { live.Pool.Events.Add(1e6) },
			func(live, canary *Version) { outage(t, live, 100); outage(t, canary, 100) }, false},
		"an outage of the canary's":       {"good", func(live *Version) { live.Pool.Events.Add(1e6) }, func(_, canary *Version) { outage(t, canary, 100) }, true},
		"the live one hardly asked":       {"trap", func(live *Version) { live.Pool.Events.Add(1e6) }, func(live, _ *Version) { outage(t, live, 1) }, true},
		"hardly asked, and as bad before": {"good", func(live *Version) { outage(t, live, 2000) }, func(_, canary *Version) { outage(t, canary, 100) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := clocked(t, time.Now)
			defer h.Close()
			deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
			live := h.Find("acme", "filter").set.Load().live
			c.before(live)
			deploy(t, h, bundle(t, "filter", c.word, "# another"), Canary, 1)
			c.after(live, h.Find("acme", "filter").set.Load().canary)
			if c.word == "trap" {
				bring(h, "filter", 200)
			}
			deploy(t, h, bundle(t, "filter", c.word, "# another"), Canary, 0.9) // a share begins nothing anew
			deploy(t, h, bundle(t, "filter", "other", ""), Shadow, 0)           // nor does a shadow
			h.judge(t.Context())
			if s, _ := h.Status("acme", "filter"); (s.Canary == 0) != c.bad {
				t.Errorf("canary %d: %s", s.Canary, s.Why)
			}
		})
	}
}

// TestSlowCanary is one of which half, or a tenth, of the events take much longer than those
// of the live version do meanwhile.
func TestSlowCanary(t *testing.T) {
	const ms = time.Millisecond
	type times map[time.Duration]int
	quick := times{ms / 10: 1000}
	for name, c := range map[string]struct {
		before, live, canary times
		why                  string
	}{
		"all of it":                   {nil, quick, times{20 * ms: 100}, "half of its events"},
		"as fast":                     {nil, quick, times{ms / 10: 100}, ""},
		"three times that is nothing": {nil, quick, times{8 * ms / 10: 100}, ""},
		"four events of ten":          {nil, quick, times{ms / 10: 60, 190 * ms: 40}, "a tenth of its events"},
		"a few by a busy processor":   {nil, times{ms / 10: 970, 10 * ms: 30}, times{ms / 10: 85, 10 * ms: 15}, ""},
		"few":                         {nil, quick, times{ms / 10: 93, 10 * ms: 7}, ""},
		"both":                        {quick, times{20 * ms: 1000}, times{20 * ms: 100}, ""},
		"as the live one was before":  {times{20 * ms: 1000}, quick, times{20 * ms: 100}, "half of its events"},
		"the live one hardly asked":   {quick, times{20 * ms: 1}, times{20 * ms: 100}, "half of its events"},
		"not often enough":            {quick, nil, times{20 * ms: 40}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := clocked(t, time.Now)
			defer h.Close()
			see := func(v *Version, list times) {
				for d, n := range list {
					v.Pool.Events.Add(uint64(n))
					v.Pool.Took.ObserveMany(d, n)
				}
			}
			deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
			p := h.Find("acme", "filter")
			see(p.set.Load().live, c.before)
			deploy(t, h, bundle(t, "filter", "other", ""), Canary, 0.5)
			see(p.set.Load().live, c.live)
			see(p.set.Load().canary, c.canary)
			h.judge(t.Context())
			if s, _ := h.Status("acme", "filter"); (s.Canary == 0) != (c.why != "") || !strings.HasPrefix(s.Why, c.why) {
				t.Errorf("canary %d: %q, want %q", s.Canary, s.Why, c.why)
			}
		})
	}
}

// TestTimesAreOfEvents, however many are in a call.
func TestTimesAreOfEvents(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
	s := &h.Find("acme", "filter").set.Load().live.Pool.Stats
	for end := time.Now().Add(time.Minute); s.Batches.Load() == s.Events.Load(); { // none was in a call with another
		if time.Now().After(end) {
			t.Fatal("each was alone")
		}
		var users sync.WaitGroup
		for i := range 32 {
			users.Go(func() { ask(h, "filter", fmt.Sprint("user", i)) })
		}
		users.Wait()
	}
	if took := s.Took.Summary(); took.Count != s.Events.Load() {
		t.Errorf("%d times of %d events in %d calls", took.Count, s.Events.Load(), s.Batches.Load())
	}
}
