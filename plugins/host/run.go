package host

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/pool"
)

const (
	judgeEvery  = time.Second
	restEvery   = time.Second
	quietFor    = 500 * time.Millisecond
	sweepEvery  = time.Minute
	shadowTasks = 2 // goroutines
	restFor     = time.Second
)

// Run keeps plugins in order until ctx ends, then ends them.
func (h *Host) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	for range shadowTasks {
		tasks.Go(func() { h.mirror(ctx) }) // ends with ctx
	}
	tasks.Go(func() { h.judges(ctx) }) // likewise
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	last := ""
	for swept := time.Now(); ; {
		select {
		case <-ctx.Done():
			tasks.Wait()
			h.Close()
			return nil
		case <-tick.C:
			last = h.rest(last, restFor)
			if time.Since(swept) >= sweepEvery {
				swept = time.Now()
				if err := h.deps.Engine.Trim(); err != nil {
					h.deps.Log.Warn("the folder of compiled plugins could not be trimmed", "error", err)
				}
				if _, err := h.deps.KV.Sweep(ctx); err != nil && ctx.Err() == nil {
					h.deps.Log.Warn("expired keys of plugins could not be removed", "error", err)
				}
			}
		}
	}
}

func (h *Host) mirror(ctx context.Context) {
	for {
		n, done, ok := h.shadows.Take(ctx)
		if !ok {
			break
		}
		h.compare(ctx, n)
		done()
	}
	for _, n := range h.shadows.Rest() {
		n.version.Release()
	}
}

// rest lets idle guests tidy up, and ends those that nobody calls. It begins behind the
// plugin where it ended the last time, which is what it returns, and begins with no
// other one when its time is over: guests may take long to tidy up.
func (h *Host) rest(last string, most time.Duration) string {
	all := h.All()
	from := slices.IndexFunc(all, func(p *Plugin) bool { return place(p) > last })
	if from < 0 {
		from = 0
	}
	began := h.deps.Now()
	for i := range all {
		p := all[(from+i)%len(all)]
		for _, v := range p.Versions() {
			v.Pool.Idle(quietFor, h.cfg.Idle)
			v.Release()
		}
		if last = place(p); h.deps.Now().Sub(began) >= most {
			break
		}
	}
	return last
}

// place is where in All a plugin stands.
func place(p *Plugin) string { return p.Tenant + "\x00" + p.Name }

// judges judges canaries until ctx ends.
func (h *Host) judges(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.judge(ctx)
		}
	}
}

// judge takes canaries back that do worse than the live version.
func (h *Host) judge(ctx context.Context) {
	for _, p := range h.All() {
		in := p.Versions()
		if live, canary := in[Live], in[Canary]; live != nil && canary != nil {
			if why := h.cfg.Canary.verdict(live, canary); why != "" {
				h.takeBack(ctx, p, canary.Number, why)
			}
		}
		for _, v := range in {
			v.Release()
		}
	}
}

// verdict is why a canary is to be taken back, "" if it is not.
func (c *CanaryConfig) verdict(live, canary *Version) string {
	failed, seen := tally(canary)
	if seen < c.Events {
		return ""
	}
	failedLive, seenLive := tally(live)
	bad, usual := part(failed, seen), part(failedLive, seenLive)
	if bad > usual+c.Failed {
		return fmt.Sprintf("it fails on %.1f%% of its events, the live version on %.1f%%", 100*bad, 100*usual)
	}
	its, usually := canary.Pool.Took.Summary(), live.Pool.Took.Summary()
	slow, was := its.Quantile(0.5), usually.Quantile(0.5)
	if slow > time.Millisecond && live.Pool.Events.Load() >= c.Events && float64(slow) > c.Slower*float64(was) {
		return fmt.Sprintf("its median call lasts %v, that of the live version %v", slow, was)
	}
	return ""
}

// tally counts a version's events. Those that its breaker keeps away are among them, and
// have failed: of a version that fails on everything it lets hardly any through.
func tally(v *Version) (failed, seen uint64) {
	seen = v.Pool.Events.Load()
	for reason, n := range v.Pool.Failed.Counts() {
		failed += n
		if reason == pool.ReasonBroken {
			seen += n
		}
	}
	return failed, seen
}

func part(n, of uint64) float64 {
	return min(1, float64(n)/float64(max(1, of)))
}

// takeBack ends a canary. It waits for nobody who builds.
func (h *Host) takeBack(ctx context.Context, p *Plugin, number int, why string) {
	h.changing.Lock()
	defer h.changing.Unlock()
	next := p.state
	if next.Canary != number || h.closed {
		return // meanwhile
	}
	next.Canary, next.Share, next.Why = 0, 0, why
	if err := h.keep(ctx, p, &next, nil); err != nil {
		h.deps.Log.Error("a canary could not be taken back", "tenant", p.Tenant, "plugin", p.Name, "number", number, "error", err)
		return
	}
	h.write(func() { p.state = next })
	h.install(p, nil)
	p.Logs.add(Line{Time: h.deps.Now().UnixMilli(), Number: number, Level: "error", Text: "the canary was taken back: " + why})
	h.deps.Log.Warn("a canary was taken back", "tenant", p.Tenant, "plugin", p.Name, "number", number, "why", why)
	h.RolledBack.Add(1)
}
