package host

import (
	"context"
	"errors"
	"testing"

	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestRemoveIsCompleted after a fault, wherever that was: by another, by a reload or a start
// of the node, or by a deploy. What failed before it was begun has changed nothing.
func TestRemoveIsCompleted(t *testing.T) {
	for name, complete := range map[string]func(h *Host) error{
		"by another":  func(h *Host) error { return h.Remove(t.Context(), "acme", "filter") },
		"by a reload": func(h *Host) error { return h.Load(t.Context(), "acme") },
		"by a deploy of another": func(h *Host) error {
			deploy(t, h, bundle(t, "other", "two", ""), Live, 0)
			return h.Remove(t.Context(), "acme", "other")
		},
	} {
		for _, failing := range []string{"kv/filter", "others", tableBundles + "filter", "the state"} {
			t.Run(name+" after "+failing, func(t *testing.T) {
				store := &celltest.Store{}
				h := newHost(t, store, nil)
				deploy(t, h, bundle(t, "filter", "one", "capabilities: [kv]"), Live, 0)
				store.Set("acme", "kv/filter", "key", make([]byte, 20))
				dropped, broken, states := 0, failing, 0
				fails := func(table string) error {
					if table == tableStates {
						if states++; broken == "the state" && states == 2 { // the first says that it goes
							return errors.New("away")
						}
					}
					if table == broken {
						return errors.New("away")
					}
					return nil
				}
				h.deps.Dropped = func(context.Context, string, string) error { dropped++; return fails("others") }
				store.Writes = fails
				if err := h.Remove(t.Context(), "acme", "filter"); err == nil {
					t.Error("removed")
				}
				if _, err := h.Status("acme", "filter"); h.For("acme") != nil || !fault.Is(err, fault.NotFound) {
					t.Errorf("it is still asked: %v", err)
				}
				for range 2 { // as long as it fails nothing comes back, and nobody else waits
					if err := h.Load(t.Context(), "acme"); err != nil || h.Find("acme", "filter") != nil || !h.Stands(t.Context(), "acme") {
						t.Errorf("it is back: %v", err)
					}
				}
				if failing != "the state" { // that one a reload has completed by now
					if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "one", ""), As: Live}); !fault.Is(err, fault.Unavailable) {
						t.Errorf("deployed beside what is left: %v", err)
					}
				}
				broken = ""
				h.Close()
				h = newHost(t, store, nil)
				defer h.Close()
				h.deps.Dropped = func(context.Context, string, string) error { dropped++; return nil }
				if err := complete(h); err != nil && failing != "the state" {
					t.Error(err)
				}
				if left(store) != 0 || h.For("acme") != nil || dropped == 0 {
					t.Errorf("%d cells are left", left(store))
				}
				if err := h.Remove(t.Context(), "acme", "filter"); !fault.Is(err, fault.NotFound) {
					t.Errorf("once more: %v", err)
				}
			})
		}
	}
}

// TestRemoveThatDoesNotBegin has changed nothing.
func TestRemoveThatDoesNotBegin(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	store.Writes = func(string) error { return errors.New("away") }
	if err := h.Remove(t.Context(), "acme", "filter"); err == nil {
		t.Error("removed")
	}
	store.Writes = nil
	if word, _ := ask(h, "filter", "ann"); word != "one" {
		t.Errorf("it says %q", word)
	}
	if m := deploy(t, h, bundle(t, "filter", "two", ""), Live, 0); m.Number != 2 {
		t.Errorf("the next is %d", m.Number)
	}
}

// TestRemoveGoesOn when nobody waits for it any more, as after Ctrl-C in heddle plugin
// remove.
func TestRemoveGoesOn(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	ctx, cancel := context.WithCancel(t.Context())
	store.Reads = func(ctx context.Context, table string) error {
		if table == "kv/filter" {
			cancel()
		}
		return ctx.Err()
	}
	if err := h.Remove(ctx, "acme", "filter"); err != nil || left(store) != 0 || ctx.Err() == nil {
		t.Errorf("%d cells are left: %v", left(store), err)
	}
}

// TestRemoveFromAFullStore, which takes no state that says so either.
func TestRemoveFromAFullStore(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	puts := 0
	store.Writes = func(table string) error {
		if puts++; puts == 1 { // what follows deletes
			return fault.New(fault.StorageFull, "", "")
		}
		return nil
	}
	if err := h.Remove(t.Context(), "acme", "filter"); err != nil || left(store) != 0 || h.For("acme") != nil {
		t.Errorf("%d cells are left: %v", left(store), err)
	}
}

// TestLostState: the versions of a plugin whose state can not be read may be switched to,
// count among the bundles, and lend no number to another.
func TestLostState(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	deploy(t, h, bundle(t, "filter", "one", "failure: open"), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", "failure: open"), Live, 0)
	h.Close()
	store.Set("acme", tableStates, "filter", []byte(`{"live":`))
	for _, unreadable := range []bool{false, true} {
		h = newHost(t, store, nil)
		defer h.Close()
		store.Reads = func(_ context.Context, table string) error {
			if unreadable && table == tableBundles+"filter" {
				return errors.New("away")
			}
			return nil
		}
		for range 2 {
			if err := h.Load(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}
		v := h.For("acme").Named("filter").Choose("ann")
		if v.Manifest.Failure != "closed" || v.program != nil {
			t.Error("it lets events pass: nobody knows whether this one was live")
		}
		v.Release()
	}
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "x", ""), As: Live}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("deployed under a number that another may have: %v", err)
	}
	store.Reads = nil
	if m := deploy(t, h, bundle(t, "filter", "three", ""), Live, 0); m.Number != 3 {
		t.Errorf("the next is %d", m.Number)
	}
	if s, _ := h.Status("acme", "filter"); len(s.Versions) != 3 {
		t.Errorf("%+v", s)
	}
	if _, err := h.Switch(t.Context(), "acme", "filter", 1); err != nil {
		t.Fatal(err)
	}
	if word, n := ask(h, "filter", "ann"); word != "one" || n != 1 {
		t.Errorf("version %d says %q", n, word)
	}
	if _, err := h.Bundle(t.Context(), "acme", "filter", 2); err != nil {
		t.Error(err)
	}
}
