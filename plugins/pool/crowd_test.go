package pool

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/guest"
)

// TestShare: who is in the crowd, by what was used and what time has gone by since.
func TestShare(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCrowd(1, 4, func() time.Time { return now }) // a second each second for all
	s := c.Share()
	c.Tenants.Store(10) // 100 ms a second for each
	for i, step := range []struct {
		later, used time.Duration
		heavy       bool
	}{
		{0, 50 * time.Millisecond, false},
		{0, 50 * time.Millisecond, false},
		{0, time.Millisecond, true},
		{10 * time.Millisecond, 0, false},
		{time.Hour, 100 * time.Millisecond, false}, // what was not used is not saved up
		{0, 101 * time.Millisecond, true},
		{time.Second, 99 * time.Millisecond, false},
		{time.Second, time.Second, true}, // a long call
		{8 * time.Second, 0, true},
		{time.Second + 50*time.Millisecond, 0, false},
		{time.Second, time.Hour, true}, // more than is remembered
		{59 * time.Second, 0, true},
		{2 * time.Second, 0, false},
		{time.Minute, 10 * time.Millisecond, false},
	} {
		now = now.Add(step.later)
		if s.charge(step.used); s.Heavy() != step.heavy {
			t.Errorf("step %d: heavy %v, %v are used", i, !step.heavy, time.Duration(s.used.Load()))
		}
	}
	var none *Share
	if none.charge(time.Hour); none.Heavy() {
		t.Error("nobody is counted")
	}
}

// TestCost: who did little is not charged for the time in which others ran.
func TestCost(t *testing.T) {
	if got := cost(time.Second, 1000); got != 50*time.Microsecond {
		t.Error(got)
	}
	if got := cost(time.Millisecond, 1e6); got != time.Millisecond {
		t.Error(got)
	}
}

// TestLateInTheCrowd: an event whose time is over before its tenant's turn is not run, and
// neither instance nor turn are lost.
func TestLateInTheCrowd(t *testing.T) {
	c := NewCrowd(1, 4, time.Now)
	p, _ := newPool(t, func(cfg *Config, d *Deps) { cfg.Lanes, d.Share = 1, c.Share() })
	do := func(wait time.Duration) string {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		return reason(p.Do(ctx, job(1, "count", "{}")))
	}
	if got := do(time.Minute); got != "" {
		t.Fatal(got)
	}
	p.deps.Share.charge(time.Hour)
	c.slots <- struct{}{} // somebody else's
	if got := do(20 * time.Millisecond); got != ReasonBusy || p.Batches.Load() != 1 || c.Waited.Load() != 1 {
		t.Errorf("%q in %d calls", got, p.Batches.Load())
	}
	<-c.slots
	if got := do(time.Minute); got != "" || p.Restarts.Load() != 1 || len(c.slots) != 0 {
		t.Errorf("%q, %d instances", got, p.Restarts.Load())
	}
}

// TestNeighboursInTheCrowd: of events that wait for their turn together, those whose time
// is over are told at once, whoever leads; and the others are not ones that are run again.
func TestNeighboursInTheCrowd(t *testing.T) {
	for name, actions := range map[string][]string{"who leads": {"nothing", "trap"}, "another": {"trap", "nothing"}} {
		t.Run(name, func(t *testing.T) {
			gone := slices.Index(actions, "nothing")
			c := NewCrowd(1, 4, time.Now)
			p, _, _ := stored(t, 0, func(_ *Config, d *Deps) { d.Share = c.Share() })
			if err := p.Do(t.Context(), job(1, "nothing", "{}")); err != nil {
				t.Fatal(err)
			}
			p.deps.Share.charge(time.Hour)
			c.slots <- struct{}{} // somebody else's
			list := tasks(t, actions...)
			var over context.CancelFunc
			list[1].ctx, over = context.WithTimeout(list[1].ctx, time.Hour)
			defer over()
			before, waited := p.Batches.Load(), func(n uint64) { until(t, "waiting in the crowd", func() bool { return c.Waited.Load() == n }) }
			done := make(chan struct{})
			go func() { // ends with the last of the list
				defer close(done)
				bring(t, p, list, nil)
			}()
			waited(1)
			list[gone].cancel()
			waited(2)
			if gone > 0 {
				until(t, "it is told", func() bool { return p.Failed.Counts()[ReasonBusy] == 1 })
			}
			<-c.slots
			<-done
			// The one that traps is run, and then once more: a call that traps as one that is
			// run again fails at once.
			if reason(list[gone].err) != ReasonBusy || reason(list[1-gone].err) != "code" || p.Batches.Load()-before != 2 {
				t.Errorf("%s in %d calls", reasons(list), p.Batches.Load()-before)
			}
		})
	}
}

// TestManySpin: however many tenants' plugins spin on every event, they have together what
// one may have, and a tenant's beside them waits for none of them. Time is counted in
// calls of those that spin, each of which ends at its deadline: that is the same on slow
// machines.
func TestManySpin(t *testing.T) {
	const (
		tenants = 6
		timeout = 20 * time.Millisecond
		lasts   = 100 * timeout
	)
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	c := NewCrowd(1, 1, time.Now)
	c.Tenants.Store(tenants + 1)
	good, _ := newPool(t, func(_ *Config, d *Deps) { d.Share, d.Slots = c.Share(), make(Slots, 2) })
	first, _ := newPoolOf(t, code, func(cfg *Config, d *Deps) { cfg.BreakFrom, d.Share, d.Slots = 0, c.Share(), make(Slots, 2) },
		func(l *guest.Limits) { l.Fuel, l.Timeout = 1e15, timeout })
	spinning := []*Pool{first}
	for range tenants - 1 { // of the same program
		deps := first.deps
		deps.Share, deps.Slots = c.Share(), make(Slots, 2)
		p := New(first.cfg, deps)
		t.Cleanup(p.Close)
		spinning = append(spinning, p)
	}
	calls := func() (n uint64) {
		for _, p := range spinning {
			n += p.Batches.Load()
		}
		return n
	}
	heavy := func() bool {
		for _, p := range spinning {
			if !p.deps.Share.Heavy() {
				return false
			}
		}
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	for _, p := range spinning {
		for key := range 2 * len(p.lanes) { // ended by cancel
			tasks.Go(func() {
				for ctx.Err() == nil {
					if got := reason(p.Do(ctx, job(uint64(key), "spin", "{}"))); got != "deadline" && got != ReasonBusy {
						t.Errorf("a guest that spins ended otherwise: %q", got)
					}
				}
			})
		}
	}
	until(t, "they are known", heavy)
	before, began := calls(), time.Now()
	var most, events uint64
	pace := time.NewTicker(timeout / 10)
	defer pace.Stop()
	for time.Since(began) < lasts {
		was := calls()
		if got := reason(good.Do(t.Context(), job(events, "nothing", "{}"))); got != "" {
			t.Fatalf("the one that does not spin: %q", got)
		}
		most = max(most, calls()-was)
		events++
		<-pace.C
	}
	spent := time.Since(began)
	n := calls() - before
	cancel()
	tasks.Wait()
	t.Logf("%d calls of those that spin, %d events beside them, at most %d calls in the time of one; %d have waited", n, events, most, c.Waited.Load())
	// One at a time, and what all may use beside that: a quarter of one processor's time.
	if limit := uint64(spent/timeout)*5/4 + 4*tenants; n > limit {
		t.Errorf("%d calls of those that spin in %v, want at most %d", n, spent, limit)
	}
	if most > 3 {
		t.Errorf("an event waited for %d calls of others'", most)
	}
	if good.deps.Share.Heavy() {
		t.Error("the one that does not spin is in the crowd: " + fmt.Sprint(time.Duration(good.deps.Share.used.Load())))
	}
}

// BenchmarkShare is what counting costs a call: of a tenant outside of the crowd, and of
// one in it that nobody else is in.
func BenchmarkShare(b *testing.B) {
	for name, used := range map[string]time.Duration{"outside": 0, "inside": time.Hour} {
		b.Run(name, func(b *testing.B) {
			s := NewCrowd(2, 4, time.Now).Share()
			s.charge(used)
			jobs := []*Job{{ctx: context.Background()}}
			for b.Loop() {
				crowded, err := s.enter(jobs)
				if err != nil {
					b.Fatal(err)
				}
				if crowded {
					s.leave()
				}
				s.charge(100 * time.Nanosecond)
			}
		})
	}
}
