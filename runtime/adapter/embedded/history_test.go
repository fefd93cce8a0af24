package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// clock is a time that tests set.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

// rig is a store on memory with one open partition.
type rig struct {
	*Store
	t     *testing.T
	part  sequence.Partition
	clock *clock
}

func newRig(t *testing.T, change func(*Config, *Deps)) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{time.UnixMilli(1_000_000)}}
	r.Store = open(t, "data", vfs.NewMem(), func(c *Config, d *Deps) {
		d.Clock = r.clock.read
		d.Projections = map[string]room.Projection{"room:join": projectSent}
		if change != nil {
			change(c, d)
		}
	})
	t.Cleanup(func() { _ = r.Store.Close() })
	r.part = must(r.Store.Log().Open(t.Context(), 0))
	return r
}

func numbered(name string, n uint64) event.Record {
	r := benchRecord(1, int(n))
	r.Room, r.Epoch, r.Offset, r.Messages, r.ID, r.Timestamp = name, "e1", n, n, fmt.Sprintf("id-%s-%d", name, n), 1_000_000
	return r
}

// start applies records n to m of a room; they are durable when it is waited for.
func (r *rig) start(name string, n, m uint64) sequence.Pending {
	r.t.Helper()
	var batch []event.Record
	for ; n <= m; n++ {
		batch = append(batch, numbered(name, n))
	}
	return r.put(batch...)
}

func (r *rig) put(batch ...event.Record) sequence.Pending {
	r.t.Helper()
	return must(r.part.Append(r.t.Context(), batch))
}

func (r *rig) wait(p sequence.Pending) {
	r.t.Helper()
	if err := p.Wait(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func offsets(records []event.Record) []uint64 {
	out := []uint64{}
	for _, r := range records {
		out = append(out, r.Offset)
	}
	return out
}

func TestAfter(t *testing.T) {
	r := newRig(t, nil)
	r.wait(r.start("conv:1", 1, 6))
	r.wait(r.start("conv:10", 1, 2)) // a neighbour
	const all = 1 << 20
	one := len(codec.AppendRecord(nil, new(numbered("conv:1", 1))))
	for _, c := range []struct {
		name       string
		room       string
		at         event.Position
		limit, max int
		want       []uint64
		err        error
	}{
		{"from the beginning", "conv:1", event.Position{}, 100, all, []uint64{1, 2, 3, 4, 5, 6}, nil},
		{"from the beginning of an epoch", "conv:1", event.Position{Epoch: "e1"}, 2, all, []uint64{1, 2}, nil},
		{"from the middle", "conv:1", event.Position{Epoch: "e1", Offset: 4}, 100, all, []uint64{5, 6}, nil},
		{"a page", "conv:1", event.Position{Epoch: "e1", Offset: 1}, 2, all, []uint64{2, 3}, nil},
		{"about so many bytes", "conv:1", event.Position{}, 100, one + 1, []uint64{1, 2}, nil},
		{"one at least", "conv:1", event.Position{}, 100, 1, []uint64{1}, nil},
		{"at the head", "conv:1", event.Position{Epoch: "e1", Offset: 6}, 100, all, nil, nil},
		{"another epoch", "conv:1", event.Position{Epoch: "e0", Offset: 3}, 100, all, nil, room.ErrTrimmed},
		{"another epoch at the head", "conv:1", event.Position{Epoch: "e0", Offset: 6}, 100, all, nil, room.ErrTrimmed},
		{"the beginning of another epoch", "conv:1", event.Position{Epoch: "e0"}, 100, all, nil, room.ErrTrimmed},
		{"ahead", "conv:1", event.Position{Epoch: "e1", Offset: 7}, 100, all, nil, room.ErrTrimmed},
		{"no epoch", "conv:1", event.Position{Offset: 3}, 100, all, nil, room.ErrTrimmed},
		{"a room without events", "conv:2", event.Position{}, 100, all, nil, nil},
		{"a room that lost its events", "conv:2", event.Position{Epoch: "e1", Offset: 3}, 100, all, nil, room.ErrTrimmed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.After(t.Context(), crashTenant, c.room, c.at, c.limit, c.max)
			if !errors.Is(err, c.err) || !slices.Equal(offsets(got), append([]uint64{}, c.want...)) {
				t.Errorf("%v, %v; want %v, %v", offsets(got), err, c.want, c.err)
			}
			for _, rec := range got {
				if want := numbered(c.room, rec.Offset); rec.ID != want.ID || string(rec.Data) != string(want.Data) || rec.Tenant != crashTenant {
					t.Errorf("%+v", rec)
				}
			}
		})
	}
	if got, err := r.After(t.Context(), "other", "conv:1", event.Position{}, 10, all); len(got) > 0 || err != nil {
		t.Errorf("another tenant reads %v, %v", offsets(got), err)
	}
}

func TestBefore(t *testing.T) {
	r := newRig(t, nil)
	r.wait(r.start("conv:1", 1, 6))
	for _, c := range []struct {
		offset uint64
		limit  int
		want   []uint64
	}{{0, 100, []uint64{6, 5, 4, 3, 2, 1}}, {0, 2, []uint64{6, 5}}, {4, 2, []uint64{3, 2}}, {1, 9, nil}, {100, 1, []uint64{6}}} {
		got, err := r.Before(t.Context(), crashTenant, "conv:1", c.offset, c.limit, 1<<20)
		if err != nil || !slices.Equal(offsets(got), append([]uint64{}, c.want...)) {
			t.Errorf("before %d: %v, %v; want %v", c.offset, offsets(got), err, c.want)
		}
	}
}

// What is applied and not yet synced is not there for anybody but the committer.
func TestReadersSeeOnlyWhatIsDurable(t *testing.T) {
	r := newRig(t, nil)
	r.wait(r.start("conv:1", 1, 2))
	first, second := r.start("conv:1", 3, 4), r.start("conv:1", 5, 5)
	check := func(want uint64) {
		t.Helper()
		h, err := r.Head(t.Context(), crashTenant, "conv:1")
		after, err2 := r.After(t.Context(), crashTenant, "conv:1", event.Position{}, 100, 1<<20)
		before, err3 := r.Before(t.Context(), crashTenant, "conv:1", 0, 1, 1<<20)
		if err := errors.Join(err, err2, err3); err != nil || h.Offset != want || h.Messages != want || uint64(len(after)) != want || before[0].Offset != want {
			t.Errorf("head %+v, %v after, %v before, %v; want %d", h, offsets(after), offsets(before), err, want)
		}
	}
	check(2)
	if h, err := r.part.Head(t.Context(), crashTenant, "conv:1"); err != nil || h.Offset != 5 {
		t.Errorf("the committer's head is %+v, %v", h, err)
	}
	r.wait(first)
	check(4)
	r.wait(second)
	check(5)
	if n := len(r.unsynced.shards[r.unsynced.shard(name{crashTenant, "conv:1"})].rooms); n != 0 {
		t.Errorf("%d rooms are left unsynced", n)
	}
}

// A row of a table is answered when it is durable, not before.
func TestTableReadersWaitUntilItIsDurable(t *testing.T) {
	r := newRig(t, nil)
	join := numbered("conv:1", 1)
	join.Action = "room:join"
	w := r.put(join)
	reads := map[string]func(ctx context.Context) error{
		"Member": func(ctx context.Context) error {
			_, _, err := r.Member(ctx, crashTenant, "conv:1", "user-1")
			return err
		},
		"Members": func(ctx context.Context) error { _, err := r.Members(ctx, crashTenant, "conv:1", "", 9); return err },
		"RoomsOf": func(ctx context.Context) error { _, err := r.RoomsOf(ctx, crashTenant, "user-1", 9); return err },
		"Marker":  func(ctx context.Context) error { _, err := r.Marker(ctx, crashTenant, "user-1", "conv:1"); return err },
		"Room":    func(ctx context.Context) error { _, _, err := r.Room(ctx, crashTenant, "conv:1"); return err },
	}
	for what, read := range reads {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := read(ctx); !fault.Is(err, fault.Timeout) {
			t.Errorf("%s did not wait: %v", what, err)
		}
		cancel()
	}
	if _, err := r.RoomsOf(t.Context(), crashTenant, "user-2", 9); err != nil {
		t.Error(err) // nothing of this user is under way
	}
	r.wait(w)
	for what, read := range reads {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := must(r.RoomsOf(t.Context(), crashTenant, "user-1", 9)); !slices.Equal(got, []string{"conv:1"}) {
		t.Errorf("rooms %v", got)
	}
}

func TestExpiredRecordsLoseTheirData(t *testing.T) {
	r := newRig(t, nil)
	rec := numbered("conv:1", 1)
	rec.Expires = r.clock.now.Add(time.Minute).UnixMilli()
	r.wait(r.put(rec, numbered("conv:1", 2)))
	read := func() []event.Record {
		return append(must(r.After(t.Context(), crashTenant, "conv:1", event.Position{}, 9, 1<<20)), must(r.Before(t.Context(), crashTenant, "conv:1", 2, 9, 1<<20))...)
	}
	r.clock.pass(time.Minute - time.Millisecond)
	if got := read(); got[0].Data == nil || got[2].Data == nil {
		t.Errorf("%+v before its time", got)
	}
	r.clock.pass(time.Millisecond)
	if got := read(); len(got) != 3 || got[0].Data != nil || got[2].Data != nil || got[1].Data == nil || got[0].ID == "" {
		t.Errorf("%+v after its time", got)
	}
}
