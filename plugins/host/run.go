package host

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/pool"
)

const (
	judgeEvery  = time.Second
	quietFor    = 500 * time.Millisecond
	sweepEvery  = time.Minute
	shadowTasks = 2 // goroutines
)

// Run keeps plugins in order until ctx ends, then ends them.
func (h *Host) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	for range shadowTasks {
		tasks.Go(func() { h.mirror(ctx) }) // ends with ctx
	}
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for swept := time.Now(); ; {
		select {
		case <-ctx.Done():
			tasks.Wait()
			h.Close()
			return nil
		case <-tick.C:
			h.judge(ctx)
			h.rest()
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

// rest lets idle guests tidy up, and ends those that nobody calls.
func (h *Host) rest() {
	for _, p := range h.All() {
		for _, v := range p.Versions() {
			v.Pool.Idle(quietFor, h.cfg.Idle)
			v.Release()
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
	seen := canary.Pool.Events.Load()
	if seen < c.Events {
		return ""
	}
	bad, usual := part(failures(canary), seen), part(failures(live), live.Pool.Events.Load())
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

func failures(v *Version) (n uint64) {
	for reason, k := range v.Pool.Failed.Counts() {
		if reason != pool.ReasonBroken {
			n += k
		}
	}
	return n
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
