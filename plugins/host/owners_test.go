package host

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

const owning = "actions: [{name: 'order:created', permission: any}]\n"

// TestOneOwner: no switch gives a plugin an action that another one has got meanwhile, be it
// with its canary.
func TestOneOwner(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	refused := func(what string, err error) {
		t.Helper()
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Of(err).Msg, "owns the action order:created") {
			t.Errorf("%s: %v", what, err)
		}
	}
	deploy(t, h, bundle(t, "a", "one", owning), Live, 0)
	deploy(t, h, bundle(t, "a", "two", ""), Live, 0)
	deploy(t, h, bundle(t, "b", "three", ""), Live, 0)
	deploy(t, h, bundle(t, "b", "four", owning), Canary, 0.5)
	_, err := h.Switch(t.Context(), "acme", "a", 0)
	refused("a rollback beside a canary", err)
	_, err = h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "c", "five", owning), As: Live})
	refused("a deploy beside a canary", err)
	if _, err := h.Promote(t.Context(), "acme", "b"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Switch(t.Context(), "acme", "a", 1)
	refused("a rollback", err)
	if s, _ := h.Status("acme", "a"); s.Live != 2 || h.For("acme").Owner("order:created").Name != "b" {
		t.Errorf("%d is live, %s owns the action", s.Live, h.For("acme").Owner("order:created").Name)
	}
	if _, err := h.Switch(t.Context(), "acme", "b", 1); err != nil {
		t.Fatal(err)
	}
	if d, err := h.Switch(t.Context(), "acme", "a", 1); err != nil || d.Live != 1 {
		t.Errorf("when nobody has it any more: %v", err)
	}
}

// TestTwoOwnersThatAreKept, by whatever wrote that: it is always the same one that is asked,
// each can be stopped, and what is live again is no switch to another's action.
func TestTwoOwnersThatAreKept(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	deploy(t, h, bundle(t, "a", "one", owning), Live, 0)
	deploy(t, h, bundle(t, "a", "two", ""), Live, 0)
	deploy(t, h, bundle(t, "b", "three", owning), Live, 0)
	h.Close()
	text := strings.Replace(string(store.Value("acme", tableStates, "a")), `"live":2`, `"live":1`, 1)
	store.Set("acme", tableStates, "a", []byte(text))
	h = newHost(t, store, nil)
	defer h.Close()
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		h.changing.Lock()
		h.publish()
		h.changing.Unlock()
		if owner := h.For("acme").Owner("order:created").Name; owner != "a" {
			t.Fatalf("%s owns it", owner)
		}
	}
	for _, name := range []string{"a", "b"} {
		if d, err := h.Stop(t.Context(), "acme", name); err != nil || !d.Unchanged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnlySwitchesAreLogged.
func TestOnlySwitchesAreLogged(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
	var log bytes.Buffer
	h.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, number := range []int{1, 1} {
		if _, err := h.Switch(t.Context(), "acme", "filter", number); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "a plugin was switched"); n != 1 {
		t.Errorf("%d lines for one switch", n)
	}
}
