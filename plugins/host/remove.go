package host

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Remove takes a plugin away, with all that is kept of it. One that was interrupted is
// completed by another: nobody is asked any more, then what the plugin keeps is dropped,
// then its state, and its bundles, which are nobody's then.
func (h *Host) Remove(ctx context.Context, tenant, name string) error {
	if _, err := h.served(tenant); err != nil {
		return err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	there := h.takeAway(tenant, name)
	if err := h.deps.KV.Drop(ctx, tenant, name); err != nil {
		return err
	}
	if h.deps.Dropped != nil {
		if err := h.deps.Dropped(ctx, tenant, name); err != nil {
			return err
		}
	}
	kept, err := h.erase(ctx, tenant, name)
	switch {
	case err != nil:
		return err
	case !there && !kept:
		return notThere(name)
	}
	h.deps.Log.Info("a plugin was removed", "tenant", tenant, "plugin", name)
	return nil
}

// takeAway has nobody ask a plugin any more; false: there is none.
func (h *Host) takeAway(tenant, name string) bool {
	h.changing.Lock()
	defer h.changing.Unlock()
	p := h.tenants[tenant][name]
	if p == nil {
		return false
	}
	h.write(func() {
		delete(h.tenants[tenant], name)
		p.state.Canary = 0 // who judges it has nothing to take back
	})
	h.publish()
	p.swap(&set{})
	return true
}

// erase removes all that is kept of a plugin but its keys, and reports whether there was
// anything.
func (h *Host) erase(ctx context.Context, tenant, name string) (found bool, err error) {
	if _, found, err = h.deps.Cells.Cell(ctx, tenant, tableStates, name); err != nil {
		return found, err
	}
	if found {
		if err := h.deps.Cells.PutCells(ctx, tenant, tableStates, cell.Cell{Key: name}); err != nil {
			return found, err
		}
	}
	for {
		list, err := h.deps.Cells.Cells(ctx, tenant, tableBundles+name, "", piecesAtOnce)
		if err != nil || len(list) == 0 {
			return found, err
		}
		found = true
		for i := range list {
			list[i].Value = nil
		}
		if err := h.deps.Cells.PutCells(ctx, tenant, tableBundles+name, list...); err != nil {
			return found, err
		}
	}
}

// Retire lets go of the plugins of tenants that the node does not serve any more. What
// is kept of them stays: Load brings it when the tenant is back.
func (h *Host) Retire() {
	h.changing.Lock()
	defer h.changing.Unlock()
	var gone []*Plugin
	h.write(func() {
		for tenant, plugins := range h.tenants {
			if h.deps.Policy(tenant) != nil {
				continue
			}
			for _, p := range plugins {
				gone = append(gone, p)
				p.state.Canary = 0
			}
			delete(h.tenants, tenant)
			delete(h.shared, tenant)
		}
	})
	if len(gone) == 0 {
		return
	}
	h.publish()
	for _, p := range gone {
		p.swap(&set{})
	}
	h.deps.Log.Info("plugins of tenants that are gone were let go of", "plugins", len(gone))
}
