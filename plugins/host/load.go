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
	r, err := h.registry(ctx, tenant)
	if err != nil {
		return err
	}
	if h.isAt(tenant, r) && len(r.removed) == 0 && len(h.unable(tenant)) == 0 {
		h.back(tenant)
		return nil
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	if err := h.complete(ctx, tenant, policy); err != nil {
		return err
	}
	for _, p := range h.unable(tenant) {
		h.bring(ctx, p, nil, policy, policy.Limits.Start)
	}
	return ctx.Err()
}

// complete has a tenant's plugins be those that are kept, and completes removals that were
// interrupted, with the tenant's turn held.
func (h *Host) complete(ctx context.Context, tenant string, policy *Policy) error {
	r, err := h.registry(ctx, tenant)
	if err != nil {
		return fault.Wrap("host.load", fault.Unavailable, err)
	}
	if err := h.catchUp(ctx, tenant, r, policy); err != nil {
		return err
	}
	for _, name := range r.removed {
		if err := h.finishRemoval(ctx, tenant, name); err != nil {
			h.deps.Log.Warn("the removal of a plugin could not be completed; the next reload tries again", "tenant", tenant, "plugin", name, "error", err)
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
		h.bring(ctx, p, nil, policy, patience)
	}
	return ctx.Err()
}

// Stands reports whether all that was deployed to a tenant is in its place, be it that it
// refuses until it is built.
func (h *Host) Stands(ctx context.Context, tenant string) bool {
	r, err := h.registry(ctx, tenant)
	if err != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range r.kept {
		if h.tenants[tenant][c.Key] == nil {
			return false
		}
	}
	return true
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
	p := &Plugin{Tenant: tenant, Name: c.Key, host: h, text: c.Value}
	var broken error
	p.state, broken = stateOf(c.Value)
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

// stateOf reads a state that is kept.
func stateOf(text []byte) (s state, err error) {
	if err = json.Unmarshal(text, &s); err == nil && s.Live == 0 {
		err = errors.New("no version is live")
	}
	return s, err
}

// bring builds what should be in place and is not, with the tenant's turn held; next is
// what the plugin is to be then, nil: what it is. Each version may take so long; if it does
// not get ready, it refuses.
func (h *Host) bring(ctx context.Context, p *Plugin, next *kept, policy *Policy, each time.Duration) {
	h.changing.Lock()
	want, byNumber := p.state, p.placed()
	h.changing.Unlock()
	if next != nil {
		want = next.state
	}
	built, late := map[int]*Version{}, false
	for _, number := range []int{want.Live, want.Canary, want.Shadow} {
		if number == 0 || byNumber[number].is(want.find(number)) {
			continue
		}
		v, ended := h.bringOne(ctx, p, number, &want, byNumber[number], policy, each)
		late = late || ended
		if v != nil {
			built[number] = v
		}
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.stays(p) != nil || next != nil && ctx.Err() != nil {
		for _, v := range built {
			v.Release()
		}
		return
	}
	h.write(func() {
		p.late = late
		if next != nil {
			p.state, p.text = next.state, next.text
		}
	})
	h.install(p, built)
	in := p.placed()
	for number, v := range built {
		if in[number] != v { // a canary that was taken back meanwhile
			v.Release()
		}
	}
}

// is reports whether the version is one that is kept, and can be run.
func (v *Version) is(m *Meta) bool {
	return v != nil && v.program != nil && (m == nil || m.Digest == v.Digest && m.Deployed == v.Deployed)
}

// bringOne builds one version for bring, or what stands in for it; nil: what stands in its
// place, was, goes on. late: there was not the time to build it.
func (h *Host) bringOne(ctx context.Context, p *Plugin, number int, of *state, was *Version, policy *Policy, each time.Duration) (v *Version, late bool) {
	one, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	v, err := h.revive(one, p, number, of)
	if err == nil {
		return v, false
	}
	late = one.Err() != nil
	if ctx.Err() != nil || was != nil && was.why == short(reason(err)) {
		return nil, late // there was no time to try, or it was told of
	}
	p.cannotRun(number, err)
	return h.standIn(ctx, p, number, policy, err), late
}

func (p *Plugin) cannotRun(number int, err error) {
	h := p.host
	h.deps.Log.Error("a plugin's version can not be run", "tenant", p.Tenant, "plugin", p.Name, "number", number, "error", err)
	p.Logs.add(Line{Time: h.deps.Now().UnixMilli(), Number: number, Level: "error", Text: short("it can not be run: " + reason(err))})
}
