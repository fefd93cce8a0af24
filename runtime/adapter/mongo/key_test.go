package mongo

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
)

// drawFields draws fields that are likely to be close to each other.
func drawFields(t *rapid.T, name string, n int) []string {
	letters := rapid.SampledFrom([]byte("\x00\x01 !\"~\x7f/0a\xc3\xa9\xff"))
	return rapid.Custom(func(t *rapid.T) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = string(rapid.SliceOfN(letters, 0, 4).Draw(t, "field"))
		}
		return out
	}).Draw(t, name)
}

func TestKeysAreInTheOrderOfTheirFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "fields")
		a, b := drawFields(t, "a", n), drawFields(t, "b", n)
		ka, kb := key(a...), key(b...)
		if got, want := strings.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Fatalf("%q and %q: %d, want %d", ka, kb, got, want)
		}
		if got := fieldsOf(ka); !slices.Equal(got, a) {
			t.Fatalf("%q became %q by %q", a, got, ka)
		}
		if !utf8.ValidString(ka) {
			t.Fatalf("%q is not UTF-8", ka)
		}
	})
}

func TestSpans(t *testing.T) {
	in := func(s span, id string) bool { return s.from <= id && id < s.to }
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawFields(t, "a", 3), drawFields(t, "b", 3)
		same := slices.Equal(a[:2], b[:2])
		if all := under(a[:2]...); in(all, key(b...)) != same {
			t.Fatalf("%q is under %q: %v", b, a[:2], !same)
		}
		if behind := under(a[:2]...).behind(a[2]); in(behind, key(b...)) != (same && (a[2] == "" || b[2] > a[2])) {
			t.Fatalf("%q is behind %q: %v", b, a, in(behind, key(b...)))
		}
		from, to, at := rapid.Uint64().Draw(t, "from"), rapid.Uint64().Draw(t, "to"), rapid.Uint64Range(0, event.MaxOffset).Draw(t, "at")
		if at == 0 || from > event.MaxOffset {
			return
		}
		if some := under("x", "y").offsets(from, to); in(some, eventID("x", "y", at)) != (from <= at && at <= to) {
			t.Fatalf("%d is in %d to %d: %v", at, from, to, in(some, eventID("x", "y", at)))
		}
	})
}

func TestForeignIDs(t *testing.T) {
	for _, id := range []string{"a!", "a!0", "~zz b", "x ~7"} {
		if got := fieldsOf(id); got != nil {
			t.Errorf("%q: %q", id, got)
		}
	}
}
