package host

import (
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

// TestShadowBytes: what waits for shadows is bounded in bytes, and what they do not see is
// counted, and holds no version.
func TestShadowBytes(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	deploy(t, h, bundle(t, "filter", "one", ""), Live, 0)
	deploy(t, h, bundle(t, "filter", "two", ""), Shadow, 0)
	p := h.Find("acme", "filter")
	long := []byte(strings.Repeat("x", 64<<10))
	j := pool.Job{Full: long, Actions: []hostapi.Action{{Kind: hostapi.Replace, A: long}}}
	const offered = shadowBytes / (128 << 10)
	if offered > shadowQueue {
		t.Fatal("bytes are no bound here")
	}
	for range offered {
		p.Mirror(&j, hostapi.CodecBytes, nil, nil)
	}
	waiting := h.shadows.Rest()
	for _, n := range waiting {
		n.version.Release()
	}
	// One tenant has half of it, and each event counts some bytes beside its payload.
	if n := len(waiting); n < offered/2-2 || n >= offered/2 || h.ShadowsMissed.Load() != uint64(offered-n) {
		t.Errorf("%d of %d wait, %d are missed", n, offered, h.ShadowsMissed.Load())
	}
	shadow := p.set.Load().shadow
	if _, err := h.Stop(t.Context(), "acme", "filter"); err != nil {
		t.Fatal(err)
	}
	if shadow.hold() {
		t.Error("somebody holds the shadow yet")
	}
}

// TestTenantsOfTheCrowd are those that have plugins, among whom a part of the processors
// is divided.
func TestTenantsOfTheCrowd(t *testing.T) {
	h := newHost(t, &celltest.Store{}, nil)
	defer h.Close()
	served, gone := h.deps.Policy, ""
	h.deps.Policy = func(tenant string) *Policy {
		if tenant == gone {
			return nil
		}
		return served(tenant)
	}
	have := func(what string, want int64) {
		t.Helper()
		if n := h.Crowd.Tenants.Load(); n != want {
			t.Errorf("%s: %d tenants, want %d", what, n, want)
		}
	}
	on := func(tenant string, b *manifest.Bundle) {
		t.Helper()
		if _, err := h.Deploy(t.Context(), Request{Tenant: tenant, Bundle: b, As: Live}); err != nil {
			t.Fatal(err)
		}
	}
	on("acme", bundle(t, "a", "one", ""))
	on("acme", bundle(t, "b", "one", ""))
	have("two plugins of one", 1)
	on("globex", bundle(t, "a", "one", ""))
	have("another one's", 2)
	gone = "globex"
	h.Retire()
	have("one is gone", 1)
	gone = ""
	if err := h.Load(t.Context(), "globex"); err != nil {
		t.Fatal(err)
	}
	have("it is back", 2)
	for _, name := range []string{"a", "b"} {
		if err := h.Remove(t.Context(), "acme", name); err != nil {
			t.Fatal(err)
		}
	}
	have("one has none any more", 1)
}
