package host

import (
	"testing"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestBundlesAreGivenBack as they were deployed, for as long as they are kept.
func TestBundlesAreGivenBack(t *testing.T) {
	store := &celltest.Store{}
	h := newHost(t, store, nil)
	one, two := bundle(t, "filter", "one", ""), bundle(t, "filter", "two", "")
	deploy(t, h, one, Live, 0)
	deploy(t, h, two, Live, 0)
	for number, want := range map[int]*manifest.Bundle{0: two, 1: one, 2: two} {
		packed, err := h.Bundle(t.Context(), "acme", "filter", number)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := manifest.Unpack(packed, manifest.MaxBundle); err != nil || b.Digest() != want.Digest() {
			t.Errorf("version %d: %v", number, err)
		}
	}
	for name, c := range map[string]struct {
		tenant, plugin string
		number         int
		field          string
	}{"another number": {"acme", "filter", 3, "number"}, "another plugin": {"acme", "other", 0, "plugin"}, "another tenant": {"globex", "filter", 0, "plugin"}} {
		if _, err := h.Bundle(t.Context(), c.tenant, c.plugin, c.number); !fault.Is(err, fault.NotFound) || fault.Of(err).Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	damaged := store.Value("acme", tableBundles+"filter", piece(1, 0))
	damaged[100] ^= 1
	store.Set("acme", tableBundles+"filter", piece(1, 0), damaged)
	if _, err := h.Bundle(t.Context(), "acme", "filter", 1); !fault.Is(err, fault.Internal) {
		t.Errorf("one that is broken on disk: %v", err)
	}
}

// TestLogsBehindANumber also of a log that was before this one.
func TestLogsBehindANumber(t *testing.T) {
	var l Logs
	for range maxLines + 10 {
		l.add(Line{})
	}
	for after, want := range map[uint64]struct{ first, lines int }{
		0: {11, maxLines}, 5: {11, maxLines}, 11: {12, maxLines - 1}, maxLines + 9: {maxLines + 10, 1}, maxLines + 10: {0, 0}, maxLines + 11: {11, maxLines}, 1 << 60: {11, maxLines},
	} {
		lines, more := l.After(after)
		if len(lines) != want.lines || more == nil || len(lines) > 0 && lines[0].Sequence != uint64(want.first) {
			t.Errorf("behind %d: %d lines", after, len(lines))
		}
	}
}
