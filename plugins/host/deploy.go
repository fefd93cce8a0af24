package host

import (
	"context"
	"fmt"
	"slices"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// How a version is deployed.
const (
	Live   = "live"
	Canary = "canary"
	Shadow = "shadow"
)

// Request is a deploy.
type Request struct {
	Tenant string
	By     string // who asks, for the list
	Bundle *manifest.Bundle
	As     string  // Live, Canary or Shadow
	Share  float64 // of a canary, 0 to 1
}

// Deploy puts a version in place, and returns when it is there and kept. The error is
// a *fault.Error whose text the developer reads.
func (h *Host) Deploy(ctx context.Context, r Request) (Meta, error) {
	meta, err := h.deploy(ctx, r)
	if err != nil {
		h.Refused.Add(1)
		return meta, err
	}
	h.Deployed.Add(1)
	h.deps.Log.Info("a plugin was deployed", "tenant", r.Tenant, "plugin", r.Bundle.Manifest.Name, "number", meta.Number, "version", meta.Version, "as", r.As, "by", r.By)
	return meta, nil
}

func (h *Host) deploy(ctx context.Context, r Request) (Meta, error) {
	name, policy := r.Bundle.Manifest.Name, h.deps.Policy(r.Tenant)
	switch {
	case policy == nil:
		return Meta{}, fault.New(fault.NotFound, "tenant", "this node does not serve the tenant")
	case r.As == Canary && (r.Share <= 0 || r.Share > 1):
		return Meta{}, fault.New(fault.Invalid, "share", "a canary is asked about a share of the users, above 0 and at most 1")
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	there := h.tenants[r.Tenant][name]
	if there == nil && h.count(r.Tenant) >= policy.Plugins {
		return Meta{}, fault.New(fault.Forbidden, "", fmt.Sprintf("the tenant may have %d plugins; remove one first", policy.Plugins))
	}
	p := h.plugin(r.Tenant, name)
	v, err := h.build(ctx, p, r.Bundle, policy)
	if err != nil {
		h.forget(p)
		return Meta{}, fault.New(fault.Invalid, "bundle", err.Error())
	}
	if err := h.owns(p, v); err != nil {
		v.Release()
		h.forget(p)
		return Meta{}, err
	}
	next := p.state
	next.Versions = slices.Clone(next.Versions)
	v.Number, v.By, v.Deployed = p.state.Last+1, r.By, h.deps.Now().UnixMilli()
	next.Last = v.Number
	next.Versions = append(next.Versions, v.Meta)
	if err := next.place(v.Number, r.As, r.Share); err != nil {
		v.Release()
		h.forget(p)
		return Meta{}, err
	}
	old := next.trim(h.cfg.Canary.History)
	if err := h.keep(ctx, p, &next, r.Bundle, v.Number, old); err != nil {
		v.Release()
		h.forget(p)
		return Meta{}, err
	}
	h.write(func() { p.state = next })
	h.install(p, v)
	return v.Meta, nil
}

// count is how many plugins of a tenant have versions, with changing held.
func (h *Host) count(tenant string) (n int) {
	for _, p := range h.tenants[tenant] {
		if p.state.Last > 0 {
			n++
		}
	}
	return n
}

// forget removes a plugin that has no version at all, with changing held.
func (h *Host) forget(p *Plugin) {
	if p.state.Last == 0 {
		h.write(func() { delete(h.tenants[p.Tenant], p.Name) })
	}
}

// owns refuses an action that another plugin of the tenant owns, with changing held.
func (h *Host) owns(p *Plugin, v *Version) error {
	for _, other := range h.tenants[p.Tenant] {
		if other == p {
			continue
		}
		for action := range v.owned {
			if other.Owned(action) != nil {
				return fault.New(fault.Conflict, "bundle", fmt.Sprintf("the plugin %s owns the action %s", other.Name, action))
			}
		}
	}
	return nil
}

// install puts into place what the state says, with changing held. v is a version that was
// just built; others that are needed are there already, or nil.
func (h *Host) install(p *Plugin, v *Version) {
	byNumber := map[int]*Version{v.Number: v}
	if s := p.set.Load(); s != nil {
		for _, old := range []*Version{s.live, s.canary, s.shadow} {
			if old != nil {
				byNumber[old.Number] = old
			}
		}
	}
	p.swap(&set{
		live: byNumber[p.state.Live], canary: byNumber[p.state.Canary], shadow: byNumber[p.state.Shadow], share: uint64(p.state.Share * 10000),
	})
	h.publish()
}

// Switch makes another kept version live: number, or the one that was live before if
// that is 0. Canary and shadow end.
func (h *Host) Switch(ctx context.Context, tenant, name string, number int) (Meta, error) {
	return h.change(ctx, tenant, name, func(s *state) (int, error) {
		if number == 0 {
			number = s.Previous
		}
		if number == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no version before this one")
		}
		if s.find(number) == nil {
			return 0, fault.New(fault.NotFound, "number", fmt.Sprintf("version %d is not kept", number))
		}
		return number, s.place(number, Live, 0)
	})
}

// Promote makes the canary live.
func (h *Host) Promote(ctx context.Context, tenant, name string) (Meta, error) {
	return h.change(ctx, tenant, name, func(s *state) (int, error) {
		if s.Canary == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no canary")
		}
		number := s.Canary
		return number, s.place(number, Live, 0)
	})
}

// Stop ends the canary and the shadow.
func (h *Host) Stop(ctx context.Context, tenant, name string) (Meta, error) {
	return h.change(ctx, tenant, name, func(s *state) (int, error) {
		if s.Live == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no live version")
		}
		return s.Live, s.place(s.Live, Live, 0)
	})
}

// change makes another choice of kept versions.
func (h *Host) change(ctx context.Context, tenant, name string, decide func(*state) (number int, err error)) (Meta, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	p := h.tenants[tenant][name]
	if p == nil {
		return Meta{}, notThere(name)
	}
	next := p.state
	number, err := decide(&next)
	if err != nil {
		return Meta{}, err
	}
	v, built, err := h.revive(ctx, p, number)
	if err != nil {
		return Meta{}, err
	}
	if err := h.keep(ctx, p, &next, nil, 0, nil); err != nil {
		if built {
			v.Release()
		}
		return Meta{}, err
	}
	h.write(func() { p.state = next })
	h.install(p, v)
	h.deps.Log.Info("a plugin was switched", "tenant", tenant, "plugin", name, "number", number)
	return v.Meta, nil
}

func notThere(name string) error {
	return fault.New(fault.NotFound, "plugin", fmt.Sprintf("there is no plugin %q", name))
}

// revive finds a version among those in place, or builds it from what is kept, with
// changing held.
func (h *Host) revive(ctx context.Context, p *Plugin, number int) (v *Version, built bool, err error) {
	if s := p.set.Load(); s != nil {
		for _, v := range []*Version{s.live, s.canary, s.shadow} {
			if v != nil && v.Number == number {
				return v, false, nil
			}
		}
	}
	b, err := h.bundle(ctx, p, number)
	if err != nil {
		return nil, false, err
	}
	if v, err = h.build(ctx, p, b, h.deps.Policy(p.Tenant)); err != nil {
		return nil, false, fault.New(fault.Conflict, "number", err.Error())
	}
	v.Meta = *p.state.find(number)
	return v, true, nil
}

// Remove takes a plugin away, with all that is kept of it but its keys.
func (h *Host) Remove(ctx context.Context, tenant, name string) error {
	h.changing.Lock()
	defer h.changing.Unlock()
	p := h.tenants[tenant][name]
	if p == nil {
		return notThere(name)
	}
	if err := h.erase(ctx, p); err != nil {
		return err
	}
	p.swap(&set{})
	h.write(func() { delete(h.tenants[tenant], name) })
	h.publish()
	h.deps.Log.Info("a plugin was removed", "tenant", tenant, "plugin", name)
	return nil
}
