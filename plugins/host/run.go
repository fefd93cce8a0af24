package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	judgeEvery  = time.Second
	restEvery   = time.Second
	quietFor    = 500 * time.Millisecond
	sweepEvery  = time.Second
	sweepKeys   = 2000 // of all plugins, that are looked at each time
	trimEvery   = time.Minute
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
	tasks.Go(func() { h.sweeps(ctx) }) // likewise
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			tasks.Wait()
			h.Close()
			return nil
		case <-tick.C:
			last = h.rest(last, restFor)
		}
	}
}

// sweeps removes keys that have expired, and trims the folder of compiled code, until ctx
// ends.
func (h *Host) sweeps(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	failed := false
	for trimmed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := h.deps.KV.Sweep(ctx, sweepKeys)
		if err != nil && !failed && ctx.Err() == nil {
			h.deps.Log.Warn("expired keys of plugins could not be removed", "error", err)
		}
		failed = err != nil
		if time.Since(trimmed) >= trimEvery {
			trimmed = time.Now()
			if err := h.deps.Engine.Trim(); err != nil {
				h.deps.Log.Warn("the folder of compiled plugins could not be trimmed", "error", err)
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
		s := p.set.Load()
		if s == nil || s.trial == nil {
			continue
		}
		if why := h.cfg.Canary.verdict(s.trial); why != "" {
			if err := h.takeBack(ctx, p, s.canary.Number, why); errors.Is(err, errBehind) {
				h.followSoon(ctx, p.Tenant) // and it is tried again
			} else if err != nil {
				h.deps.Log.Error("a canary could not be taken back", "tenant", p.Tenant, "plugin", p.Name, "number", s.canary.Number, "error", err)
			}
		}
	}
}

// followSoon is Follow for who has others to look after.
func (h *Host) followSoon(ctx context.Context, tenant string) {
	ctx, cancel := context.WithTimeout(ctx, judgeEvery)
	defer cancel()
	if err := h.Follow(ctx, tenant); err != nil && ctx.Err() == nil {
		h.deps.Log.Warn("what other nodes have made of a tenant's plugins could not be read", "tenant", tenant, "error", err)
	}
}

// takeBack ends a canary, on all nodes. It waits for nobody who builds.
func (h *Host) takeBack(ctx context.Context, p *Plugin, number int, why string) error {
	h.changing.Lock()
	defer h.changing.Unlock()
	next := p.state
	if next.Canary != number || h.closed {
		return nil // meanwhile
	}
	next.Canary, next.Share, next.Why = 0, 0, why
	if err := h.keep(ctx, p, &next, nil); err != nil {
		return err
	}
	h.write(func() { p.state = next })
	h.install(p, nil)
	p.Logs.add(Line{Time: h.deps.Now().UnixMilli(), Number: number, Level: "error", Text: "the canary was taken back: " + why})
	h.deps.Log.Warn("a canary was taken back", "tenant", p.Tenant, "plugin", p.Name, "number", number, "why", why)
	h.RolledBack.Add(1)
	return nil
}
