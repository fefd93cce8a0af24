package embedded

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysKeepTheOrderOfNamesAndTheirBounds(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 'ÿ', '\U0010ffff'}), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		a := []string{name.Draw(t, "a1"), name.Draw(t, "a2")}
		b := []string{name.Draw(t, "b1"), name.Draw(t, "b2")}
		ka, kb := appendKey(nil, tableMember, a...), appendKey(nil, tableMember, b...)
		if got, want := bytes.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Fatalf("%q and %q compare as %d, their keys as %d", a, b, want, got)
		}
		if last, ok := lastField(ka, 2); !ok || last != a[1] {
			t.Fatalf("the last field of %q is %q", a, last)
		}
		// A scan of a's rows meets those of its first field, and no others.
		prefix := appendKey(nil, tableMember, a[0])
		inside := bytes.Compare(kb, prefix) >= 0 && bytes.Compare(kb, appendEnd(nil, prefix)) < 0
		if inside != (a[0] == b[0]) {
			t.Fatalf("%q is among the rows of %q: %v", b, a[0], inside)
		}
	})
}

func FuzzField(f *testing.F) {
	f.Add(appendField(nil, "a\x00b"))
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, key []byte) {
		s, tail, ok := field(key)
		if ok && !bytes.Equal(append(appendField(nil, s), tail...), key) {
			t.Errorf("%q was read as %q and %q", key, s, tail)
		}
	})
}

func TestFilter(t *testing.T) {
	f := newFilter()
	// Hashes as maphash gives them: splitmix64.
	hash := func(i uint64) uint64 {
		i *= 0x9e3779b97f4a7c15
		i = (i ^ i>>30) * 0xbf58476d1ce4e5b9
		i = (i ^ i>>27) * 0x94d049bb133111eb
		return i ^ i>>31
	}
	const keys = 200_000
	for i := range uint64(keys) {
		f.add(hash(i + 1))
	}
	for i := range uint64(keys) {
		if !f.has(hash(i + 1)) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
	wrong := 0
	for i := range uint64(keys) {
		if f.has(hash(1<<40 + i)) {
			wrong++
		}
	}
	if share := float64(wrong) / keys; share > 0.03 {
		t.Errorf("%.1f %% of what was never added is found", share*100)
	}
}
