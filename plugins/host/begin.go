package host

import (
	"context"
	"fmt"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// served is the policy of a tenant that the node serves.
func (h *Host) served(tenant string) (*Policy, error) {
	if policy := h.deps.Policy(tenant); policy != nil {
		return policy, nil
	}
	return nil, fault.New(fault.NotFound, "tenant", "this node does not serve the tenant")
}

// turn waits until nobody else builds for the tenant.
func (h *Host) turn(ctx context.Context, tenant string) (end func(), err error) {
	if end, err = h.turns.Take(ctx, tenant); err != nil {
		return nil, fault.Wrap("host.turn", fault.Timeout, err)
	}
	return end, nil
}

// begin takes the turn of a tenant, and has all there that was deployed to it before: a
// change next to what is kept and was not loaded would be written over that. end is to be
// called, unless there is an error.
func (h *Host) begin(ctx context.Context, tenant string) (policy *Policy, end func(), err error) {
	if _, err = h.served(tenant); err != nil {
		return nil, nil, err
	}
	if end, err = h.turn(ctx, tenant); err != nil {
		return nil, nil, err
	}
	if policy, err = h.served(tenant); err == nil {
		err = h.complete(ctx, tenant, policy)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return policy, end, nil
}

// plugin finds the plugin that a bundle is of, or makes it, with the tenant's turn held.
func (h *Host) plugin(ctx context.Context, tenant, name string, policy *Policy) (*Plugin, error) {
	if h.Find(tenant, name) == nil {
		if err := h.finishRemoval(ctx, tenant, name); err != nil {
			return nil, fault.Wrap("host.plugin", fault.Unavailable, err)
		}
	}
	p, err := h.listed(ctx, tenant, name, policy)
	if err == nil && p.text == nil {
		err = fault.Wrap("host.plugin", fault.Unavailable, h.deps.KV.Begin(ctx, tenant, name))
	}
	return p, err
}

// listed is a plugin that is there, or comes.
func (h *Host) listed(ctx context.Context, tenant, name string, policy *Policy) (*Plugin, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if p := h.tenants[tenant][name]; p != nil {
		return p, h.surely(ctx, p)
	}
	if err := h.another(tenant, policy); err != nil {
		return nil, err
	}
	p := &Plugin{Tenant: tenant, Name: name, host: h}
	h.add(p)
	return p, nil
}

// another refuses a plugin that is one too many, with changing held.
func (h *Host) another(tenant string, policy *Policy) error {
	if h.count(tenant) >= policy.Plugins {
		return fault.New(fault.Forbidden, "", fmt.Sprintf("the tenant may have %d plugins; remove one first", policy.Plugins))
	}
	return nil
}

// surely finds out which numbers a plugin's versions have, of which that could not be read,
// with changing held.
func (h *Host) surely(ctx context.Context, p *Plugin) error {
	if !p.lost {
		return nil
	}
	s, err := h.salvaged(ctx, p)
	if err != nil {
		return fault.Wrap("host.plugin", fault.Unavailable, err)
	}
	h.write(func() { p.state.Last, p.state.Versions = max(s.Last, p.state.Last), s.Versions })
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
