package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestFixturesAreOfDeploys: neither a rollback nor a start of the node waits for them.
func TestFixturesAreOfDeploys(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	ran := 0
	fixtures := func(context.Context, *guest.Program, *manifest.Bundle) error { ran++; return nil }
	h.deps.Fixtures = fixtures
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
	if _, err := h.Switch(t.Context(), "acme", "filter", 0); err != nil {
		t.Error(err)
	}
	h.Close()
	h = newHost(t, store, nil)
	defer h.Close()
	h.deps.Fixtures = fixtures
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != "one" || ran != 2 {
		t.Errorf("it says %q; fixtures ran %d times for 2 deploys", word, ran)
	}
	h.deps.Fixtures = func(context.Context, *guest.Program, *manifest.Bundle) error { return errors.New("not as expected") }
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "three", ""), As: Live}); !fault.Is(err, fault.Invalid) {
		t.Errorf("deployed in spite of its fixtures: %v", err)
	}
}

// TestSlowPluginsDoNotHoldTheNode: the others are brought, this one refuses until there
// was time for it.
func TestSlowPluginsDoNotHoldTheNode(t *testing.T) {
	t.Parallel()
	store := &celltest.Store{}
	quick := func(name, word string) *manifest.Bundle {
		b := bundle(t, name, word, "")
		b.Text = []byte(strings.Replace(string(b.Text), "start: 60s", "start: 5s", 1))
		b.Manifest, _ = manifest.Read(manifest.FileName, b.Text)
		return b
	}
	h := newHost(t, store, nil)
	deploy(t, h, quick("a-slow", "one"), Live, 0)
	deploy(t, h, quick("filter", "two"), Live, 0)
	h.Close()
	var reads atomic.Int64
	store.Reads = func(ctx context.Context, table string) error {
		if table == tableBundles+"a-slow" && reads.Add(1) == 2 { // the first is for what stands in
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	h = newHost(t, store, func(p *Policy) { p.Limits.Start = 5 * time.Second })
	defer h.Close()
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != "two" {
		t.Errorf("the other says %q", word)
	}
	if word, n := ask(h, "a-slow", "ann"); word != pool.ReasonStart || n != 1 {
		t.Errorf("version %d of the slow one says %q", n, word)
	}
	if err := h.Finish(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, n := ask(h, "a-slow", "ann"); word != "one" || n != 1 {
		t.Errorf("later, version %d of the slow one says %q", n, word)
	}
}

// TestUnreadable: what nobody can read any more refuses what others would receive, until
// something else is deployed.
func TestUnreadable(t *testing.T) {
	for name, damage := range map[string]func(store *celltest.Store){
		"the bundle is gone":     func(store *celltest.Store) { store.Set("acme", tableBundles+"filter", piece(2, 0), nil) },
		"the bundle is damaged":  func(store *celltest.Store) { store.Set("acme", tableBundles+"filter", piece(2, 0), []byte("PK")) },
		"the state is damaged":   func(store *celltest.Store) { store.Set("acme", tableStates, "filter", []byte(`{"live":`)) },
		"the state says nothing": func(store *celltest.Store) { store.Set("acme", tableStates, "filter", []byte(`{}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			store := &celltest.Store{}
			h := newHost(t, store, nil)
			deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
			deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
			deploy(t, h, bundle(t, "other", "x", ""), Live, 0)
			h.Close()
			damage(store)
			h = newHost(t, store, nil)
			defer h.Close()
			if err := h.Load(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			if word, _ := ask(h, "other", "ann"); word != "x" {
				t.Errorf("the other says %q", word)
			}
			p := h.For("acme").Named("filter")
			if p == nil {
				t.Fatal("it has disappeared")
			}
			v := p.Choose("ann")
			for _, c := range []struct {
				subject Subject
				wants   bool
			}{
				{Subject{Hook: hostapi.HookBefore, Action: "message:send", Room: "conv:1", Receives: true}, true},
				{Subject{Hook: hostapi.HookBefore, Action: "order:created", Receives: true}, true},
				{Subject{Hook: hostapi.HookBefore, Action: "room:history"}, false},
				{Subject{Hook: hostapi.HookAfter, Action: "message:send", Receives: true}, false},
			} {
				if v.Wants(&c.subject) != c.wants {
					t.Errorf("%+v: not %v", c.subject, c.wants)
				}
			}
			if v.Manifest.Failure != manifest.Closed || v.Number != 2 {
				t.Errorf("version %d, failure %s", v.Number, v.Manifest.Failure)
			}
			v.Release()
			if word, _ := ask(h, "filter", "ann"); word != pool.ReasonStart {
				t.Errorf("it says %q", word)
			}
			if lines, _ := p.Logs.After(0); len(lines) == 0 || !strings.Contains(lines[0].Text, "can not be run") {
				t.Errorf("its log: %+v", lines)
			}
			if m := deploy(t, h, bundle(t, "filter", "three", ""), Live, 0); m.Number != 3 {
				t.Errorf("the next is version %d", m.Number)
			}
			if word, _ := ask(h, "filter", "ann"); word != "three" {
				t.Errorf("the next says %q", word)
			}
		})
	}
}

// TestTenantsGoAndComeBack: of one that is gone nothing lives on, and nothing is erased.
func TestTenantsGoAndComeBack(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	ask1 := h.deps.Policy
	var gone atomic.Bool
	h.deps.Policy = func(tenant string) *Policy {
		if tenant == "acme" && gone.Load() {
			return nil
		}
		return ask1(tenant)
	}
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "three", ""), Canary, 0.5)
	if _, err := h.Deploy(t.Context(), Request{Tenant: "globex", Bundle: bundle(t, "filter", "theirs", ""), As: Live}); err != nil {
		t.Fatal(err)
	}
	live, kept := h.Find("acme", "filter").set.Load().live, store.Len()
	for i := range 20 { // so that there is something to close
		ask(h, "filter", fmt.Sprint("user", i))
	}
	if live.program.Instances() == 0 {
		t.Error("nobody has asked the live version")
	}
	gone.Store(true)
	for name, f := range map[string]func(context.Context, string, string) (Done, error){
		"promote": h.Promote, "stop": h.Stop,
		"switch": func(ctx context.Context, tenant, name string) (Done, error) { return h.Switch(ctx, tenant, name, 1) },
		"remove": func(ctx context.Context, tenant, name string) (Done, error) {
			return Done{}, h.Remove(ctx, tenant, name)
		},
	} {
		if _, err := f(t.Context(), "acme", "filter"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.Retire()
	if h.For("acme") != h.wall || h.Find("acme", "filter") != nil || live.hold() || live.program.Instances() != 0 || store.Len() != kept {
		t.Errorf("something lives on, or is gone: %d cells of %d", store.Len(), kept)
	}
	if h.For("globex").Named("filter") == nil {
		t.Error("another tenant's is gone")
	}
	gone.Store(false)
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Status("acme", "filter"); err != nil || s.Live != 2 || s.Canary != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := h.Stop(t.Context(), "acme", "filter"); err != nil {
		t.Error(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != "two" {
		t.Errorf("it says %q", word)
	}
}

// TestATenantGoesWhileItDeploys: the version gets no place, and what was kept stays.
func TestATenantGoesWhileItDeploys(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	served := h.deps.Policy
	var gone atomic.Bool
	h.deps.Policy = func(tenant string) *Policy {
		if gone.Load() {
			return nil
		}
		return served(tenant)
	}
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	kept := store.Len()
	h.deps.Fixtures = func(context.Context, *guest.Program, *manifest.Bundle) error {
		gone.Store(true)
		h.Retire()
		return nil
	}
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "two", ""), As: Live}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if h.For("acme") != h.wall || store.Len() != kept {
		t.Errorf("%d cells of %d", store.Len(), kept)
	}
}

// TestLoadWaitsForNobody if there is nothing to load.
func TestLoadWaitsForNobody(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	end, err := h.turn(t.Context(), "acme") // somebody builds
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.Load(ctx, "acme"); err != nil {
		t.Error(err)
	}
}

// TestDiffsAreBounded, and end with their shadow.
func TestDiffsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var many []hostapi.Action
	for range 10000 {
		many = append(many, hostapi.Action{Kind: hostapi.Emit, A: []byte("conv:1"), C: []byte(long[:10])})
	}
	for name, list := range map[string][]hostapi.Action{
		"one large": {{Kind: hostapi.Emit, A: []byte("conv:1"), C: []byte(long)}}, "four large": {{A: []byte(long)}, {B: []byte(long)}, {C: []byte(long)}, {D: []byte(long)}},
		"many": many, "one small": many[:1],
	} {
		all := 0
		for _, a := range cut(list) {
			n := len(a.A) + len(a.B) + len(a.C) + len(a.D)
			if all += n + actionSize; n > actionKept {
				t.Errorf("%s: %d bytes of an action", name, n)
			}
		}
		if all > diffKept/2 || all == 0 {
			t.Errorf("%s: %d bytes", name, all)
		}
	}
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Shadow, 0)
	p := h.Find("acme", "filter")
	shadow := p.set.Load().shadow
	p.Diffs.add(shadow, Diff{ID: "1"})
	if len(p.Diffs.List()) != 1 {
		t.Error("it is not noted")
	}
	if _, err := h.Stop(t.Context(), "acme", "filter"); err != nil {
		t.Fatal(err)
	}
	p.Diffs.add(shadow, Diff{ID: "2"}) // that was under way
	if n := len(p.Diffs.List()); n != 0 {
		t.Errorf("%d diffs of a shadow that is over", n)
	}
}

// TestAGuessStaysOne: of a plugin whose state can not be read nobody knows which version was
// live. Nothing makes a truth of that by the way: it refuses until somebody decides.
func TestAGuessStaysOne(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	for _, word := range []string{"one", "two", "three"} {
		deploy(t, h, bundle(t, "filter", word, ""), Live, 0)
	}
	h.Close()
	store.Set("acme", tableStates, "filter", []byte(`{"live":`))
	var policy *Policy
	h = newHost(t, store, func(p *Policy) { policy = p })
	defer h.Close()
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"stop":    func() error { _, err := h.Stop(t.Context(), "acme", "filter"); return err },
		"promote": func() error { _, err := h.Promote(t.Context(), "acme", "filter"); return err },
		"switch":  func() error { _, err := h.Switch(t.Context(), "acme", "filter", 0); return err },
		"a canary": func() error {
			_, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "four", ""), As: Canary, Share: 1})
			return err
		},
		"a shadow": func() error {
			_, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "four", ""), As: Shadow})
			return err
		},
	} {
		if err := change(); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	first := deploy(t, h, bundle(t, "other", "x", ""), Live, 0)
	held := first.bytes()
	for _, m := range h.List("acme")[0].Versions {
		held += m.bytes()
	}
	policy.Bundles = config.Size(held + 100)
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "other", "y", ""), As: Live}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("room was made by what nobody knows: %v", err)
	}
	if text := store.Value("acme", tableStates, "filter"); string(text) != `{"live":` {
		t.Errorf("the guess is kept: %s", text)
	}
	if err := h.Load(t.Context(), "acme"); err != nil { // a reload
		t.Fatal(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != pool.ReasonStart {
		t.Errorf("it says %q", word)
	}
	if _, err := h.Switch(t.Context(), "acme", "filter", 2); err != nil {
		t.Fatal(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != "two" {
		t.Errorf("it says %q", word)
	}
	if _, err := h.Stop(t.Context(), "acme", "filter"); err != nil {
		t.Errorf("now it is known: %v", err)
	}
}

// TestOthersDoNotWaitForKeys that are counted when a plugin is started, of which there may be
// millions: another tenant deploys meanwhile, and is asked.
func TestOthersDoNotWaitForKeys(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	theirs := Request{Tenant: "globex", By: "dev", Bundle: bundle(t, "slow", "x", "capabilities: [kv]"), As: Live}
	if _, err := h.Deploy(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	h.Close()
	entered, release := make(chan struct{}, 9), make(chan struct{})
	store.Reads = func(_ context.Context, table string) error {
		if table == "kv/slow" {
			entered <- struct{}{}
			<-release
		}
		return nil
	}
	h = newHost(t, store, nil)
	defer h.Close()
	loaded, deployed := make(chan error, 1), make(chan error, 1)
	go func() { loaded <- h.Load(context.Background(), "globex") }() // ended by release
	<-entered
	go func() { // ends by itself, or else with release
		_, err := h.Deploy(context.Background(), Request{Tenant: "acme", By: "dev", Bundle: bundle(t, "filter", "one", "capabilities: [kv]"), As: Live})
		deployed <- err
	}()
	select {
	case err := <-deployed:
		if word, _ := ask(h, "filter", "ann"); err != nil || word != "one" {
			t.Errorf("it says %q: %v", word, err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits")
	}
	close(release)
	if err := <-loaded; err != nil {
		t.Error(err)
	}
}
