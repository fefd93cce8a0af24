package host

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestLoadWhoseTimeIsOver: what was not built by then is bound to what it was bound to, and
// Finish builds it.
func TestLoadWhoseTimeIsOver(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	deploy(t, h, bundle(t, "a-slow", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", "failure: open\n"+owning), Live, 0)
	h.Close()
	for name, over := range map[string]func(reads map[string]int) bool{
		"before anything is read": func(map[string]int) bool { return true },
		"while one is built":      func(reads map[string]int) bool { return reads[tableBundles+"a-slow"] == 2 },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			reads := map[string]int{}
			store.Reads = func(ctx context.Context, table string) error {
				if reads[table]++; table != tableStates && over(reads) {
					cancel()
				}
				return ctx.Err()
			}
			h := newHost(t, store, nil)
			defer h.Close()
			if err := h.Load(ctx, "acme"); !errors.Is(err, context.Canceled) || !h.Stands(t.Context(), "acme") {
				t.Errorf("it stands: %v, %v", h.Stands(t.Context(), "acme"), err)
			}
			v := h.For("acme").Named("filter").Choose("ann")
			if v.Manifest.Failure != manifest.Open || h.For("acme").Owner("order:created") == nil || v.why != errStarting.Error() {
				t.Errorf("failure is %q, why %q", v.Manifest.Failure, v.why)
			}
			v.Release()
			if err := h.Finish(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"a-slow": "one", "filter": "two"} {
				if word, _ := ask(h, name, "ann"); word != want {
					t.Errorf("%s says %q", name, word)
				}
			}
		})
	}
}

// TestDeployBesideWhatIsNotLoaded: what is kept is brought first, be it of another plugin.
func TestDeployBesideWhatIsNotLoaded(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	fromFolder := Request{Tenant: "acme", By: "(folder)", Bundle: bundle(t, "filter", "one", ""), As: Live, Folder: true}
	if _, err := h.Deploy(t.Context(), fromFolder); err != nil {
		t.Fatal(err)
	}
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0) // the tenant's developer
	deploy(t, h, bundle(t, "filter", "three", ""), Canary, 1)
	deploy(t, h, bundle(t, "other", "x", owning), Live, 0)
	h.Close()
	for name, change := range map[string]func(h *Host) error{
		"the same from the folder": func(h *Host) error {
			d, err := h.Deploy(t.Context(), fromFolder)
			if !d.Unchanged {
				t.Errorf("deployed: %+v", d)
			}
			return err
		},
		"a stop of another": func(h *Host) error { _, err := h.Stop(t.Context(), "acme", "other"); return err },
		"another's action": func(h *Host) error {
			_, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "new", "y", owning), As: Live})
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("deployed: %v", err)
			}
			return nil
		},
		"a store that fails for now": func(h *Host) error {
			store.Away(errors.New("away"))
			defer store.Away(nil)
			if _, err := h.Deploy(t.Context(), fromFolder); !fault.Is(err, fault.Unavailable) {
				t.Errorf("deployed: %v", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			cells := store.Len()
			h := newHost(t, store, nil)
			defer h.Close()
			if err := change(h); err != nil {
				t.Fatal(err)
			}
			if err := h.Load(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			s, _ := h.Status("acme", "filter")
			if word, n := ask(h, "filter", "ann"); word != "three" || n != 3 || s.Live != 2 || len(s.Versions) != 3 || store.Len() != cells {
				t.Errorf("version %d says %q, %d is live of %d, %d cells of %d", n, word, s.Live, len(s.Versions), store.Len(), cells)
			}
		})
	}
}

// TestWhatIsUnderWay when its tenant goes passes no filter, whenever it has looked; when the
// tenant is back all plugins are there at once.
func TestWhatIsUnderWay(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	served, gone := h.deps.Policy, false
	h.deps.Policy = func(tenant string) *Policy {
		if gone {
			return nil
		}
		return served(tenant)
	}
	deploy(t, h, bundle(t, "filter", "one", "failure: open"), Live, 0)
	deploy(t, h, bundle(t, "other", "two", ""), Live, 0)
	before := h.For("acme")
	gone = true
	h.Retire()
	h.Retire()
	for what, list := range map[string][]*Plugin{"what has looked before": before.Plugins, "what looks now": h.For("acme").Plugins} {
		for _, p := range list {
			v := p.Choose("ann")
			for _, s := range []Subject{
				{Action: "room:history", Room: "conv:1"}, {Action: "message:send", Receives: true}, {Hook: 0, Action: "session:open"},
			} {
				for s.Hook = range 20 {
					if may := s.Hook.String() == "before" || s.Hook.String() == "join" || s.Hook.String() == "connect"; v.Wants(&s) != may {
						t.Errorf("%s: hook %s of %s: not %v", what, s.Hook, s.Action, may)
					}
				}
			}
			if err := v.Pool.Do(t.Context(), &pool.Job{}); err == nil || v.Manifest.Failure != manifest.Closed {
				t.Errorf("%s passes: %v", what, err)
			}
			v.Release()
		}
	}
	if h.Heavy("acme") || len(h.All()) != 0 || h.For("globex") != nil {
		t.Error("something is left")
	}
	gone = false
	reads := 0
	store.Reads = func(_ context.Context, table string) error {
		if table == tableBundles+"other" && h.For("acme") != h.wall { // one is restored, this one is not yet
			reads++
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.Load(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if len(h.For("acme").Plugins) != 2 || reads != 1 { // when it is built
		t.Errorf("%d plugins, %d reads", len(h.For("acme").Plugins), reads)
	}
	for name, want := range map[string]string{"filter": "one", "other": "two"} {
		if word, _ := ask(h, name, "ann"); word != want {
			t.Errorf("%s says %q", name, word)
		}
	}
}
