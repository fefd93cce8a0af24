package host

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// patience is how long Finish lets a version take; Load gives it limits.start.
const patience = 2 * time.Minute

// storeTime is how long reading and writing may take that is done though who asked for it
// has gone.
const storeTime = 10 * time.Second

// apart is a context that does not end with ctx, for what must not be left half done.
func apart(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), most)
}

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
	kept, removed, err := h.missing(ctx, tenant)
	if err != nil {
		return err
	}
	if len(kept)+len(removed) == 0 && len(h.unable(tenant)) == 0 {
		h.back(tenant)
		return nil
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	if err := h.complete(ctx, tenant, policy, h.unable(tenant)); err != nil { // others had their turns
		return err
	}
	return ctx.Err()
}

// complete brings the plugins that are kept and are not there, and come, and completes
// removals that were interrupted, with the tenant's turn held.
func (h *Host) complete(ctx context.Context, tenant string, policy *Policy, come []*Plugin) error {
	kept, removed, err := h.missing(ctx, tenant)
	if err != nil {
		return fault.Wrap("host.load", fault.Unavailable, err)
	}
	for _, c := range kept {
		if p := h.restore(ctx, tenant, c, policy); p != nil {
			come = append(come, p)
		}
	}
	h.back(tenant)
	for _, p := range come {
		h.bring(ctx, p, policy, policy.Limits.Start)
	}
	for _, c := range removed {
		if err := h.finishRemoval(ctx, tenant, c.Key); err != nil {
			h.deps.Log.Warn("the removal of a plugin could not be completed; the next reload tries again", "tenant", tenant, "plugin", c.Key, "error", err)
		}
	}
	return nil
}

// back ends what stood in for the plugins of a tenant that was gone.
func (h *Host) back(tenant string) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.closed || !h.gone[tenant] || h.deps.Policy(tenant) == nil {
		return
	}
	h.write(func() { delete(h.gone, tenant) })
	h.publish()
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

// missing are the states that are kept of plugins that are not there, and those that say
// that a plugin is being removed.
func (h *Host) missing(ctx context.Context, tenant string) (kept, removed []cell.Cell, err error) {
	list, err := h.deps.Cells.Cells(ctx, tenant, tableStates, "", 1000)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range list {
		switch {
		case h.tenants[tenant][c.Key] != nil:
		case isTombstone(c.Value):
			removed = append(removed, c)
		default:
			kept = append(kept, c)
		}
	}
	return kept, removed, err
}

// Stands reports whether all that was deployed to a tenant is in its place, be it that it
// refuses until it is built.
func (h *Host) Stands(ctx context.Context, tenant string) bool {
	kept, _, err := h.missing(ctx, tenant)
	return err == nil && len(kept) == 0
}

// unable are the plugins of which a version in place could not be built, though there was
// the time. One whose state can not be read is not among them: it is not known what of it
// should be in place.
func (h *Host) unable(tenant string) (out []*Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.tenants[tenant] {
		for number, v := range p.placed() {
			if v.program == nil && !p.late && !p.lost && p.state.find(number) != nil {
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
	broken := json.Unmarshal(c.Value, &p.state)
	if broken == nil && p.state.Live == 0 {
		broken = errors.New("no version is live")
	}
	var live *Version
	if p.lost = broken != nil; p.lost {
		var err error
		if p.state, err = h.salvaged(ctx, p); err != nil {
			h.deps.Log.Error("the versions of a plugin can not be read", "tenant", tenant, "plugin", p.Name, "error", err)
		}
		h.deps.Log.Error("the state of a plugin can not be read: the plugin refuses everything that others would receive, until another version is live or it is removed", "tenant", tenant, "plugin", p.Name)
		p.cannotRun(p.state.Live, broken)
		live = h.refusing(p, unread(p.Name), p.state.Live, policy, broken) // nobody knows which one was live
	} else {
		live = h.standIn(ctx, p, p.state.Live, policy, errStarting)
	}
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

// salvaged is the state of a plugin whose own can not be read: the newest version is live,
// the next one does not get the number of one that is kept, and those that are kept may be
// switched to. An error says that there may be others.
func (h *Host) salvaged(ctx context.Context, p *Plugin) (state, error) {
	ctx, cancel := apart(ctx, storeTime)
	defer cancel()
	s := state{Last: 1, Live: 1}
	for after := ""; ; {
		list, err := h.deps.Cells.Cells(ctx, p.Tenant, tableBundles+p.Name, after, 1)
		if err != nil || len(list) == 0 {
			return s, err
		}
		after = list[0].Key
		number, _, _ := strings.Cut(after, "/")
		n, err := strconv.Atoi(number)
		if err != nil {
			continue // it is no piece
		}
		after = number + "0" // behind all pieces of the version: they have a / there
		s.Last, s.Live = n, n
		if b, err := h.bundle(ctx, p, n); err == nil {
			m := Meta{Number: n, Version: b.Manifest.Version, Digest: b.Digest(), Size: len(b.Module)}
			s.Versions = append(s.Versions, m)
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
			if was := byNumber[number]; ctx.Err() != nil || was != nil && was.why == short(reason(err)) {
				continue // what stands in goes on: there was no time to try, or it was told of
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
