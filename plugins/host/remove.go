package host

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
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
	text, found, err := h.deps.Cells.Cell(ctx, tenant, tableStates, name)
	if err != nil {
		return found, err
	}
	if found {
		if err := h.remember(ctx, tenant, name, text); err != nil {
			return found, err
		}
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

// remember notes what has come from the node's folder of a plugin that is removed, whose
// state this is: it does not come back with the next start.
func (h *Host) remember(ctx context.Context, tenant, name string, text []byte) error {
	var s state
	if json.Unmarshal(text, &s) != nil || s.Folder == "" {
		return nil // nothing has, or it is not known
	}
	err := h.deps.Cells.PutCells(ctx, tenant, tableRemoved, cell.Cell{Key: name, Value: []byte(s.Folder)})
	if fault.Is(err, fault.StorageFull) { // which removing helps against
		h.deps.Log.Warn("the store is full: a plugin that is removed comes back at the next start if it still is in the folder", "tenant", tenant, "plugin", name)
		return nil
	}
	return err
}

// FromFolder reports whether a bundle is the last one of a plugin that has come from the
// node's folder: it is not deployed again, also if the plugin was removed since.
func (h *Host) FromFolder(ctx context.Context, tenant, name, digest string) (bool, error) {
	h.mu.Lock()
	last := ""
	if p := h.tenants[tenant][name]; p != nil {
		last = p.state.Folder
	}
	h.mu.Unlock()
	if last == "" {
		removed, _, err := h.deps.Cells.Cell(ctx, tenant, tableRemoved, name)
		if err != nil {
			return false, fault.Wrap("host.folder", fault.Unavailable, err)
		}
		last = string(removed)
	}
	return last == digest, nil
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
