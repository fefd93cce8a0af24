package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/runtime/cell"
)

// several is a Shared in memory.
type several struct {
	cell.Memory
	mu   sync.Mutex
	away error
}

func (s *several) SwapWithin(ctx context.Context, tenant, table string, was, put []cell.Cell, quota int64) (cell.Swapped, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return cell.Swapped{}, s.away
	}
	grown := int64(0)
	for _, c := range put {
		if v, found, _ := s.Cell(ctx, tenant, table, c.Key); found {
			grown -= size(c.Key, v)
		}
		if c.Value != nil {
			grown += size(c.Key, c.Value)
		}
	}
	out := s.has(tenant)
	if out.Full = grown > 0 && quota > 0 && out.Bytes+grown > quota; out.Full {
		put = nil
	}
	made, err := s.SwapCells(ctx, tenant, table, was, put)
	if !made || out.Full {
		return cell.Swapped{Full: made, Bytes: out.Bytes, Keys: out.Keys}, err
	}
	out = s.has(tenant)
	out.Made = true
	return out, err
}

func (s *several) has(tenant string) (out cell.Swapped) {
	s.Each(func(of, _, key string, value []byte) {
		if of == tenant {
			out.Bytes, out.Keys = out.Bytes+size(key, value), out.Keys+1
		}
	})
	return out
}

// nodes are stores of the same; the first one sweeps.
func nodes(n int, now func() time.Time) (all []*Store, kept *several) {
	kept = &several{}
	for i := range n {
		all = append(all, NewShared(kept, func(string, string) bool { return i == 0 }, now))
	}
	return all, kept
}

func open(t testing.TB, s *Store, quota int64) *Part {
	t.Helper()
	p, err := s.Open(t.Context(), "acme", "p", quota)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// call is what a pool does with a call that is stale: at last it runs alone.
func call(t testing.TB, p *Part, do func(o *Overlay)) error {
	var o Overlay
	for try := 0; ; try++ {
		if try == 3 {
			if err := p.Alone(t.Context(), &o); err != nil {
				return err
			}
			defer p.Together(&o)
		}
		o.Begin(t.Context(), p)
		do(&o)
		if err := o.Commit(); !errors.Is(err, ErrStale) || try == 3 {
			return err
		}
	}
}

// TestNodesAdd: calls of many nodes that change the same keys are as if one came after the
// other, and none fails because of the others.
func TestNodesAdd(t *testing.T) {
	all, kept := nodes(3, nil)
	const workers, calls = 3, 40
	var wg sync.WaitGroup
	for _, s := range all {
		p := open(t, s, 0)
		for range workers {
			wg.Go(func() {
				for range calls {
					err := call(t, p, func(o *Overlay) {
						n, _ := o.Add([]byte("a"), 1, 0)
						if st := o.Put([]byte("b"), strconv.AppendInt(nil, n, 10), 0); st != hostapi.OK {
							t.Error(st)
						}
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	want := fmt.Sprint(len(all) * workers * calls)
	for _, key := range []string{"a", "b"} {
		raw, _, _ := kept.Cell(t.Context(), "acme", "kv/p", key)
		if got, _ := unpack(raw, 0); string(got) != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if _, found, _ := kept.Cell(t.Context(), "acme", "kv/p", gate); found {
		t.Error("the gate is shut")
	}
}

// TestNodesSwap: of two who swap the same value one does.
func TestNodesSwap(t *testing.T) {
	all, _ := nodes(2, nil)
	var first, second Overlay
	for i, o := range []*Overlay{&first, &second} {
		o.Begin(t.Context(), open(t, all[i], 0))
		if st := o.Swap([]byte("k"), nil, []byte("mine"), 0); st != hostapi.OK {
			t.Fatal(st)
		}
	}
	if err := first.Commit(); err != nil {
		t.Error(err)
	}
	if err := second.Commit(); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
}

// TestNodesQuota: what all nodes write together is bounded, and what one frees another may
// have.
func TestNodesQuota(t *testing.T) {
	all, kept := nodes(2, nil)
	a, b := open(t, all[0], 50), open(t, all[1], 50)
	var one, two Overlay
	one.Begin(t.Context(), a)
	two.Begin(t.Context(), b)
	for _, st := range []hostapi.Status{one.Put([]byte("k"), make([]byte, 30), 0), two.Put([]byte("l"), make([]byte, 30), 0)} {
		if st != hostapi.OK {
			t.Error("each fits alone:", st)
		}
	}
	if err := one.Commit(); err != nil {
		t.Error(err)
	}
	if err := two.Commit(); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	two.Begin(t.Context(), b)
	if st := two.Put([]byte("l"), make([]byte, 30), 0); st != hostapi.Quota {
		t.Error("it is known by now:", st)
	}
	if err := call(t, a, func(o *Overlay) { o.Delete([]byte("k")) }); err != nil {
		t.Error(err)
	}
	two.Begin(t.Context(), b)
	if st := two.Put([]byte("l"), make([]byte, 30), 0); st != hostapi.OK {
		t.Error("the other node has made room:", st)
	}
	if err := two.Commit(); err != nil {
		t.Error(err)
	}
	if bytes, keys := all[1].Usage("acme"); bytes != kept.has("acme").Bytes || keys != 1 {
		t.Error(bytes, keys)
	}
}

// TestNodesDrop: when a plugin is removed on one node, no other writes any more, until
// there is another plugin of that name.
func TestNodesDrop(t *testing.T) {
	all, kept := nodes(2, nil)
	a, b := open(t, all[0], 0), open(t, all[1], 0)
	put := func(o *Overlay) { o.Put([]byte("k"), []byte("1"), 0) }
	if err := call(t, a, put); err != nil {
		t.Fatal(err)
	}
	if err := all[0].Drop(t.Context(), "acme", "p"); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Part{"here": a, "there": b} {
		if err := call(t, p, put); !errors.Is(err, errDropped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if has := kept.has("acme"); has.Keys != 1 { // the gate
		t.Error(has)
	}
	if err := all[0].Begin(t.Context(), "acme", "p"); err != nil {
		t.Fatal(err)
	}
	if err := call(t, b, put); err != nil {
		t.Error(err)
	}
	if err := call(t, open(t, all[0], 0), put); err != nil {
		t.Error(err)
	}
}

// TestNodesSweep: one node removes what has expired, and nothing that another has renewed.
func TestNodesSweep(t *testing.T) {
	now := time.UnixMilli(1e12)
	all, kept := nodes(2, func() time.Time { return now })
	a, b := open(t, all[0], 0), open(t, all[1], 0)
	for _, key := range []string{"gone", "renewed"} {
		if err := call(t, b, func(o *Overlay) { o.Put([]byte(key), nil, time.Second) }); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	if n, err := all[1].Sweep(t.Context(), 100); n != 0 || err != nil {
		t.Error("it is not this one's:", n, err)
	}
	raw, _, _ := kept.Cell(t.Context(), "acme", "kv/p", "renewed")
	if err := call(t, b, func(o *Overlay) { o.Put([]byte("renewed"), []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	if is, _, _ := kept.Cell(t.Context(), "acme", "kv/p", "renewed"); bytes.Equal(is, raw) {
		t.Fatal("it is not renewed")
	}
	if n, err := all[0].Sweep(t.Context(), 100); n != 1 || err != nil {
		t.Error(n, err)
	}
	if removed, err := a.expireShared(t.Context(), "renewed"); removed || err != nil {
		t.Error(removed, err)
	}
}

// TestDeadNodesGate: who has died while it had the part alone holds others up for a while.
func TestDeadNodesGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _ := nodes(2, nil)
		a, b := open(t, all[0], 0), open(t, all[1], 0)
		var dead Overlay
		dead.Begin(t.Context(), a)
		if err := a.Alone(t.Context(), &dead); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := call(t, b, func(o *Overlay) { o.Put([]byte("k"), nil, 0) }); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < gateTime || took > gateTime+time.Second {
			t.Error(took)
		}
		dead.Put([]byte("k"), []byte("late"), 0)
		if err := dead.Commit(); !errors.Is(err, ErrStale) {
			t.Error("it is not dead:", err)
		}
		a.Together(&dead)
	})
}

// TestSharedStoreFails: nobody is left alone by a store that is away.
func TestSharedStoreFails(t *testing.T) {
	all, kept := nodes(1, nil)
	p := open(t, all[0], 0)
	kept.away = errors.New("away")
	var o Overlay
	o.Begin(t.Context(), p)
	o.Put([]byte("k"), nil, 0)
	if err := o.Commit(); !errors.Is(err, kept.away) {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Alone(short, &o); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	kept.mu.Lock()
	kept.away = nil
	kept.mu.Unlock()
	if err := o.Commit(); err != nil {
		t.Error(err)
	}
}
