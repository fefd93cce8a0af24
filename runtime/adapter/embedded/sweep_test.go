package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// pass sweeps until a whole pass is over.
func (r *rig) pass() (sweeps int) {
	r.t.Helper()
	for {
		if err := r.sweepOnce(); err != nil {
			r.t.Fatal(err)
		}
		sweeps++
		if w := &r.sweep; !w.trims && !w.expires {
			return sweeps
		}
	}
}

func (r *rig) kept(name string) []uint64 {
	r.t.Helper()
	got := must(r.Before(r.t.Context(), crashTenant, name, 0, 1000, 1<<20))
	slices.Reverse(got)
	return offsets(got)
}

func TestRetention(t *testing.T) {
	limits := map[string]struct {
		events uint64
		age    time.Duration
	}{"conv:count": {events: 3}, "conv:age": {age: time.Hour}, "conv:both": {2, time.Hour}, "conv:old": {age: time.Minute}, "conv:one": {events: 1}}
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Retention = func(_, id string) (uint64, time.Duration) { return limits[id].events, limits[id].age }
	})
	names := []string{"conv:count", "conv:age", "conv:both", "conv:old", "conv:one", "conv:all"}
	for _, name := range names {
		for n := uint64(1); n <= 6; n++ { // ten minutes apart, the newest two hours ago
			rec := numbered(name, n)
			rec.Timestamp = r.clock.now.Add(time.Duration(n) * 10 * time.Minute).UnixMilli()
			r.wait(r.put(rec))
		}
	}
	r.clock.pass(time.Hour + 35*time.Minute) // the first three are older than an hour
	r.pass()
	for name, want := range map[string][]uint64{
		"conv:count": {4, 5, 6}, "conv:age": {4, 5, 6}, "conv:both": {5, 6}, "conv:old": {6}, "conv:one": {6}, "conv:all": {1, 2, 3, 4, 5, 6},
	} {
		if got := r.kept(name); !slices.Equal(got, want) {
			t.Errorf("%s keeps %v, want %v", name, got, want)
		}
		if h := must(r.Head(t.Context(), crashTenant, name)); h.Offset != 6 || h.Messages != 6 {
			t.Errorf("%s: head %+v", name, h)
		}
	}
	if n := r.Stats().Trimmed; n != 5 {
		t.Errorf("%d rooms were trimmed", n)
	}
	after := func(offset uint64) error {
		_, err := r.After(t.Context(), crashTenant, "conv:count", event.Position{Epoch: "e1", Offset: offset}, 9, 1<<20)
		return err
	}
	if after(2) != room.ErrTrimmed || after(3) != nil || after(6) != nil {
		t.Errorf("after 2: %v; after 3: %v; after 6: %v", after(2), after(3), after(6))
	}
	if _, err := r.After(t.Context(), crashTenant, "conv:count", event.Position{}, 9, 1<<20); err != room.ErrTrimmed {
		t.Errorf("from the beginning: %v", err)
	}
	// Offsets go on where they were.
	r.wait(r.put(numbered("conv:one", 7)))
	if got := r.kept("conv:one"); !slices.Equal(got, []uint64{6, 7}) {
		t.Errorf("after one more: %v", got)
	}
}

// The newest record may not be durable yet: then the one before is still the head
// that readers see.
func TestRetentionKeepsTheNewestDurableRecord(t *testing.T) {
	r := newRig(t, func(_ *Config, d *Deps) { d.Retention = func(string, string) (uint64, time.Duration) { return 1, 0 } })
	r.wait(r.start("conv:1", 1, 2))
	w := r.start("conv:1", 3, 3)
	fresh := r.start("conv:2", 1, 2)
	r.pass()
	if h := must(r.Head(t.Context(), crashTenant, "conv:1")); h.Offset != 2 {
		t.Errorf("head %+v", h)
	}
	r.wait(w)
	r.wait(fresh)
	if got := r.kept("conv:2"); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("the room that is not durable yet keeps %v", got)
	}
}

func TestSweepIsDoneInSlices(t *testing.T) {
	r := newRig(t, func(c *Config, d *Deps) {
		c.SweepRooms = 10
		d.Retention = func(string, string) (uint64, time.Duration) { return 1, 0 }
	})
	for i := range 25 {
		r.wait(r.start(fmt.Sprintf("conv:%d", i), 1, 3))
	}
	if n := r.pass(); n != 3 {
		t.Errorf("25 rooms took %d sweeps of 10", n)
	}
	for i := range 25 {
		if got := r.kept(fmt.Sprintf("conv:%d", i)); !slices.Equal(got, []uint64{3}) {
			t.Errorf("room %d keeps %v", i, got)
		}
	}
	// The next pass begins after a rest.
	r.wait(r.start("conv:1", 4, 5))
	r.clock.pass(30 * time.Second)
	r.pass()
	if got := r.kept("conv:1"); len(got) != 3 {
		t.Errorf("swept without a rest: %v", got)
	}
	r.clock.pass(31 * time.Second)
	r.pass()
	if got := r.kept("conv:1"); !slices.Equal(got, []uint64{5}) {
		t.Errorf("not swept after the rest: %v", got)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t, nil)
	s := session.Record{
		ID: "s1", Tenant: "acme", User: "ann", Device: "phone", Secret: [32]byte{1, 2, 31: 3}, Opened: 5, Expires: r.clock.now.Add(time.Minute).UnixMilli(),
		Rooms: map[string]event.Position{"conv:1": {Epoch: "e1", Offset: 9}, "user:ann": {}},
	}
	load := func(tenant, id string) (session.Record, bool) {
		t.Helper()
		got, ok, err := r.Load(t.Context(), tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		return got, ok
	}
	save := func(s session.Record) {
		t.Helper()
		if err := r.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	save(s)
	if got, ok := load("acme", "s1"); !ok || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Errorf("loaded %+v, %v", got, ok)
	}
	if _, ok := load("other", "s1"); ok {
		t.Error("another tenant loads the session")
	}
	if err := r.Delete(t.Context(), "acme", "s1", 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := load("acme", "s1"); ok {
		t.Error("deleted, and loaded")
	}

	save(s)
	r.clock.pass(time.Minute)
	if _, ok := load("acme", "s1"); ok {
		t.Error("expired, and loaded")
	}
	renewed := s
	renewed.ID, renewed.Expires = "s2", r.clock.now.Add(time.Hour).UnixMilli()
	save(renewed)
	r.pass()
	if n := r.Stats().Expired; n != 1 {
		t.Errorf("%d sessions were swept", n)
	}
	if _, ok := load("acme", "s2"); !ok {
		t.Error("a session that lives was swept")
	}
	// One that is renewed between the look and the deletion stays.
	key := appendKey(nil, tableSession, "acme", "s2")
	if err := r.deleteExpired([][]byte{key}, r.clock.now.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if _, ok := load("acme", "s2"); !ok {
		t.Error("a renewed session was swept")
	}
}

func TestKeysAreKeptForTheWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		passes []time.Duration // between sweeps
		want   bool
	}{
		{"at once", nil, true},
		{"the window", []time.Duration{5 * time.Minute}, true},
		{"the window, stored late in a bucket", []time.Duration{6 * time.Minute, 5 * time.Minute}, true},
		{"three buckets", []time.Duration{6 * time.Minute, 6 * time.Minute, 6 * time.Minute}, false},
		{"a clock that jumps back", []time.Duration{4 * time.Minute, -24 * time.Hour}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			rec := numbered("conv:1", 1)
			r.wait(r.put(rec))
			for _, d := range c.passes {
				r.clock.pass(d)
				r.pass()
			}
			got, ok, err := r.part.Lookup(t.Context(), sequence.KeyOf(&rec))
			if err != nil || ok != c.want || (ok && got != sequence.StoredOf(&rec)) {
				t.Errorf("%+v, %v, %v", got, ok, err)
			}
		})
	}
}

// Keys of both buckets outlive a restart, and what is older leaves the disk.
func TestKeysAfterARestart(t *testing.T) {
	fs, c := vfs.NewMem(), &clock{time.UnixMilli(1_000_000)}
	var s *Store
	var part sequence.Partition
	restart := func() {
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, "data", fs, func(_ *Config, d *Deps) { d.Clock = c.read })
		part = must(s.Log().Open(t.Context(), 0))
	}
	restart()
	defer func() { _ = s.Close() }()
	for n := uint64(1); n <= 4; n++ {
		rec := numbered("conv:1", n)
		if err := must(part.Append(t.Context(), []event.Record{rec})).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.pass(6 * time.Minute)
		if err := s.sweepOnce(); err != nil {
			t.Fatal(err)
		}
		if n == 3 {
			restart()
		}
	}
	restart()
	for n := uint64(1); n <= 4; n++ {
		rec := numbered("conv:1", n)
		_, ok, err := part.Lookup(t.Context(), sequence.KeyOf(&rec))
		if err != nil || ok != (n >= 3) {
			t.Errorf("key %d: %v, %v", n, ok, err)
		}
	}
	it := must(s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableKey}, UpperBound: []byte{tableKey + 1}}))
	var buckets []uint64
	for ok := it.First(); ok; ok = it.Next() {
		buckets = append(buckets, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	_ = it.Close()
	if !slices.Equal(buckets, []uint64{3, 3}) { // the bucket that had turned held nothing yet
		t.Errorf("the disk holds keys of buckets %v", buckets)
	}
}

func TestRunSweepsUntilItsEnd(t *testing.T) {
	trimmed := make(chan struct{}, 100)
	s := open(t, "data", vfs.NewMem(), func(c *Config, d *Deps) {
		c.SweepInterval, c.SweepRest = time.Millisecond, 0
		d.Retention = func(string, string) (uint64, time.Duration) {
			select {
			case trimmed <- struct{}{}:
			default:
			}
			return 1, 0
		}
	})
	part := must(s.Log().Open(t.Context(), 0))
	if err := must(part.Append(t.Context(), []event.Record{numbered("conv:1", 1), numbered("conv:1", 2)})).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }() // ends with cancel
	<-trimmed
	<-trimmed // the first sweep is over
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.Stats().Trimmed; n != 1 {
		t.Errorf("%d rooms were trimmed", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// What remembers keys is bounded by time alone: also more of them than a part of the
// filter holds, each in a room of its own, are known for the whole window.
func TestKeysAreKeptHoweverManyCome(t *testing.T) {
	r := newRig(t, func(c *Config, _ *Deps) { c.MemTable = 1 << 20 })
	const many, batch = 2*firstPart + 4096, 4096
	record := func(n uint64) event.Record {
		rec := numbered("conv:"+strconv.FormatUint(n, 10), 1)
		rec.Key = strconv.FormatUint(n, 10)
		return rec
	}
	check := func(n uint64) {
		t.Helper()
		rec := record(n)
		got, ok, err := r.part.Lookup(t.Context(), sequence.KeyOf(&rec))
		if err != nil || !ok || got != sequence.StoredOf(&rec) {
			t.Fatalf("key %d of %d: %+v, %v, %v", n, many, got, ok, err)
		}
	}
	r.clock.pass(r.cfg.Window) // a new bucket begins in the middle
	for n := uint64(0); n < many; n += batch {
		var all []event.Record
		for i := range uint64(batch) {
			all = append(all, record(n+i))
		}
		r.wait(r.put(all...))
		r.clock.pass(r.cfg.Window / (many/batch + 1))
		if err := r.window.turn(r.Store); err != nil {
			t.Fatal(err)
		}
		check(0)
	}
	for n := uint64(0); n < many; n += 37 {
		check(n)
	}
}
