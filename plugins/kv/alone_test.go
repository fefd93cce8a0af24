package kv

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// TestAlone: while a call runs alone the commits of others wait, for as long as they may.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		p := r.part(t, 0)
		var own, other, late, next Overlay
		add := func(o *Overlay, ctx context.Context) { //nolint:revive // the overlay is the subject
			o.Begin(ctx, p)
			if _, st := o.Add([]byte("n"), 1, 0); st != hostapi.OK {
				t.Error(st)
			}
		}
		if err := p.Alone(t.Context(), &own); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		add(&own, t.Context())
		add(&other, t.Context())
		add(&late, short)
		began := time.Now()
		if err := late.Commit(); !errors.Is(err, ErrStale) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := p.Alone(short, &next); !errors.Is(err, ErrStale) {
			t.Error("a second one alone:", err)
		}
		done := make(chan error, 2)
		go func() { done <- other.Commit() }()              // ended by Together
		go func() { done <- p.Alone(t.Context(), &next) }() // likewise
		synctest.Wait()
		if len(done) != 0 {
			t.Error("others do not wait")
		}
		if err := own.Commit(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Error("others do not wait for the end of the call")
		}
		p.Together(&own)
		synctest.Wait()
		p.Together(&own) // of one that is over: it is not the next one's end
		if p.alone != &next {
			t.Error("the next one is not alone")
		}
		p.Together(&next)
		one, two := <-done, <-done
		if !errors.Is(one, ErrStale) && !errors.Is(two, ErrStale) || one != nil && two != nil {
			t.Error(one, two)
		}
	})
}

// TestSweepLeavesACallAlone: what it has read stays, though its time is over.
func TestSweepLeavesACallAlone(t *testing.T) {
	r := newRig()
	p := r.part(t, 0)
	var o Overlay
	o.Begin(t.Context(), p)
	o.Put([]byte("k"), nil, time.Second)
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := p.Alone(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	o.Begin(t.Context(), p)
	o.Put([]byte("k"), []byte("again"), 0)
	r.time = r.time.Add(time.Minute)
	if n, err := r.Sweep(t.Context(), 1000); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := o.Commit(); err != nil {
		t.Error(err)
	}
	p.Together(&o)
}
