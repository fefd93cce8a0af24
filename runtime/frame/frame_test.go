package frame

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte("x"), n)
		f := Finish(append(Begin(n), payload...), n%2 == 0, Durable, "")
		w := f.Wire()
		op, size, head := w[0], int(w[1]), 2
		switch size {
		case 126:
			size, head = int(binary.BigEndian.Uint16(w[2:])), 4
		case 127:
			size, head = int(binary.BigEndian.Uint64(w[2:])), 10
		}
		want := byte(0x81)
		if n%2 == 0 {
			want = 0x82
		}
		if op != want || size != n || !bytes.Equal(w[head:], payload) || f.Size() != len(w) || !bytes.Equal(f.Payload(), payload) {
			t.Errorf("%d bytes: header % x, size %d", n, w[:head], f.Size())
		}
	}
}

func TestDeflatedIsMadeOnce(t *testing.T) {
	f := Finish(append(Begin(3), "abc"...), false, Control, "")
	calls := 0
	for range 2 {
		w := f.Deflated(func([]byte) []byte { calls++; return []byte("z") })
		if !bytes.Equal(w, []byte{0xc1, 1, 'z'}) {
			t.Fatalf("% x", w)
		}
	}
	if calls != 1 {
		t.Errorf("deflated %d times", calls)
	}
	plain := Finish(append(Begin(3), "abc"...), false, Control, "")
	if w := plain.Deflated(func([]byte) []byte { return nil }); !bytes.Equal(w, plain.Wire()) {
		t.Errorf("not worth it: % x", w)
	}
}

func TestJoinedMessagesFollowEachOther(t *testing.T) {
	one := Finish(append(Begin(3), "abc"...), false, Ephemeral, "k").Marked(Mark{7, 8})
	two := Finish(append(Begin(2), 1, 2), true, Control, "")
	f := Join(one, two)
	want := []byte{0x81, 3, 'a', 'b', 'c', 0x82, 2, 1, 2}
	if !bytes.Equal(f.Wire(), want) || f.Size() != len(want) {
		t.Errorf("% x", f.Wire())
	}
	if f.Class() != Ephemeral || f.Key() != "k" || f.Mark() != (Mark{7, 8}) || len(f.Parts()) != 2 {
		t.Error("not like its first")
	}
	z := f.Deflated(func(p []byte) []byte {
		if len(p) < 3 {
			return nil
		}
		return []byte("z")
	})
	if !bytes.Equal(z, []byte{0xc1, 1, 'z', 0x82, 2, 1, 2}) {
		t.Errorf("% x", z)
	}
}
