package host

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// patience is how long Finish lets a version take; Load gives it limits.start.
const patience = 2 * time.Minute

// Load brings what was deployed to a tenant, and is not there yet, and tries again what
// could not be run: the policy may be another by now. Of a version that can not be built
// any more all calls fail, and the log says why: what a filter should have seen does not
// go past it because it is away. So it is while the version is built, too. One for which
// limits.start of the policy is not enough is left to Finish. The error is the store's,
// or that of ctx.
func (h *Host) Load(ctx context.Context, tenant string) error {
	policy := h.deps.Policy(tenant)
	if policy == nil {
		return nil
	}
	if list, err := h.missing(ctx, tenant); err != nil || len(list) == 0 && len(h.unable(tenant)) == 0 {
		return err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	list, err := h.missing(ctx, tenant) // others had their turns
	if err != nil {
		return err
	}
	come := h.unable(tenant)
	for _, c := range list {
		if p := h.restore(ctx, tenant, c, policy); p != nil {
			come = append(come, p)
		}
	}
	for _, p := range come {
		h.bring(ctx, p, policy, policy.Limits.Start)
	}
	return ctx.Err()
}

// Finish builds what Load had no time for.
func (h *Host) Finish(ctx context.Context, tenant string) error {
	policy := h.deps.Policy(tenant)
	if policy == nil || len(h.late(tenant)) == 0 {
		return nil
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	for _, p := range h.late(tenant) {
		h.bring(ctx, p, policy, patience)
	}
	return ctx.Err()
}

// missing are the states that are kept of plugins that are not there.
func (h *Host) missing(ctx context.Context, tenant string) (out []cell.Cell, err error) {
	list, err := h.deps.Cells.Cells(ctx, tenant, tableStates, "", 1000)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range list {
		if h.tenants[tenant][c.Key] == nil {
			out = append(out, c)
		}
	}
	return out, err
}

// Stands reports whether all that was deployed to a tenant is in its place, be it that it
// refuses until it is built.
func (h *Host) Stands(ctx context.Context, tenant string) bool {
	list, err := h.missing(ctx, tenant)
	return err == nil && len(list) == 0
}

// unable are the plugins of which a version in place could not be built, though there was
// the time. One whose state can not be read is not among them: it is not known what of it
// should be in place.
func (h *Host) unable(tenant string) (out []*Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.tenants[tenant] {
		for number, v := range p.placed() {
			if v.program == nil && !p.late && p.state.find(number) != nil {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

func (h *Host) late(tenant string) (out []*Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.tenants[tenant] {
		if p.late {
			out = append(out, p)
		}
	}
	return out
}

var errStarting = errors.New("it is being started")

// restore puts a plugin there, which refuses its events until it is brought, with the
// tenant's turn held. nil: there is nothing to bring.
func (h *Host) restore(ctx context.Context, tenant string, c cell.Cell, policy *Policy) *Plugin {
	p := &Plugin{Tenant: tenant, Name: c.Key, host: h}
	why, broken := errStarting, json.Unmarshal(c.Value, &p.state)
	if broken == nil && p.state.Live == 0 {
		broken = errors.New("no version is live")
	}
	if broken != nil {
		why, p.state = broken, h.salvaged(ctx, p)
		p.cannotRun(p.state.Live, broken)
	}
	live := h.standIn(ctx, p, p.state.Live, policy, why)
	p.set.Store(&set{live: live})
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.closed || h.tenants[tenant][p.Name] != nil || h.deps.Policy(tenant) == nil {
		live.Release()
		return nil
	}
	h.add(p)
	h.publish()
	if broken != nil {
		return nil
	}
	return p
}

// salvaged is the state of a plugin whose own can not be read: a version is live, and
// the next one does not get the number of one that is kept.
func (h *Host) salvaged(ctx context.Context, p *Plugin) state {
	newest := 1
	for after := ""; ; {
		list, err := h.deps.Cells.Cells(ctx, p.Tenant, tableBundles+p.Name, after, piecesAtOnce)
		if err != nil || len(list) == 0 {
			return state{Last: newest, Live: newest}
		}
		after = list[len(list)-1].Key
		if n, err := strconv.Atoi(after[:min(8, len(after))]); err == nil {
			newest = max(newest, n)
		}
	}
}

// bring builds what should be in place and is not, with the tenant's turn held. Each
// version may take so long; if it does not get ready, it refuses.
func (h *Host) bring(ctx context.Context, p *Plugin, policy *Policy, each time.Duration) {
	h.changing.Lock()
	want, byNumber := p.state, p.placed()
	h.changing.Unlock()
	built, late := map[int]*Version{}, false
	for _, number := range []int{want.Live, want.Canary, want.Shadow} {
		if number == 0 || byNumber[number] != nil && byNumber[number].program != nil {
			continue
		}
		one, cancel := context.WithTimeout(ctx, each)
		v, err := h.revive(one, p, number)
		ended := one.Err() != nil
		cancel()
		if err != nil {
			late = late || ended
			if was := byNumber[number]; was != nil && was.why == short(reason(err)) {
				continue // it stays, and was told of
			}
			p.cannotRun(number, err)
			v = h.standIn(ctx, p, number, policy, err)
		}
		built[number] = v
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.stays(p) != nil {
		for _, v := range built {
			v.Release()
		}
		return
	}
	h.write(func() { p.late = late })
	h.install(p, built)
	in := p.placed()
	for number, v := range built {
		if in[number] != v { // a canary that was taken back meanwhile
			v.Release()
		}
	}
}

func (p *Plugin) cannotRun(number int, err error) {
	h := p.host
	h.deps.Log.Error("a plugin's version can not be run", "tenant", p.Tenant, "plugin", p.Name, "number", number, "error", err)
	p.Logs.add(Line{Time: h.deps.Now().UnixMilli(), Number: number, Level: "error", Text: short("it can not be run: " + reason(err))})
}
