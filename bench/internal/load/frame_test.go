package load

import (
	"bytes"
	"testing"
)

// served is a client frame as a server would send it: without the mask.
func served(op byte, payload []byte) []byte {
	f := AppendFrame(nil, op, payload)
	h := len(f) - len(payload)
	f[1] &^= 0x80
	return append(f[:h-4:h-4], payload...)
}

func TestFrame(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		want := bytes.Repeat([]byte("abc"), n/3+1)[:n]
		masked := AppendFrame(nil, OpText, want)
		for i := range n {
			masked[len(masked)-n+i] ^= mask[i&3]
		}
		if !bytes.HasSuffix(masked, append([]byte(mask), want...)) {
			t.Errorf("%d: the mask does not undo itself", n)
		}
		f := served(OpText, want)
		if _, _, _, ok := nextFrame(f[:len(f)-1]); ok {
			t.Errorf("%d: a cut frame was accepted", n)
		}
		first, p, rest, ok := nextFrame(append(f, 'x'))
		if !ok || first != 0x80|OpText || !bytes.Equal(p, want) || string(rest) != "x" {
			t.Errorf("%d: got %d bytes, rest %q, %v", n, len(p), rest, ok)
		}
	}
}

func TestBody(t *testing.T) {
	const ts = 1700000000123456789
	b := AppendBody(nil, ts)
	if len(b) != BodySize {
		t.Errorf("body has %d bytes, want %d", len(b), BodySize)
	}
	if got, ok := timestamp(append([]byte(`42["msg",`), b...), StampKey); !ok || got != ts {
		t.Errorf("timestamp = %d, %v", got, ok)
	}
	if s := string(BodyStamp(b)); s != "1700000000123456789" {
		t.Errorf("stamp = %s", s)
	}
	for _, bad := range []string{"", `"ts":"17000000001234567`, `"ts":"17000000001x3456789"`} {
		if _, ok := timestamp([]byte(bad), StampKey); ok {
			t.Errorf("%q has a timestamp", bad)
		}
	}
}

func FuzzNextFrame(f *testing.F) {
	f.Add([]byte{0x81, 0x02, 'h', 'i'})
	f.Add([]byte{0x82, 126, 0, 1, 'x', 'y'})
	f.Add([]byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		_, payload, rest, ok := nextFrame(p)
		if ok && len(payload)+len(rest)+2 > len(p) {
			t.Errorf("%d bytes became %d and %d", len(p), len(payload), len(rest))
		}
		if !ok && len(rest) != len(p) {
			t.Error("a part of a frame was lost")
		}
	})
}

func BenchmarkNextFrame(b *testing.B) {
	f := served(OpText, AppendBody(nil, Now()))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := nextFrame(f); !ok {
			b.Fatal("no frame")
		}
	}
}
