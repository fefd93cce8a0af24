package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	Folder bool    // it lies in a folder of the node's
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
	name := r.Bundle.Manifest.Name
	policy, err := h.served(r.Tenant)
	if err != nil {
		return Meta{}, err
	}
	if r.As == Canary && (r.Share <= 0 || r.Share > 1) {
		return Meta{}, fault.New(fault.Invalid, "share", "a canary is asked about a share of the users, above 0 and at most 1")
	}
	end, err := h.turn(ctx, r.Tenant)
	if err != nil {
		return Meta{}, err
	}
	defer end()
	p, err := h.begin(r.Tenant, name, policy)
	if err != nil {
		return Meta{}, err
	}
	v, err := h.build(ctx, p, r.Bundle, policy)
	if err == nil {
		if err = h.prove(ctx, v, r.Bundle); err == nil {
			err = h.keepBundle(ctx, p, r.Bundle)
		}
		if err != nil {
			v.Release()
		}
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if err == nil {
		if err = h.settle(ctx, p, v, r); err != nil {
			v.Release()
			_ = h.drop(ctx, p, p.state.Last+1) // or else the next one is written over it
		}
	}
	if err != nil {
		if err = refused(err); h.forget(p) {
			err = p.explained(err)
		}
		return Meta{}, err
	}
	return v.Meta, nil
}

// served is the policy of a tenant that the node serves.
func (h *Host) served(tenant string) (*Policy, error) {
	if policy := h.deps.Policy(tenant); policy != nil {
		return policy, nil
	}
	return nil, fault.New(fault.NotFound, "tenant", "this node does not serve the tenant")
}

// stays refuses a change of a plugin that was taken away meanwhile, or whose tenant was,
// with changing held.
func (h *Host) stays(p *Plugin) error {
	switch {
	case h.closed:
		return fault.New(fault.Draining, "", "")
	case h.tenants[p.Tenant][p.Name] != p:
		if _, err := h.served(p.Tenant); err != nil {
			return err
		}
		return notThere(p.Name)
	}
	return nil
}

// prove runs the fixtures of a version that is new: what was deployed once has passed
// them, and is not to be kept from running again by the time that they take.
func (h *Host) prove(ctx context.Context, v *Version, b *manifest.Bundle) error {
	if h.deps.Fixtures == nil {
		return nil
	}
	return h.deps.Fixtures(ctx, v.program, b)
}

// refused is why a bundle does not get its place: if the node is not at fault, then the
// bundle is.
func refused(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return fault.New(fault.Invalid, "bundle", err.Error())
}

// turn waits until nobody else builds for the tenant.
func (h *Host) turn(ctx context.Context, tenant string) (end func(), err error) {
	if end, err = h.turns.Take(ctx, tenant); err != nil {
		return nil, fault.Wrap("host.turn", fault.Timeout, err)
	}
	return end, nil
}

// begin finds the plugin that a bundle is of, or makes it, with the tenant's turn held.
func (h *Host) begin(tenant, name string, policy *Policy) (*Plugin, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.tenants[tenant][name] == nil && h.count(tenant) >= policy.Plugins {
		return nil, fault.New(fault.Forbidden, "", fmt.Sprintf("the tenant may have %d plugins; remove one first", policy.Plugins))
	}
	return h.plugin(tenant, name), nil
}

// settle puts a version that was built in its place, with changing held.
func (h *Host) settle(ctx context.Context, p *Plugin, v *Version, r Request) error {
	if err := h.stays(p); err != nil {
		return err
	}
	if err := h.owns(p, v); err != nil {
		return err
	}
	next := p.state
	next.Versions = slices.Clone(next.Versions)
	v.Number, v.By, v.Deployed = p.state.Last+1, r.By, h.deps.Now().UnixMilli()
	next.Last = v.Number
	if r.Folder {
		next.Folder = v.Digest
	}
	next.Versions = append(next.Versions, v.Meta)
	if err := next.place(v.Number, r.As, r.Share); err != nil {
		return err
	}
	old := next.trim(h.cfg.Canary.History)
	if err := h.keep(ctx, p, &next, old); err != nil {
		return err
	}
	h.write(func() { p.state = next })
	h.install(p, map[int]*Version{v.Number: v})
	return nil
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

// forget removes a plugin that has no version at all, with changing held, and reports
// whether it was one.
func (h *Host) forget(p *Plugin) bool {
	if p.state.Last > 0 {
		return false
	}
	if h.tenants[p.Tenant][p.Name] == p {
		h.write(func() { delete(h.tenants[p.Tenant], p.Name) })
	}
	return true
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

// install puts into place what the state says, with changing held. built are versions that
// are new, by number; others that are needed are there already.
func (h *Host) install(p *Plugin, built map[int]*Version) {
	byNumber := p.placed()
	maps.Copy(byNumber, built)
	p.swap(&set{
		live: byNumber[p.state.Live], canary: byNumber[p.state.Canary], shadow: byNumber[p.state.Shadow], share: uint64(p.state.Share * 10000),
	})
	h.publish()
}

// placed are the versions in place by their numbers, with changing held.
func (p *Plugin) placed() map[int]*Version {
	out := map[int]*Version{}
	if s := p.set.Load(); s != nil {
		for _, v := range []*Version{s.live, s.canary, s.shadow} {
			if v != nil {
				out[v.Number] = v
			}
		}
	}
	return out
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
			return 0, notKept(number)
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

// change makes another choice of kept versions. decide is asked again if a version has
// to be built first.
func (h *Host) change(ctx context.Context, tenant, name string, decide func(*state) (number int, err error)) (Meta, error) {
	if _, err := h.served(tenant); err != nil {
		return Meta{}, err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return Meta{}, err
	}
	defer end()
	v, err := h.chosen(ctx, tenant, name, decide)
	if err != nil {
		return Meta{}, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	p := v.plugin
	next := p.state
	number, err := decide(&next)
	if gone := h.stays(p); gone != nil {
		err = gone
	}
	switch {
	case err == nil && number != v.Number:
		err = errMeanwhile
	case err == nil:
		err = h.keep(ctx, p, &next, nil)
	}
	if err != nil {
		v.Release()
		return Meta{}, err
	}
	there := p.placed()[number] == v
	h.write(func() { p.state = next })
	h.install(p, map[int]*Version{v.Number: v})
	if there {
		v.Release() // it had its place before
	}
	h.deps.Log.Info("a plugin was switched", "tenant", tenant, "plugin", name, "number", number)
	return v.Meta, nil
}

// errMeanwhile says that the plugin's versions are others by now.
var errMeanwhile = fault.New(fault.Conflict, "", "the plugin was changed meanwhile")

// chosen is the version that is wanted, held: one in place, or built of what is kept. The
// tenant's turn is held.
func (h *Host) chosen(ctx context.Context, tenant, name string, decide func(*state) (number int, err error)) (*Version, error) {
	h.changing.Lock()
	p := h.tenants[tenant][name]
	if p == nil {
		h.changing.Unlock()
		return nil, notThere(name)
	}
	next := p.state
	number, err := decide(&next)
	v := p.placed()[number]
	if err == nil && v != nil {
		v.hold() // it has its place, and so can be held
	}
	h.changing.Unlock()
	if err != nil || v != nil {
		return v, err
	}
	return h.revive(ctx, p, number)
}

func notThere(name string) error {
	return fault.New(fault.NotFound, "plugin", fmt.Sprintf("there is no plugin %q", name))
}

// revive builds a version of what is kept, with the tenant's turn held.
func (h *Host) revive(ctx context.Context, p *Plugin, number int) (*Version, error) {
	policy, err := h.served(p.Tenant)
	if err != nil {
		return nil, err
	}
	b, err := h.bundle(ctx, p, number)
	if err != nil {
		return nil, err
	}
	v, err := h.build(ctx, p, b, policy)
	if err != nil {
		return nil, fault.New(fault.Conflict, "number", err.Error())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if kept := p.state.find(number); kept != nil {
		v.Meta = *kept
	}
	return v, nil
}
