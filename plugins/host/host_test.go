package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is the guest in Go.
var built = sync.OnceValues(func() ([]byte, error) { return guesttest.Go(filepath.Join("testdata", "guest")) })

var engine = sync.OnceValues(func() (*guest.Engine, error) {
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		return nil, err
	}
	return guest.New(guest.Config{Cache: cache})
})

func defaults[T any](t testing.TB) T {
	r, err := config.Load[T](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return *r.Value
}

func newHost(t testing.TB, store *celltest.Store, change func(*Policy)) *Host {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	policy := defaults[Policy](t)
	policy.Limits.Start, policy.Limits.Timeout = time.Minute, 10*time.Second
	if change != nil {
		change(&policy)
	}
	cfg := defaults[Config](t)
	cfg.Lanes, cfg.BreakFrom = 2, 1000
	return New(cfg, Deps{
		Engine: e, Cells: store, KV: kv.New(store, nil), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Policy: func(tenant string) *Policy {
			if tenant != "acme" && tenant != "globex" {
				return nil
			}
			return &policy
		},
		Taken: func(action string) bool { return strings.HasPrefix(action, "message:") },
	})
}

// bundle is a plugin that drops everything with a word, or traps if that is "trap": a
// module of some hundred bytes. With the race detector the guest in Go takes seconds.
func bundle(t testing.TB, name, word, more string) *manifest.Bundle {
	t.Helper()
	p := guesttest.Refuses(word)
	p.Traps = word == "trap"
	return packed(t, name, p.Module(), more)
}

// goBundle is the same in Go; it takes the word from its config, and does not start if
// that is "refuse".
func goBundle(t testing.TB, name, word, more string) *manifest.Bundle {
	t.Helper()
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, name, code, fmt.Sprintf("config: '%q'\n%s", word, more))
}

func packed(t testing.TB, name string, module []byte, more string) *manifest.Bundle {
	t.Helper()
	b := &manifest.Bundle{Module: module, Text: fmt.Appendf(nil, "name: %s\nversion: '1'\nbindings: [{}]\nlimits: {start: 60s, timeout: 10s}\n%s\n", name, more)}
	var err error
	if b.Manifest, err = manifest.Read(manifest.FileName, b.Text); err != nil {
		t.Fatal(err)
	}
	return b
}

// ask brings one event to a plugin, and returns the word that it is dropped with, or
// why the plugin has failed.
func ask(h *Host, name, who string) (word string, number int) {
	p := h.For("acme").Named(name)
	if p == nil {
		return "no plugin", 0
	}
	v := p.Choose(who)
	if v == nil {
		return "no version", 0
	}
	defer v.Release()
	j := pool.Job{Record: hostapi.Record{Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: who, Action: "message:send"}}
	full := v.Shape.Fill(&j.Record, []byte(`{"text":"x"}`))
	j.Full = full
	err := v.Pool.Do(context.Background(), &j)
	p.Mirror(&j, hostapi.CodecJSON, nil, err)
	if err != nil {
		return reasonOf(err), v.Number
	}
	return strings.Trim(string(j.Actions[0].A), `"`), v.Number
}

func deploy(t testing.TB, h *Host, b *manifest.Bundle, as string, share float64) Meta {
	t.Helper()
	m, err := h.Deploy(context.Background(), Request{Tenant: "acme", By: "dev", Bundle: b, As: as, Share: share})
	if err != nil {
		t.Fatal(err)
	}
	return m.Meta
}

func TestLife(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	expect := func(word string, number int) {
		t.Helper()
		if w, n := ask(h, "filter", "ann"); w != word || n != number {
			t.Errorf("version %d says %q; want %d, %q", n, w, number, word)
		}
	}
	expect("no plugin", 0)
	m := deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	if m.Number != 1 || m.By != "dev" || !m.Captured || m.Size == 0 || m.Digest == "" {
		t.Errorf("%+v", m)
	}
	expect("one", 1)
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
	expect("two", 2)
	deploy(t, h, bundle(t, "filter", "three", ""), Canary, 0.3)
	says := map[string]int{}
	for i := range 300 {
		w, _ := ask(h, "filter", fmt.Sprint("user", i))
		again, _ := ask(h, "filter", fmt.Sprint("user", i))
		if w != again {
			t.Fatal("a user is asked by two versions")
		}
		says[w]++
	}
	if says["three"] < 50 || says["three"] > 140 || says["two"]+says["three"] != 300 {
		t.Errorf("%v", says)
	}
	if _, err := h.Promote(t.Context(), "acme", "filter"); err != nil {
		t.Fatal(err)
	}
	expect("three", 3)
	if _, err := h.Switch(t.Context(), "acme", "filter", 0); err != nil {
		t.Fatal(err)
	}
	expect("two", 2)
	if _, err := h.Switch(t.Context(), "acme", "filter", 1); err != nil {
		t.Fatal(err)
	}
	expect("one", 1)
	h.Close()

	h = newHost(t, store, nil) // the node starts again
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	expect("one", 1)
	if s, _ := h.Status("acme", "filter"); s.Last != 3 || len(s.Versions) != 3 || s.Previous != 2 {
		t.Errorf("%+v", s)
	}
	if err := h.Remove(t.Context(), "acme", "filter"); err != nil {
		t.Fatal(err)
	}
	expect("no plugin", 0)
	if left(store) != 0 {
		t.Errorf("%d cells are left", left(store))
	}
	h.Close()
}

// TestGo has a guest with a language's runtime, and a config, live as others do.
func TestGo(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	expect := func(word string, number int) {
		t.Helper()
		if w, n := ask(h, "filter", "ann"); w != word || n != number {
			t.Errorf("version %d says %q; want %d, %q", n, w, number, word)
		}
	}
	m := deploy(t, h, goBundle(t, "filter", "one", ""), Live, 0)
	if m.Number != 1 || !m.Captured || m.Size == 0 {
		t.Errorf("%+v", m)
	}
	expect("one", 1)
	deploy(t, h, goBundle(t, "filter", "two", ""), Live, 0)
	expect("two", 2)
	h.Close()
	h = newHost(t, store, nil) // the node starts again
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	expect("two", 2)
	if _, err := h.Switch(t.Context(), "acme", "filter", 0); err != nil {
		t.Fatal(err)
	}
	expect("one", 1)
	live := h.For("acme").Named("filter").set.Load().live
	h.Close()
	if n := live.program.Instances(); n != 0 {
		t.Errorf("%d instances are left", n)
	}
}

func TestRefusedDeploys(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, func(p *Policy) { p.Plugins, p.Capabilities, p.Limits.Memory = 2, []string{"kv"}, 16<<20 })
	defer h.Close()
	fix := func(b *manifest.Bundle) *manifest.Bundle {
		b.Text = []byte(strings.Replace(string(b.Text), "limits: {start: 60s, timeout: 10s}", "limits: {memory: 16MiB, start: 60s, timeout: 10s}", 1))
		b.Manifest, _ = manifest.Read(manifest.FileName, b.Text)
		return b
	}
	ok := fix(bundle(t, "first", "one", "actions: [{name: 'order:created'}]"))
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: ok, As: Canary, Share: 0.5}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the first as a canary: %v", err)
	}
	deploy(t, h, ok, Live, 0)
	for name, c := range map[string]struct {
		b    *manifest.Bundle
		want string
	}{
		"memory":         {bundle(t, "a", "x", ""), "limits.memory"},
		"capability":     {fix(bundle(t, "a", "x", "capabilities: [emit]")), "does not grant"},
		"it refuses":     {fix(goBundle(t, "a", "refuse", "")), "heddle_init: it answered failed; its log may say why\n  its log: warn: I was asked to"},
		"a taken action": {fix(bundle(t, "a", "x", "actions: [{name: 'message:fly'}]")), "choose another noun"},
		"another's":      {fix(bundle(t, "a", "x", "actions: [{name: 'order:created'}]")), "first owns the action"},
		"no module":      {func() *manifest.Bundle { b := fix(bundle(t, "a", "x", "")); b.Module = []byte("\x00asm"); return b }(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := store.Len()
			_, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: c.b, As: Live})
			if err == nil || !strings.Contains(fault.Of(err).Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if store.Len() != before || len(h.List("acme")) != 1 {
				t.Errorf("something is kept: %v", h.List("acme"))
			}
		})
	}
	deploy(t, h, fix(bundle(t, "second", "x", "")), Live, 0)
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: fix(bundle(t, "third", "x", "")), As: Live}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := h.Deploy(t.Context(), Request{Tenant: "nobody", Bundle: ok, As: Live}); !fault.Is(err, fault.NotFound) {
		t.Errorf("another tenant: %v", err)
	}
	store.Away(errors.New("away"))
	if _, err := h.Deploy(t.Context(), Request{Tenant: "acme", Bundle: fix(bundle(t, "first", "two", "")), As: Live}); err == nil {
		t.Error("kept by a store that fails")
	}
	store.Away(nil)
	if w, n := ask(h, "first", "ann"); w != "one" || n != 1 {
		t.Errorf("version %d says %q", n, w)
	}
}

// TestSwapUnderLoad deploys while events flow: each is answered by one version.
func TestSwapUnderLoad(t *testing.T) {
	const deploys = 100
	h := newHost(t, &celltest.Store{}, nil)
	deploy(t, h, bundle(t, "filter", "v1", ""), Live, 0)
	var stop atomic.Bool
	var events atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for !stop.Load() {
				if w, n := ask(h, "filter", fmt.Sprint("user", i)); w != fmt.Sprint("v", n) {
					t.Errorf("version %d says %q", n, w)
				}
				events.Add(1)
			}
		})
	}
	for n := 2; n <= deploys; n++ {
		deploy(t, h, bundle(t, "filter", fmt.Sprint("v", n), ""), Live, 0)
	}
	stop.Store(true)
	wg.Wait()
	if w, n := ask(h, "filter", "ann"); n != deploys { // so that there is something to close
		t.Errorf("version %d says %q", n, w)
	}
	p := h.For("acme").Named("filter")
	live := p.set.Load().live
	h.Close()
	if n := live.program.Instances(); n != 0 {
		t.Errorf("%d instances are left", n)
	}
	t.Logf("%d events over %d deploys", events.Load(), deploys)
}

// TestCannotBeRun: a version that the policy does not permit any more is still bound to
// its events, and refuses them; a good one that is deployed takes its place.
func TestCannotBeRun(t *testing.T) {
	store := &celltest.Store{}
	first := newHost(t, store, nil)
	deploy(t, first, bundle(t, "filter", "one", ""), Live, 0)
	first.Close()
	h := newHost(t, store, func(p *Policy) { p.Limits.Module = 1 << 10 })
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, n := ask(h, "filter", "ann"); word != pool.ReasonStart || n != 1 {
		t.Errorf("version %d says %q", n, word)
	}
	lines, _ := h.Find("acme", "filter").Logs.After(0)
	if len(lines) == 0 || !strings.Contains(lines[0].Text, "limits.module") {
		t.Errorf("the developer is told %+v", lines)
	}
	h.Close()
	h = newHost(t, store, nil)
	if err := h.Load(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if word, n := ask(h, "filter", "ann"); word != "one" || n != 1 {
		t.Errorf("version %d says %q", n, word)
	}
}

// TestOthersDoNotWait: while one tenant's deploy takes long, another's rollback does not.
func TestOthersDoNotWait(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	h.deps.Fixtures = func(context.Context, *guest.Program, *manifest.Bundle) error { return nil }
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Live, 0)
	h.deps.Fixtures = func(context.Context, *guest.Program, *manifest.Bundle) error {
		close(entered)
		<-release
		return nil
	}
	done := make(chan error, 1)
	go func() { // ended by release
		_, err := h.Deploy(context.Background(), Request{Tenant: "globex", By: "dev", Bundle: bundle(t, "slow", "x", ""), As: Live})
		done <- err
	}()
	<-entered
	h.deps.Fixtures = nil
	if m, err := h.Switch(t.Context(), "acme", "filter", 1); err != nil || m.Number != 1 {
		t.Errorf("%v, %+v", err, m)
	}
	if word, _ := ask(h, "filter", "ann"); word != "one" {
		t.Errorf("it says %q", word)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestBadCanary is taken back by itself, and the log says why.
func TestBadCanary(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }() // ended by cancel
	deploy(t, h, bundle(t, "filter", "good", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "other", ""), Shadow, 0)
	deploy(t, h, bundle(t, "filter", "trap", ""), Canary, 0.5)
	p := h.For("acme").Named("filter")
	for start, i := time.Now(), 0; h.RolledBack.Load() == 0; i++ {
		if time.Since(start) > time.Minute {
			t.Fatal("it was not taken back")
		}
		ask(h, "filter", fmt.Sprint("user", i%100))
	}
	for i := range 50 {
		if w, n := ask(h, "filter", fmt.Sprint("user", i)); w != "good" {
			t.Errorf("version %d says %q", n, w)
		}
	}
	lines, _ := p.Logs.After(0)
	text := ""
	for _, l := range lines {
		text += l.Text + "\n"
	}
	if !strings.Contains(text, "the canary was taken back: it fails on") || !strings.Contains(text, "failed (code)") {
		t.Error(text)
	}
	for start := time.Now(); h.Differed.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("the shadow has seen nothing")
		}
	}
	if d := p.Diffs.List()[0]; len(d.Shadow) != 1 || string(d.Shadow[0].A) != "other" {
		t.Errorf("%+v", d)
	}
	if s, _ := h.Status("acme", "filter"); s.Canary != 0 || s.Why == "" || s.Live != 1 {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// left is how many cells there are beside the version of what is kept, which goes on.
func left(store *celltest.Store) (n int) {
	store.Each(func(_, _, key string, _ []byte) {
		if key != versionKey {
			n++
		}
	})
	return n
}
