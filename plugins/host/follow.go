package host

import (
	"bytes"
	"context"
	"errors"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// kept is a plugin as it is kept.
type kept struct {
	state state
	text  []byte
}

// registry is all that is kept of a tenant's plugins but their bundles.
type registry struct {
	version []byte
	kept    []cell.Cell // states
	removed []string    // plugins that are being removed
}

// maxStates is more than a tenant has: a policy permits 1000 plugins.
const maxStates = 2000

func (h *Host) registry(ctx context.Context, tenant string) (*registry, error) {
	list, err := h.deps.Cells.Cells(ctx, tenant, tableStates, "", maxStates)
	r := &registry{}
	for _, c := range list {
		switch {
		case c.Key == versionKey:
			r.version = c.Value
		case isTombstone(c.Value):
			r.removed = append(r.removed, c.Key)
		default:
			r.kept = append(r.kept, c)
		}
	}
	return r, err
}

// isAt reports whether a tenant's plugins here are those that are kept.
func (h *Host) isAt(tenant string, r *registry) bool {
	h.changing.Lock()
	defer h.changing.Unlock()
	version, known := h.versions[tenant]
	return known && bytes.Equal(version, r.version)
}

// Follow has a tenant's plugins be what other nodes have made of them, which this one has
// loaded before. Until a version is built, what it is to replace goes on. The error is the
// store's, or that of ctx: what is missing comes with the next call.
func (h *Host) Follow(ctx context.Context, tenant string) error {
	policy := h.deps.Policy(tenant)
	if policy == nil {
		return nil
	}
	version, _, err := h.deps.Cells.Cell(ctx, tenant, tableStates, versionKey)
	if err != nil || h.isAt(tenant, &registry{version: version}) {
		return err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	r, err := h.registry(ctx, tenant)
	if err != nil {
		return err
	}
	return h.catchUp(ctx, tenant, r, policy)
}

// catchUp brings what is kept and not there, or another here, and lets go of what is kept
// no more; with the tenant's turn held. Of a tenant whose plugins have not been there
// before, all refuse until they are built.
func (h *Host) catchUp(ctx context.Context, tenant string, r *registry, policy *Policy) error {
	if h.isAt(tenant, r) {
		h.back(tenant)
		return nil
	}
	h.changing.Lock()
	_, known := h.versions[tenant]
	h.changing.Unlock()
	var come []*Plugin
	if !known {
		for _, c := range r.kept {
			if h.Find(tenant, c.Key) != nil {
				continue
			}
			if p := h.restore(ctx, tenant, c, policy); p != nil {
				come = append(come, p)
			}
		}
		h.back(tenant)
	}
	h.vanish(tenant, r)
	for _, p := range come {
		h.bring(ctx, p, nil, policy, policy.Limits.Start)
	}
	for _, c := range r.kept {
		h.adopt(ctx, tenant, c, policy)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if !h.closed && h.deps.Policy(tenant) != nil {
		h.versions[tenant] = r.version
	}
	return nil
}

// vanish takes plugins away that are kept no more.
func (h *Host) vanish(tenant string, r *registry) {
	there := map[string]bool{}
	for _, c := range r.kept {
		there[c.Key] = true
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	for name, p := range h.tenants[tenant] {
		if p.text != nil && !there[name] {
			h.takeAway(p)
			h.deps.Log.Info("a plugin was removed on another node", "tenant", tenant, "plugin", name)
		}
	}
}

// takeAway has nobody ask a plugin any more, with changing held.
func (h *Host) takeAway(p *Plugin) {
	h.write(func() {
		delete(h.tenants[p.Tenant], p.Name)
		p.state.Canary = 0 // who judges it has nothing to take back
	})
	h.publish()
	p.swap(&set{})
}

// adopt makes a plugin what another node has made of it, once that is built. One whose
// state can not be read stays as it is.
func (h *Host) adopt(ctx context.Context, tenant string, c cell.Cell, policy *Policy) {
	h.changing.Lock()
	p := h.tenants[tenant][c.Key]
	if p != nil && bytes.Equal(p.text, c.Value) {
		h.changing.Unlock()
		return
	}
	next := &kept{text: c.Value}
	var err error
	if next.state, err = stateOf(c.Value); err != nil {
		h.changing.Unlock()
		h.deps.Log.Error("the state of a plugin that another node has changed can not be read", "tenant", tenant, "plugin", c.Key, "error", err)
		return
	}
	if p == nil {
		p = &Plugin{Tenant: tenant, Name: c.Key, host: h}
		h.add(p)
	}
	h.changing.Unlock()
	h.bring(ctx, p, next, policy, patience) // what is there goes on meanwhile
	h.changing.Lock()
	defer h.changing.Unlock()
	if !h.forget(p) && ctx.Err() == nil {
		h.deps.Log.Info("a plugin was changed on another node", "tenant", tenant, "plugin", c.Key, "live", next.state.Live)
	}
}

// maxBehind is how often a change is tried that others come before in.
const maxBehind = 10

// again makes a change, and once more where another node has come before: on what that has
// made. The tenant's turn is held.
func (h *Host) again(ctx context.Context, tenant string, policy *Policy, change func() (Done, error)) (done Done, err error) {
	for range maxBehind {
		if done, err = change(); !errors.Is(err, errBehind) {
			return done, err
		}
		r, err := h.registry(ctx, tenant)
		if err == nil {
			err = h.catchUp(ctx, tenant, r, policy)
		}
		if err != nil {
			return Done{}, err
		}
	}
	return Done{}, errBehind
}
