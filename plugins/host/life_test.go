package host

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestTheSameBundleTwice makes no other version where it stands already, also after a
// restart; a canary gets the share that is asked for.
func TestTheSameBundleTwice(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	one, two := bundle(t, "filter", "one", ""), bundle(t, "filter", "two", "")
	put := func(b *manifest.Bundle, as string, share float64) string {
		t.Helper()
		d, err := h.Deploy(t.Context(), Request{Tenant: "acme", By: "dev", Bundle: b, As: as, Share: share})
		if err != nil {
			return fmt.Sprint(err)
		}
		return fmt.Sprintf("#%d live %d was %d unchanged %v share %v was %v ended %v", d.Number, d.Live, d.Was, d.Unchanged, d.Share, d.ShareWas, d.Ended)
	}
	for i, c := range []struct {
		b     *manifest.Bundle
		as    string
		share float64
		want  string
	}{
		{one, Live, 0, "#1 live 1 was 0 unchanged false share 0 was 0 ended map[]"},
		{one, Live, 0, "#1 live 1 was 0 unchanged true share 0 was 0 ended map[]"},
		{one, Canary, 0.5, "#1 live 1 was 0 unchanged true share 0 was 0 ended map[]"},
		{two, Canary, 0.25, "#2 live 1 was 0 unchanged false share 0.25 was 0 ended map[]"},
		{two, Canary, 0.25, "#2 live 1 was 0 unchanged true share 0.25 was 0 ended map[]"},
		{two, Canary, 1, "#2 live 1 was 0 unchanged false share 1 was 0.25 ended map[]"},
		{one, Live, 0, "#1 live 1 was 0 unchanged true share 0 was 0 ended map[]"}, // nor does the canary end
		{one, Shadow, 0, "#3 live 1 was 0 unchanged false share 0 was 0 ended map[]"},
		{one, Shadow, 0, "#3 live 1 was 0 unchanged true share 0 was 0 ended map[]"},
		{two, Live, 0, "#4 live 4 was 1 unchanged false share 0 was 0 ended map[canary:2 shadow:3]"},
	} {
		if got := put(c.b, c.as, c.share); got != c.want {
			t.Errorf("deploy %d: %s, want %s", i, got, c.want)
		}
		if i == 5 {
			if word, n := ask(h, "filter", "ann"); word != "two" || n != 2 {
				t.Errorf("the canary of all is not asked: version %d says %q", n, word)
			}
			h.Close()
			h = newHost(t, store, nil)
			if err := h.Load(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			if s, _ := h.Status("acme", "filter"); s.Share != 1 || s.Canary != 2 {
				t.Errorf("after a restart %+v", s)
			}
		}
	}
	h.Close()
	if n := h.Deployed.Load(); n != 2 { // since the restart
		t.Errorf("%d deploys are counted", n)
	}
}

// TestRollbackIsToAnother: versions that are the same as the live one are passed over, and
// those that were never live; what it ends is said.
func TestRollbackIsToAnother(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	one, two, three := bundle(t, "filter", "one", ""), bundle(t, "filter", "two", ""), bundle(t, "filter", "three", "")
	deploy(t, h, one, Live, 0)
	if _, err := h.Switch(t.Context(), "acme", "filter", 0); !fault.Is(err, fault.Conflict) {
		t.Errorf("a rollback to nothing: %v", err)
	}
	deploy(t, h, two, Live, 0)
	deploy(t, h, one, Live, 0) // 3
	deploy(t, h, three, Shadow, 0)
	said := func(what string, d Done, err error, want string) {
		t.Helper()
		if got := fmt.Sprintf("#%d %d was %d %v %v", d.Number, d.Live, d.Was, d.Ended, d.Unchanged); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", what, got, err, want)
		}
	}
	d, err := h.Switch(t.Context(), "acme", "filter", 1)
	said("to the same under its number", d, err, "#1 1 was 3 map[shadow:4] false")
	deploy(t, h, three, Canary, 0.5) // 5
	deploy(t, h, three, Shadow, 0)   // 6
	if s, _ := h.Status("acme", "filter"); s.Previous != 2 {
		t.Errorf("a rollback would be to %d", s.Previous)
	}
	d, err = h.Switch(t.Context(), "acme", "filter", 0)
	said("back", d, err, "#2 2 was 1 map[canary:5 shadow:6] false")
	d, err = h.Switch(t.Context(), "acme", "filter", 2)
	said("to what is live", d, err, "#2 2 was 0 map[] true")
	deploy(t, h, three, Canary, 0.5) // 7
	deploy(t, h, one, Shadow, 0)     // 8
	d, err = h.Promote(t.Context(), "acme", "filter")
	said("promote", d, err, "#7 7 was 2 map[shadow:8] false")
	d, err = h.Switch(t.Context(), "acme", "filter", 0)
	said("back to what was live before", d, err, "#2 2 was 7 map[] false")
	d, err = h.Switch(t.Context(), "acme", "filter", 0)
	said("and back again", d, err, "#7 7 was 2 map[] false")
	deploy(t, h, one, Canary, 0.5) // 9
	d, err = h.Stop(t.Context(), "acme", "filter")
	said("stop", d, err, "#7 7 was 0 map[canary:9] false")
	d, err = h.Stop(t.Context(), "acme", "filter")
	said("stop nothing", d, err, "#7 7 was 0 map[] true")
}

// TestRemovedIsRemembered, wherever a removal was interrupted: what came from the folder
// last does not come again, and another bundle does.
func TestRemovedIsRemembered(t *testing.T) {
	one, two := bundle(t, "filter", "one", ""), bundle(t, "filter", "two", "")
	for _, failing := range []string{"", tableRemoved, tableStates, tableBundles + "filter"} {
		store := &celltest.Store{}
		h := newHost(t, store, nil)
		had := func(b *manifest.Bundle, want bool) {
			t.Helper()
			if is, err := h.hadFromFolder(t.Context(), "acme", "filter", b.Digest()); err != nil || is != want {
				t.Errorf("%q fails: it has come from the folder: %v, %v", failing, is, err)
			}
		}
		fromFolder := Request{Tenant: "acme", By: "dev", Bundle: one, As: Live, Folder: true}
		if _, err := h.Deploy(t.Context(), fromFolder); err != nil {
			t.Fatal(err)
		}
		had(one, true)
		deploy(t, h, two, Live, 0)
		broken := failing
		store.Writes = func(table string) error {
			if table == broken {
				return errors.New("away")
			}
			return nil
		}
		if err := h.Remove(t.Context(), "acme", "filter"); (err == nil) != (failing == "") {
			t.Errorf("%q fails: %v", failing, err)
		}
		h.Close()
		broken = ""
		h = newHost(t, store, nil) // the node starts again
		if err := h.Load(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if err := h.Remove(t.Context(), "acme", "filter"); err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%q fails, again: %v", failing, err)
		}
		had(one, true)
		had(two, false)
		deploy(t, h, two, Live, 0) // by hand
		had(one, true)
		fromFolder.Bundle = bundle(t, "filter", "three", "")
		if _, err := h.Deploy(t.Context(), fromFolder); err != nil {
			t.Fatal(err)
		}
		had(one, false)
		had(fromFolder.Bundle, true)
		h.Close()
	}
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	defer h.Close()
	deploy(t, h, two, Live, 0)
	if d, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: two, As: Live, Folder: true}); err != nil || !d.Unchanged {
		t.Errorf("from the folder what is live: %+v, %v", d, err)
	}
	store.Writes = func(table string) error {
		if table == tableRemoved {
			return fault.New(fault.StorageFull, "", "")
		}
		return nil
	}
	if is, err := h.hadFromFolder(t.Context(), "acme", "filter", two.Digest()); !is || err != nil {
		t.Errorf("what was live already is not noted: %v", err)
	}
	if err := h.Remove(t.Context(), "acme", "filter"); err != nil || left(store) != 0 {
		t.Errorf("a full store keeps it: %v", err)
	}
}

// TestCannotRunIsSaid, and it is tried again when the tenant is loaded again, and by a
// rollback to it or a deploy of it, under its number.
func TestCannotRunIsSaid(t *testing.T) {
	for name, again := range map[string]func(h *Host) (int, error){
		"a reload": func(h *Host) (int, error) { return 2, h.Load(t.Context(), "acme") },
		"a rollback": func(h *Host) (int, error) {
			d, err := h.Switch(t.Context(), "acme", "filter", 2)
			return d.Number, err
		},
		"a deploy": func(h *Host) (int, error) {
			d, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "filter", "two", ""), As: Live})
			return d.Number, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &celltest.Store{}
			h := newHost(t, store, nil)
			deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
			deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
			h.Close()
			var policy *Policy
			h = newHost(t, store, func(p *Policy) { policy = p; p.Limits.Module = 1 << 10 })
			defer h.Close()
			for range 2 {
				if err := h.Load(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
			}
			ask(h, "filter", "ann")
			s, _ := h.Status("acme", "filter")
			if why := s.CannotRun[Live]; len(s.CannotRun) != 1 || why != "limits.module of the manifest is more than the operator permits this tenant" || s.Failed != 1 {
				t.Errorf("%+v", s)
			}
			if list := h.List("acme"); len(list) != 1 || !maps.Equal(list[0].CannotRun, s.CannotRun) || list[0].Failed != 1 {
				t.Errorf("%+v", list)
			}
			lines, _ := h.Find("acme", "filter").Logs.After(0)
			if n := len(slices.DeleteFunc(lines, func(l Line) bool { return !strings.HasPrefix(l.Text, "it can not be run") })); n != 1 {
				t.Errorf("it is told of %d times", n)
			}
			if _, err := h.Switch(t.Context(), "acme", "filter", 2); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Of(err).Msg, "limits.module") {
				t.Errorf("a rollback to what cannot run: %v", err)
			}
			if d, err := h.Stop(t.Context(), "acme", "filter"); err != nil || d.Live != 2 {
				t.Errorf("stop: %v", err)
			}
			policy.Limits.Module = 32 << 20
			if n, err := again(h); err != nil || n != 2 {
				t.Errorf("version %d: %v", n, err)
			}
			if word, n := ask(h, "filter", "ann"); word != "two" || n != 2 {
				t.Errorf("version %d says %q", n, word)
			}
			if s, _ = h.Status("acme", "filter"); len(s.CannotRun) != 0 || s.Last != 2 || s.Previous != 1 || s.Failed != 0 {
				t.Errorf("%+v", s)
			}
			if got, err := h.Bundle(t.Context(), "acme", "filter", 2); err != nil || len(got) != s.Versions[1].Stored {
				t.Errorf("%d bytes: %v", len(got), err)
			}
		})
	}
}

// TestDeployMendsWhatIsDamaged: the bundle is kept anew.
func TestDeployMendsWhatIsDamaged(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	one := bundle(t, "filter", "one", "")
	deploy(t, h, one, Live, 0)
	h.Close()
	store.Set("acme", tableBundles+"filter", piece(1, 0), []byte("PK"))
	h = newHost(t, store, nil)
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, _ := ask(h, "filter", "ann"); word != pool.ReasonStart {
		t.Errorf("it says %q", word)
	}
	if m := deploy(t, h, one, Live, 0); m.Number != 1 {
		t.Errorf("it is version %d", m.Number)
	}
	h.Close()
	h = newHost(t, store, nil)
	defer h.Close()
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, n := ask(h, "filter", "ann"); word != "one" || n != 1 {
		t.Errorf("version %d says %q", n, word)
	}
}

// TestBundlesAreBounded: the oldest versions of all of the tenant's plugins are let go of
// that nobody needs, and then a deploy is refused; another tenant's stay.
func TestBundlesAreBounded(t *testing.T) {
	store := &celltest.Store{}
	var policy *Policy
	h := newHost(t, store, func(p *Policy) { policy = p })
	defer h.Close()
	now := time.UnixMilli(1)
	h.deps.Now = func() time.Time { now = now.Add(time.Second); return now }
	kept := func(want string) {
		t.Helper()
		got, held := "", int64(0)
		for _, s := range h.List("acme") {
			got += s.Plugin
			for _, v := range s.Versions {
				got += fmt.Sprint(" ", v.Number)
				packed, err := h.Bundle(t.Context(), "acme", s.Plugin, v.Number)
				if err != nil || len(packed) != v.Stored {
					t.Errorf("%s %d: %d bytes, want %d: %v", s.Plugin, v.Number, len(packed), v.Stored, err)
				}
			}
			got += "; "
		}
		store.Each(func(tenant, table, _ string, value []byte) {
			if tenant == "acme" && strings.HasPrefix(table, tableBundles) {
				held += int64(len(value))
			}
		})
		if got != want || policy.Bundles > 0 && held > int64(policy.Bundles) {
			t.Errorf("kept %s, %d bytes of %d; want %s", got, held, policy.Bundles, want)
		}
	}
	for _, word := range []string{"one", "two", "six"} {
		deploy(t, h, bundle(t, "a", word, ""), Live, 0)
		deploy(t, h, bundle(t, "b", word, ""), Live, 0)
	}
	if _, err := h.Deploy(t.Context(), Request{Tenant: "globex", Bundle: bundle(t, "a", "one", ""), As: Live}); err != nil {
		t.Fatal(err)
	}
	kept("a 1 2 3; b 1 2 3; ")
	s, _ := h.Status("acme", "a")
	size := int64(s.Versions[0].Stored)
	policy.Bundles = config.Size(6*size + 100)
	deploy(t, h, bundle(t, "b", "ten", ""), Live, 0) // the oldest is another plugin's
	kept("a 2 3; b 1 2 3 4; ")
	deploy(t, h, bundle(t, "b", "new", ""), Canary, 0.5) // 5
	kept("a 2 3; b 2 3 4 5; ")
	deploy(t, h, bundle(t, "b", "top", ""), Shadow, 0) // 6
	kept("a 2 3; b 3 4 5 6; ")
	deploys, cells := h.Deployed.Load(), store.Len()
	_, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: bundle(t, "c", "one", ""), As: Live})
	if f := fault.Of(err); !fault.Is(err, fault.Forbidden) || !strings.Contains(f.Msg, fmt.Sprintf("may have %d (bundles in the tenant's policy)", policy.Bundles)) {
		t.Errorf("one too many: %v", err)
	}
	if h.Find("acme", "c") != nil || h.Deployed.Load() != deploys || store.Len() != cells {
		t.Error("something of it is kept")
	}
	kept("a 2 3; b 3 4 5 6; ")
	if _, err := h.Stop(t.Context(), "acme", "b"); err != nil {
		t.Fatal(err)
	}
	deploy(t, h, bundle(t, "c", "one", ""), Live, 0)
	kept("a 2 3; b 3 4 6; c 1; ")
	policy.Bundles = 1
	if d, err := h.Switch(t.Context(), "acme", "b", 0); err != nil || d.Live != 3 { // what is kept may be used
		t.Errorf("%+v, %v", d, err)
	}
	policy.Bundles = 0
	deploy(t, h, bundle(t, "c", "two", ""), Live, 0)
	kept("a 2 3; b 3 4 6; c 1 2; ")
	h.Close()
	h = newHost(t, store, nil)
	defer h.Close()
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	kept("a 2 3; b 3 4 6; c 1 2; ")
	if list := h.List("globex"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
