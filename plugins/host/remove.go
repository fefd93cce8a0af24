package host

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// A tombstone is in the place of the state of a plugin that is being removed.
const tombstone = `{"removed":true}`

func isTombstone(text []byte) bool {
	var t struct{ Removed bool }
	return json.Unmarshal(text, &t) == nil && t.Removed
}

// removeTime is how long it may take to delete what is kept of a plugin.
const removeTime = time.Minute

// Remove takes a plugin away, with all that is kept of it. It is done from the moment on at
// which the plugin's state says so, also if ctx ends: nobody is asked any more, then what
// the plugin keeps is dropped, and its bundles, and its state. What is interrupted then is
// completed by Load, by another Remove, or by a deploy under that name.
func (h *Host) Remove(ctx context.Context, tenant, name string) error {
	policy, err := h.served(tenant)
	if err != nil {
		return err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := apart(ctx, removeTime)
	defer cancel()
	there := false
	_, err = h.again(ctx, tenant, policy, func() (_ Done, err error) {
		there, err = h.bury(ctx, tenant, name)
		return Done{}, err
	})
	if err != nil {
		return err
	}
	left, err := h.erase(ctx, tenant, name)
	switch {
	case err != nil:
		return err
	case !there && !left:
		return notThere(name)
	}
	h.deps.Log.Info("a plugin was removed", "tenant", tenant, "plugin", name)
	return nil
}

// bury has a plugin's state say that it is removed, and then nobody ask it any more; false:
// there is none. The tenant's turn is held.
func (h *Host) bury(ctx context.Context, tenant, name string) (found bool, err error) {
	text, found, err := h.deps.Cells.Cell(ctx, tenant, tableStates, name)
	if err != nil {
		return found, err
	}
	if err := h.remember(ctx, tenant, name, text); err != nil {
		return found, err
	}
	h.changing.Lock() // or else a canary is taken back, and its plugin with it
	defer h.changing.Unlock()
	if _, err := h.served(tenant); err != nil {
		return found, err
	}
	if found {
		err := h.record(ctx, tenant, cell.Cell{Key: name, Value: []byte(tombstone)})
		if fault.Is(err, fault.StorageFull) { // it is not known any more that something is to be completed
			err = h.deps.Cells.PutCells(ctx, tenant, tableStates, cell.Cell{Key: name})
		}
		if err != nil {
			return found, err
		}
	}
	p := h.tenants[tenant][name]
	if p == nil {
		return found, nil
	}
	h.takeAway(p)
	return true, nil
}

// finishRemoval completes one that was interrupted, with the tenant's turn held. The plugin
// is not there.
func (h *Host) finishRemoval(ctx context.Context, tenant, name string) error {
	text, found, err := h.deps.Cells.Cell(ctx, tenant, tableStates, name)
	switch {
	case err != nil || !found:
		return err
	case !isTombstone(text):
		return errors.New("what is kept of the plugin was not loaded")
	}
	if _, err := h.erase(ctx, tenant, name); err != nil {
		return err
	}
	h.deps.Log.Info("the removal of a plugin was completed", "tenant", tenant, "plugin", name)
	return nil
}

// erase deletes all that is kept of a plugin, its state last, and reports whether there were
// bundles.
func (h *Host) erase(ctx context.Context, tenant, name string) (found bool, err error) {
	if err := h.deps.KV.Drop(ctx, tenant, name); err != nil {
		return false, err
	}
	if h.deps.Dropped != nil {
		if err := h.deps.Dropped(ctx, tenant, name); err != nil {
			return false, err
		}
	}
	for {
		text, there, err := h.deps.Cells.Cell(ctx, tenant, tableStates, name)
		if err != nil || there && !isTombstone(text) { // another node has completed it, and the plugin is there again
			return found, err
		}
		list, err := h.deps.Cells.Cells(ctx, tenant, tableBundles+name, "", piecesAtOnce)
		if err != nil {
			return found, err
		}
		if len(list) == 0 {
			_, err := h.deps.Cells.SwapCells(ctx, tenant, tableStates, []cell.Cell{{Key: name, Value: []byte(tombstone)}}, []cell.Cell{{Key: name}})
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

// hadFromFolder reports whether a bundle is the last one of a plugin that has come from the
// node's folder. To be sure the tenant's turn is held.
func (h *Host) hadFromFolder(ctx context.Context, tenant, name, digest string) (bool, error) {
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
// such a tenant's users still do is refused. What is kept of the plugins stays: Load
// brings it when the tenant is back.
func (h *Host) Retire() {
	h.changing.Lock()
	defer h.changing.Unlock()
	maps.DeleteFunc(h.versions, func(tenant string, _ []byte) bool { return h.deps.Policy(tenant) == nil })
	var gone []*Plugin
	h.write(func() {
		for tenant, plugins := range h.tenants {
			if h.deps.Policy(tenant) != nil {
				continue
			}
			for _, p := range plugins {
				gone = append(gone, p)
				p.state.Canary, h.gone[tenant] = 0, true
			}
			delete(h.tenants, tenant)
			delete(h.shared, tenant)
		}
	})
	if len(gone) == 0 {
		return
	}
	h.publish()
	wall := h.wall.Plugins[0].set.Load().live
	for _, p := range gone {
		wall.hold() // for good: an event may have found the plugin just now, and is to be refused
		p.swap(&set{live: wall})
	}
	h.deps.Log.Info("plugins of tenants that are gone were let go of", "plugins", len(gone))
}
