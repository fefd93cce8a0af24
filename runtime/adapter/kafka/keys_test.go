package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/sequence"
)

// TestKeys are found for a window, as what they were stored as last, and not for longer.
func TestKeys(t *testing.T) {
	k := newKeys(time.Second)
	at := func(n, ms uint64) (sequence.Key, sequence.Stored) {
		r := said("conv:1", n)
		r.Timestamp = int64(ms)
		k.put(&r)
		return sequence.KeyOf(&r), sequence.StoredOf(&r)
	}
	again, _ := at(1, 0)
	for ms := uint64(1); ms <= 3*chunkLen; ms++ {
		if ms == 500 {
			r := said("conv:1", 1)
			r.Offset, r.Timestamp = 77, 500
			k.put(&r)
		}
		key, want := at(ms+1, ms)
		if got, ok := k.find(key); !ok || got != want {
			t.Fatalf("%+v is stored as %+v, %v; want %+v", key, got, ok, want)
		}
		if got, ok := k.find(again); ok != (ms <= 1500) || ok && ms >= 500 && got.Offset != 77 {
			t.Fatalf("after %d ms the first key is stored as %+v, %v", ms, got, ok)
		}
	}
	if len(k.found) != 1001 || len(k.chunks) > 2 {
		t.Errorf("%d keys are remembered, in %d chunks", len(k.found), len(k.chunks))
	}
}

func BenchmarkKeys(b *testing.B) {
	k := newKeys(10 * time.Minute)
	r := said("conv:1", 1)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		r.Key, r.Timestamp = fmt.Sprint(n), 4*n // as 250 events a second
		if _, ok := k.find(sequence.KeyOf(&r)); ok {
			b.Fatal("found before it was stored")
		}
		k.put(&r)
	}
}
