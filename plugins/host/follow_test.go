package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// together are hosts of nodes with the same store, which have loaded the tenant.
func together(t testing.TB, n int, store *celltest.Store, change func(*Policy)) (all []*Host) {
	t.Helper()
	for range n {
		h := newHost(t, store, change)
		var err error
		if h.deps.Engine, err = guest.New(guest.Config{}); err != nil { // as each node has its own
			t.Fatal(err)
		}
		t.Cleanup(func() {
			h.Close()
			if err := h.deps.Engine.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := h.Load(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

func follow(t testing.TB, all ...*Host) {
	t.Helper()
	for _, h := range all {
		if err := h.Follow(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	}
}

// say fails the test unless a plugin says so on all nodes.
func say(t testing.TB, all []*Host, name, word string, number int) {
	t.Helper()
	for i, h := range all {
		if w, n := ask(h, name, "ann"); w != word || n != number {
			t.Errorf("node %d: version %d of %s says %q; want %d, %q", i, n, name, w, number, word)
		}
	}
}

// TestNodesFollow: what is done on one node is so on all, and after a restart.
func TestNodesFollow(t *testing.T) {
	store := &celltest.Store{}
	all := together(t, 3, store, nil)
	a, b, c := all[0], all[1], all[2]
	var told []string
	a.deps.Changed = func(tenant string) { told = append(told, tenant) }
	deploy(t, a, bundle(t, "filter", "one", ""), Live, 0)
	if fmt.Sprint(told) != "[acme]" {
		t.Errorf("told: %v", told)
	}
	say(t, all[1:], "filter", "no plugin", 0)
	follow(t, b, c)
	say(t, all, "filter", "one", 1)

	deploy(t, b, bundle(t, "filter", "two", ""), Live, 0)
	deploy(t, c, bundle(t, "other", "else", ""), Live, 0) // which has not followed yet
	follow(t, all...)
	say(t, all, "filter", "two", 2)
	say(t, all, "other", "else", 1)

	if _, err := a.Switch(t.Context(), "acme", "filter", 0); err != nil {
		t.Fatal(err)
	}
	follow(t, all...)
	say(t, all, "filter", "one", 1)
	again := together(t, 1, store, nil)
	say(t, again, "filter", "one", 1)

	was := c.For("acme").Named("other").set.Load().live
	if err := b.Remove(t.Context(), "acme", "filter"); err != nil {
		t.Fatal(err)
	}
	follow(t, all...)
	say(t, all, "filter", "no plugin", 0)
	if c.For("acme").Named("other").set.Load().live != was {
		t.Error("what has not changed was built again")
	}
	deploy(t, c, bundle(t, "filter", "three", ""), Live, 0)
	follow(t, all...)
	say(t, all, "filter", "three", 1)
}

// TestNodesDeployAtOnce: of changes that nodes make at the same time none is lost, none has
// another's number, and all nodes come to the same.
func TestNodesDeployAtOnce(t *testing.T) {
	store := &celltest.Store{}
	all := together(t, 3, store, nil)
	const each = 4
	var wg sync.WaitGroup
	for i, h := range all {
		wg.Go(func() {
			for n := range each {
				for _, name := range []string{"shared", fmt.Sprint("own", i)} {
					b := bundle(t, name, fmt.Sprint("node ", i, " ", n), "")
					if _, err := h.Deploy(context.Background(), Request{Tenant: "acme", Bundle: b, As: Live}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	follow(t, all...)
	for _, name := range []string{"shared", "own0", "own1", "own2"} {
		word, number := ask(all[0], name, "ann")
		say(t, all, name, word, number)
		st, err := all[0].Status("acme", name)
		if err != nil {
			t.Fatal(err)
		}
		want := each
		if name == "shared" {
			want = each * len(all)
		}
		numbers := map[int]bool{}
		for _, m := range st.Versions {
			numbers[m.Number] = true
			if !all[1].isKept(t.Context(), all[1].Find("acme", name), m.Number, m.Digest) {
				t.Errorf("the bundle of version %d of %s is another", m.Number, name)
			}
		}
		if want = min(want, 10); len(numbers) != want || len(st.Versions) != want {
			t.Errorf("%d versions of %s are kept, want %d", len(numbers), name, want)
		}
	}
}

// TestNodesRollACanaryBack: all nodes ask the same users' canary, and one that takes it back
// does so for all.
func TestNodesRollACanaryBack(t *testing.T) {
	all := together(t, 2, &celltest.Store{}, nil)
	a, b := all[0], all[1]
	deploy(t, a, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, a, bundle(t, "filter", "two", ""), Canary, 0.5)
	follow(t, b)
	canary := 0
	for i := range 200 {
		user := fmt.Sprint("user", i)
		here, _ := ask(a, "filter", user)
		if there, _ := ask(b, "filter", user); here != there {
			t.Errorf("%s is asked by %s and %s", user, here, there)
		}
		if here == "two" {
			canary++
		}
	}
	if canary < 60 || canary > 140 {
		t.Errorf("%d of 200 are in the canary", canary)
	}
	deploy(t, a, bundle(t, "other", "else", ""), Live, 0)
	if err := b.takeBack(t.Context(), b.Find("acme", "filter"), 2, "it is bad"); !errors.Is(err, errBehind) {
		t.Errorf("over what another node has made: %v", err)
	}
	follow(t, b)
	if err := b.takeBack(t.Context(), b.Find("acme", "filter"), 2, "it is bad"); err != nil {
		t.Error(err)
	}
	follow(t, a)
	for i, h := range all {
		if st, _ := h.Status("acme", "filter"); st.Canary != 0 || st.Live != 1 || st.Why != "it is bad" {
			t.Errorf("node %d: %+v", i, st)
		}
	}
}

// TestNodesCannotFollow: what one node can not run it refuses, and says so; a store that is
// away changes nothing.
func TestNodesCannotFollow(t *testing.T) {
	store := &celltest.Store{}
	a := together(t, 1, store, nil)[0]
	b := together(t, 1, store, func(p *Policy) { p.Capabilities = nil })[0]
	deploy(t, a, bundle(t, "filter", "one", ""), Live, 0)
	follow(t, b)
	deploy(t, a, bundle(t, "filter", "two", "capabilities: [emit]"), Live, 0)
	away := errors.New("away")
	store.Away(away)
	if err := b.Follow(t.Context(), "acme"); !errors.Is(err, away) {
		t.Error(err)
	}
	store.Away(nil)
	say(t, []*Host{b}, "filter", "one", 1)
	follow(t, b)
	say(t, []*Host{b}, "filter", "start", 2)
	if st, _ := b.Status("acme", "filter"); st.CannotRun[Live] == "" {
		t.Errorf("%+v", st)
	}
}

// TestNodesWithTheSameFolder: what lies in the folders of all nodes becomes one version.
func TestNodesWithTheSameFolder(t *testing.T) {
	store := &celltest.Store{}
	all := together(t, 3, store, nil)
	b := bundle(t, "filter", "one", "")
	var wg sync.WaitGroup
	for _, h := range all {
		wg.Go(func() {
			if _, err := h.Deploy(context.Background(), Request{Tenant: "acme", Bundle: b, As: Live, Folder: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	follow(t, all...)
	word, number := ask(all[0], "filter", "ann")
	if st, _ := all[0].Status("acme", "filter"); word != "one" || len(st.Versions) != 1 || all[0].Find("acme", "filter").state.Folder != b.Digest() {
		t.Errorf("%q, %+v", word, st)
	}
	say(t, all, "filter", "one", number)
	pieces := 0
	store.Each(func(_, table, _ string, _ []byte) {
		if table == tableBundles+"filter" {
			pieces++
		}
	})
	if pieces != 1 {
		t.Errorf("%d bundles are kept", pieces)
	}
}

// TestNodesTogetherHaveTheirPlugins: the bounds of a tenant hold over all nodes.
func TestNodesTogetherHaveTheirPlugins(t *testing.T) {
	all := together(t, 2, &celltest.Store{}, func(p *Policy) { p.Plugins = 2 })
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i, h := range all {
		wg.Go(func() {
			for n := range 2 {
				_, err := h.Deploy(context.Background(), Request{Tenant: "acme", Bundle: bundle(t, fmt.Sprintf("p%d-%d", i, n), "x", ""), As: Live})
				mu.Lock()
				if fault.Is(err, fault.Forbidden) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	follow(t, all...)
	for i, h := range all {
		if n := len(h.List("acme")); n != 2 || refused != 2 {
			t.Errorf("node %d has %d plugins; %d were refused", i, n, refused)
		}
	}
}
