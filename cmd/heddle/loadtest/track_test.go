package loadtest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTrack compares the track with a set of everything seen.
func TestTrack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k track
		seen, top := map[uint64]bool{}, uint64(0)
		for _, n := range rapid.SliceOf(rapid.Uint64Range(1, 40)).Draw(t, "offsets") {
			want := inOrder
			switch {
			case seen[n]:
				want = repeated
			case n < top:
				want = late
			}
			if got := k.see(n); got != want {
				t.Fatalf("offset %d: %d, want %d", n, got, want)
			}
			seen[n], top = true, max(top, n)
		}
		if got := k.missing(50); got != 50-uint64(len(seen)) {
			t.Fatalf("%d missing, want %d", got, 50-len(seen))
		}
		first := uint64(1)
		for seen[first] {
			first++
		}
		if k.rewind(); len(seen) > 0 && k.last != first-1 {
			t.Fatalf("rewound to %d, the first hole is %d", k.last, first)
		}
	})
}

func TestTrackIsBounded(t *testing.T) {
	var k track
	const n = 3 * maxHoles
	for i := uint64(1); i <= n; i++ {
		k.see(2 * i)
	}
	if len(k.holes) != maxHoles || k.missing(2*n) != n {
		t.Errorf("%d holes, %d missing", len(k.holes), k.missing(2*n))
	}
}

func TestLedger(t *testing.T) {
	l := &ledger{name: "conv:1"}
	l.begin("e", 10)
	l.begin("e", 12)
	e := func(sender, number uint32) uint64 { return entryOf(stamp{sender: sender, number: number}) }
	for i, entry := range []uint64{e(1, 1), e(2, 1), foreign, e(1, 3), e(1, 2), e(2, 1)} {
		for range 2 {
			if l.record(11+uint64(i), entry) {
				t.Errorf("offset %d contradicts itself", 11+i)
			}
		}
	}
	if !l.record(12, e(1, 9)) {
		t.Error("a contradiction was not seen")
	}
	if l.record(10, e(1, 9)) || l.record(10+5*chunkSize, foreign) {
		t.Error("what lies outside contradicts")
	}
	if twice, disordered := l.audit(); twice != 1 || disordered != 1 {
		t.Errorf("%d twice, %d disordered", twice, disordered)
	}
}

func FuzzStamp(f *testing.F) {
	f.Add([]byte(`{"text":"lt1:3:4:5:xxx"}`))
	f.Add([]byte("lt1:1:2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, ok := parseStamp(data); ok {
			again, ok := parseStamp(s.append(nil, 64))
			if !ok || again != s {
				t.Errorf("%+v became %+v", s, again)
			}
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	t := newTest(Options{Conns: 10, Rooms: 1, Size: 128, RoomType: "conv", run: "bench"})
	m := t.members[1]
	m.t.opt.Durable = true
	frame := t.message(t.members[0], 1, 0)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	frame = slices.Clone(frame)
	for b.Loop() {
		_ = t.opt.Dialect.Decode(frame, m.envelope)
	}
}
