package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

var errAway = errors.New("away")

// fill has a plugin of a tenant keep so many keys, for so long.
func fill(t *testing.T, r *rig, tenant, plugin string, keys int, life time.Duration) *Part {
	t.Helper()
	p, err := r.Open(t.Context(), tenant, plugin, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < keys; {
		var o Overlay
		o.Begin(t.Context(), p)
		for range min(maxTouched, keys-i) {
			if st := o.Put(fmt.Append(nil, "key", i), []byte("v"), life); st != hostapi.OK {
				t.Fatal(st)
			}
			i++
		}
		if err := o.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestDropGoesOn: what a fault has left of a plugin that is dropped does not count for ever,
// whether it is dropped again or another one of its name is opened.
func TestDropGoesOn(t *testing.T) {
	const keys = 2*page + 1
	for name, again := range map[string]func(r *rig) error{
		"by another drop": func(r *rig) error { return r.Drop(t.Context(), "acme", "gone") },
		"by an open":      func(r *rig) error { _, err := r.Open(t.Context(), "acme", "gone", 1<<20); return err },
	} {
		for faults := range 7 { // reads and writes in turn
			r := newRig()
			old := fill(t, r, "acme", "gone", keys, 0)
			fill(t, r, "acme", "stays", 3, 0)
			n := 0
			fault := func() error {
				if n++; n == faults+1 {
					return errAway
				}
				return nil
			}
			r.cells.Reads = func(context.Context, string) error { return fault() }
			r.cells.Writes = func(string) error { return fault() }
			if err := r.Drop(t.Context(), "acme", "gone"); !errors.Is(err, errAway) {
				t.Fatalf("%s, fault %d: %v", name, faults, err)
			}
			if bytes, keys := r.Usage("acme"); keys != int64(r.cells.Len()) || bytes == 0 {
				t.Errorf("%s, fault %d: %d keys are counted, %d there", name, faults, keys, r.cells.Len())
			}
			if err := again(r); err != nil {
				t.Errorf("%s, fault %d: %v", name, faults, err)
			}
			if _, keys := r.Usage("acme"); keys != 3 || r.cells.Len() != 3 {
				t.Errorf("%s, fault %d: %d keys are counted, %d there, of another plugin's 3", name, faults, keys, r.cells.Len())
			}
			var o Overlay
			o.Begin(t.Context(), old)
			o.Put([]byte("k"), nil, 0)
			if err := o.Commit(); !errors.Is(err, errDropped) {
				t.Errorf("%s: who had it before writes: %v", name, err)
			}
			fill(t, r, "acme", "gone", 1, 0)
		}
	}
}

// TestCountFails: what was counted until a fault came does not count twice.
func TestCountFails(t *testing.T) {
	r := newRig()
	fill(t, r, "acme", "p", 2*page, 0)
	r.Store = New(r.cells, r.now) // the node starts again
	reads := 0
	r.cells.Reads = func(context.Context, string) error {
		if reads++; reads == 2 {
			return errAway
		}
		return nil
	}
	if _, err := r.Open(t.Context(), "acme", "p", 0); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if bytes, keys := r.Usage("acme"); bytes != 0 || keys != 0 {
		t.Errorf("%d bytes and %d keys of a part that is not open", bytes, keys)
	}
	r.part(t, 0)
	if _, keys := r.Usage("acme"); keys != 2*page {
		t.Errorf("%d keys", keys)
	}
}

// TestOthersDoNotWait while one plugin's keys are counted, or deleted.
func TestOthersDoNotWait(t *testing.T) {
	for name, slow := range map[string]func(r *rig) error{
		"counted": func(r *rig) error { _, err := r.Open(t.Context(), "acme", "slow", 0); return err },
		"deleted": func(r *rig) error { return r.Drop(t.Context(), "acme", "slow") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			fill(t, r, "acme", "slow", 1, 0)
			r.Store = New(r.cells, r.now)
			entered, release, done := make(chan struct{}, 9), make(chan struct{}), make(chan error, 1)
			r.cells.Reads = func(_ context.Context, table string) error {
				if table == tablePrefix+"slow" {
					entered <- struct{}{}
					<-release
				}
				return nil
			}
			go func() { done <- slow(r) }() // ended by release
			<-entered
			other := make(chan error, 1)
			go func() { // ends by itself, or else with release
				_, err := r.Open(context.Background(), "globex", "p", 0)
				r.Usage("acme")
				other <- err
			}()
			select {
			case err := <-other:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("another tenant's plugin waits")
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSweepInTurns: a round looks at so many keys; one plugin that has very many does not
// keep others' from going, and none is looked through again at once.
func TestSweepInTurns(t *testing.T) {
	const many = 5*sweepPage + 1
	r := newRig()
	fill(t, r, "acme", "many", many, time.Second)
	for i := range 3 {
		fill(t, r, "globex", fmt.Sprint("few", i), 2, time.Second)
	}
	r.time = r.time.Add(time.Minute)
	left := func(tenant string) int64 { _, keys := r.Usage(tenant); return keys }
	looked := 0
	r.cells.Reads = func(context.Context, string) error { looked++; return nil }
	for round := 1; round <= 7; round++ {
		looked = 0
		n, err := r.Sweep(t.Context(), sweepPage+3)
		if err != nil || n > 2*sweepPage {
			t.Errorf("round %d: %d, %v", round, n, err)
		}
		if round == 2 && left("globex") != 0 {
			t.Errorf("%d keys of others are left while one has %d", left("globex"), left("acme"))
		}
	}
	if left("acme") != 0 || r.cells.Len() != 0 {
		t.Errorf("%d keys are left", r.cells.Len())
	}
	looked = 0
	if n, err := r.Sweep(t.Context(), 1000); n != 0 || err != nil || looked != 0 {
		t.Errorf("it was looked through a moment ago: %d, %v, %d reads", n, err, looked)
	}
	r.time = r.time.Add(sweepPause)
	if _, err := r.Sweep(t.Context(), 1000); err != nil || looked != 4 {
		t.Errorf("a minute later: %v, %d reads", err, looked)
	}
}

// TestSweepOfAPartThatFails goes on with the others, and tells.
func TestSweepOfAPartThatFails(t *testing.T) {
	r := newRig()
	fill(t, r, "acme", "a", 1, time.Second)
	fill(t, r, "acme", "b", 1, time.Second)
	r.time = r.time.Add(time.Minute)
	r.cells.Reads = func(_ context.Context, table string) error {
		if table == tablePrefix+"a" {
			return errAway
		}
		return nil
	}
	if n, err := r.Sweep(t.Context(), 1000); n != 1 || !errors.Is(err, errAway) {
		t.Errorf("%d, %v", n, err)
	}
	r.cells.Reads = nil
	r.time = r.time.Add(time.Minute)
	if n, err := r.Sweep(t.Context(), 1000); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
