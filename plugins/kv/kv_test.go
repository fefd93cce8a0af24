package kv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

type rig struct {
	*Store
	cells *celltest.Store
	time  time.Time
}

func newRig() *rig {
	r := &rig{cells: &celltest.Store{}, time: time.UnixMilli(1e12)}
	r.Store = New(r.cells, func() time.Time { return r.time })
	return r
}

func (r *rig) part(t testing.TB, quota int64) *Part {
	p, err := r.Open(context.Background(), "acme", "p", quota)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOverlay(t *testing.T) {
	r := newRig()
	p := r.part(t, 0)
	k := func(s string) []byte { return []byte(s) }
	var o, other Overlay
	o.Begin(t.Context(), p)
	if _, st := o.Get(k("a")); st != hostapi.NotFound {
		t.Error(st)
	}
	if st := o.Put(k("a"), k("1"), time.Second); st != hostapi.OK {
		t.Error(st)
	}
	if st := o.Swap(k("a"), k("2"), k("3"), 0); st != hostapi.Conflict {
		t.Error(st)
	}
	if st := o.Swap(k("b"), nil, k(""), 0); st != hostapi.OK {
		t.Error(st)
	}
	if v, st := o.Get(k("b")); st != hostapi.OK || v == nil || len(v) != 0 {
		t.Error(v, st)
	}
	if n, st := o.Add(k("n"), 5, time.Minute); n != 5 || st != hostapi.OK {
		t.Error(n, st)
	}
	if n, st := o.Add(k("n"), -7, 0); n != -2 || st != hostapi.OK {
		t.Error(n, st)
	}
	if _, st := o.Add(k("b"), 1, 0); st != hostapi.Invalid {
		t.Error(st)
	}
	if _, st := o.Add(k("n"), -1<<63, 0); st != hostapi.Invalid {
		t.Error("beyond the end:", st)
	}
	other.Begin(t.Context(), p)
	if _, st := other.Get(k("a")); st != hostapi.NotFound {
		t.Error("seen before it was committed:", st)
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	other.Begin(t.Context(), p)
	if v, st := other.Get(k("a")); st != hostapi.OK || string(v) != "1" {
		t.Error(v, st)
	}
	r.time = r.time.Add(time.Second)
	other.Begin(t.Context(), p)
	if _, st := other.Get(k("a")); st != hostapi.NotFound {
		t.Error("its time is over:", st)
	}
	if st := other.Swap(k("a"), nil, k("again"), 0); st != hostapi.OK {
		t.Error(st)
	}
	if st := other.Delete(k("b")); st != hostapi.OK {
		t.Error(st)
	}
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	r.time = r.time.Add(time.Hour)
	if n, err := r.Sweep(t.Context(), 1000); n != 1 || err != nil { // n
		t.Error(n, err)
	}
	if bytes, keys := r.Usage("acme"); keys != 1 || bytes != int64(len("a")+len("again")+expiry) {
		t.Error(bytes, keys)
	}
}

// TestCommitsAreSerial has calls add to and swap the same keys at once.
func TestCommitsAreSerial(t *testing.T) {
	r := newRig()
	p := r.part(t, 0)
	var wg sync.WaitGroup
	const calls, workers = 200, 8
	for range workers {
		wg.Go(func() {
			var o Overlay
			for range calls {
				for {
					o.Begin(context.Background(), p)
					a, _ := o.Add([]byte("a"), 1, 0)
					if st := o.Put([]byte("b"), fmt.Append(nil, a), 0); st != hostapi.OK {
						t.Error(st)
					}
					err := o.Commit()
					if err == nil {
						break
					}
					if !errors.Is(err, ErrStale) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	var o Overlay
	o.Begin(t.Context(), p)
	a, _ := o.Get([]byte("a"))
	b, _ := o.Get([]byte("b"))
	if string(a) != fmt.Sprint(calls*workers) || string(b) != string(a) {
		t.Errorf("a is %s, b is %s", a, b)
	}
}

func TestQuota(t *testing.T) {
	r := newRig()
	p := r.part(t, 100)
	var o, second Overlay
	o.Begin(t.Context(), p)
	if st := o.Put([]byte("k"), make([]byte, 91), 0); st != hostapi.OK {
		t.Error(st)
	}
	if st := o.Put([]byte("l"), nil, 0); st != hostapi.Quota {
		t.Error(st)
	}
	second.Begin(t.Context(), p)
	if st := second.Put([]byte("m"), make([]byte, 50), 0); st != hostapi.OK {
		t.Error("each fits alone:", st)
	}
	if err := o.Commit(); err != nil {
		t.Error(err)
	}
	if err := second.Commit(); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	o.Begin(t.Context(), p)
	if st := o.Put([]byte("k"), make([]byte, 10), 0); st != hostapi.OK {
		t.Error("less than before:", st)
	}
	if err := o.Commit(); err != nil {
		t.Error(err)
	}
	if _, found, _ := r.cells.Cell(t.Context(), "acme", "kv/p", "m"); found {
		t.Error("a refused commit has written")
	}
}

// TestUsage compares what is counted with what is there, after random calls.
func TestUsage(t *testing.T) {
	r := newRig()
	p := r.part(t, 2000)
	rng := rand.New(rand.NewPCG(1, 2))
	var o Overlay
	for range 2000 {
		o.Begin(t.Context(), p)
		for range rng.IntN(4) {
			key := fmt.Append(nil, "k", rng.IntN(20))
			life := time.Duration(rng.IntN(3)) * time.Second
			switch rng.IntN(5) {
			case 0:
				o.Delete(key)
			case 1:
				o.Add(key, int64(rng.IntN(100)), life)
			case 2:
				old, _ := o.Get(key)
				o.Swap(key, old, make([]byte, rng.IntN(100)), life)
			default:
				o.Put(key, make([]byte, rng.IntN(200)), life)
			}
		}
		if err := o.Commit(); err != nil {
			t.Fatal(err)
		}
		r.time = r.time.Add(100 * time.Millisecond)
		if rng.IntN(10) == 0 {
			if _, err := r.Sweep(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
		}
		again, bytes, keys := New(r.cells, nil), int64(0), int64(0)
		if _, err := again.Open(t.Context(), "acme", "p", 0); err != nil {
			t.Fatal(err)
		}
		bytes, keys = again.Usage("acme")
		if b, k := r.Usage("acme"); b != bytes || k != keys || b > 2000 {
			t.Fatalf("counted %d bytes in %d keys, there are %d in %d", b, k, bytes, keys)
		}
	}
}

func TestStoreFails(t *testing.T) {
	r := newRig()
	p := r.part(t, 0)
	var o Overlay
	o.Begin(t.Context(), p)
	away := errors.New("away")
	r.cells.Away(away)
	if st := o.Put([]byte("a"), []byte("1"), 0); st != hostapi.Unavailable {
		t.Error(st)
	}
	if err := o.Commit(); !errors.Is(err, away) {
		t.Error(err)
	}
}

// TestDrop: keys go, their room is free, and who had begun before writes nothing.
func TestDrop(t *testing.T) {
	cells := &celltest.Store{}
	s := New(cells, nil)
	part := func(plugin string) *Part {
		p, err := s.Open(t.Context(), "acme", plugin, 0)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	put := func(o *Overlay, key string) error {
		if got := o.Put([]byte(key), []byte("v"), 0); got != hostapi.OK {
			t.Fatal(got)
		}
		return o.Commit()
	}
	var early, o Overlay
	old := part("gone")
	early.Begin(t.Context(), old)
	for i := range 3 * page {
		o.Begin(t.Context(), old)
		if err := put(&o, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	o.Begin(t.Context(), part("stays"))
	if err := put(&o, "k"); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), "acme", "gone"); err != nil {
		t.Fatal(err)
	}
	if _, keys := s.Usage("acme"); keys != 1 || cells.Len() != 1 {
		t.Errorf("%d keys are counted, %d there", keys, cells.Len())
	}
	if err := put(&early, "late"); err == nil || cells.Len() != 1 {
		t.Errorf("a call writes for a plugin that is gone: %v", err)
	}
	o.Begin(t.Context(), part("gone"))
	if err := put(&o, "again"); err != nil {
		t.Error(err)
	}
	if err := New(cells, nil).Drop(t.Context(), "acme", "gone"); err != nil || cells.Len() != 1 {
		t.Errorf("not opened: %v, %d keys", err, cells.Len())
	}
}

// TestWrites: a call that writes more than the tenant may changes nothing, and what it
// would have added is not counted. One that writes nothing is not asked.
func TestWrites(t *testing.T) {
	r := newRig()
	left, asked := int64(200), 0
	r.Writes = func(tenant string, n int64) bool {
		if asked++; tenant != "acme" || n > left {
			return false
		}
		left -= n
		return true
	}
	p := r.part(t, 1000)
	for i, c := range []struct {
		value string // empty: it is only read
		want  error
		left  int64
		asked int
	}{
		{strings.Repeat("x", 20), nil, 200 - 64 - 1 - 8 - 20, 1},
		{"", nil, 107, 1},
		{strings.Repeat("y", 35), ErrWrites, 107, 2}, // one byte too many
		{strings.Repeat("z", 34), nil, 0, 3},
		{"again", ErrWrites, 0, 4},
	} {
		var o Overlay
		o.Begin(t.Context(), p)
		if c.value == "" {
			o.Get([]byte("k"))
		} else if st := o.Put([]byte("k"), []byte(c.value), 0); st != hostapi.OK {
			t.Fatal(st)
		}
		if err := o.Commit(); !errors.Is(err, c.want) || left != c.left || asked != c.asked {
			t.Errorf("call %d: %v, %d bytes are left, asked %d times", i, err, left, asked)
		}
	}
	if bytes, keys := r.Usage("acme"); bytes != 1+8+34 || keys != 1 {
		t.Errorf("%d bytes, %d keys", bytes, keys)
	}
}
