package embedded

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/room"
)

var _ limit.Storage = (*Store)(nil)

// usageHolds compares what is counted with what is there.
func usageHolds(s *Store) error {
	want, err := s.recount()
	if err != nil {
		return err
	}
	got := map[string]amount{}
	for tenant := range *s.usage.totals.Load() {
		rooms, bytes := s.Used(tenant)
		if a := (amount{rooms, bytes}); a != (amount{}) {
			got[tenant] = a
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("counted %+v, but there is %+v", got, want)
	}
	return nil
}

func (r *rig) uses(tenant string, rooms, bytes int64) {
	r.t.Helper()
	if n, b := r.Used(tenant); n != rooms || b != bytes {
		r.t.Errorf("%s has %d rooms and %d bytes, want %d and %d", tenant, n, b, rooms, bytes)
	}
	if err := usageHolds(r.Store); err != nil {
		r.t.Error(err)
	}
}

// rowSize is what a record takes.
func rowSize(r event.Record) int64 {
	return int64(len(appendRecordKey(nil, r.Tenant, r.Room, r.Offset)) + len(codec.AppendRecord(nil, &r)))
}

func TestUsed(t *testing.T) {
	keep := map[string]uint64{"conv:trimmed": 2}
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Retention = func(_, id string) (uint64, time.Duration) { return keep[id], 0 }
	})
	r.uses("nobody", 0, 0)
	var bytes int64
	put := func(records ...event.Record) {
		t.Helper()
		for _, rec := range records {
			bytes += rowSize(rec)
		}
		r.wait(r.put(records...))
	}
	put(numbered("conv:1", 1), numbered("conv:1", 2), numbered("conv:1", 3))
	r.uses(crashTenant, 1, bytes)
	put(numbered("user:ann", 1), numbered("root:", 1), numbered("conv:1/files", 1), numbered("channel:x", 1))
	r.uses(crashTenant, 2, bytes) // users' own rooms and sub-rooms are not counted

	other := numbered("conv:1", 1)
	other.Tenant = "globex"
	r.wait(r.put(other))
	r.uses("globex", 1, rowSize(other))
	r.uses(crashTenant, 2, bytes)

	put(numbered("conv:log", 1), numbered("conv:log", 2))
	r.deps.Projections["room:change"] = func(t room.Tables, _ *event.Record) {
		t.Redact(crashTenant, "conv:1", 2)
		t.Redact(crashTenant, "conv:1", 2) // twice in one batch
		t.Redact(crashTenant, "conv:1", 99)
	}
	for n := range uint64(2) {
		redact := numbered("conv:log", 3+n)
		redact.Action = "room:change"
		put(redact)
		if n == 0 {
			whole, short := numbered("conv:1", 2), numbered("conv:1", 2)
			short.Data, short.Redacted = nil, true
			bytes -= rowSize(whole) - rowSize(short)
		}
		r.uses(crashTenant, 3, bytes)
	}

	put(numbered("conv:trimmed", 1), numbered("conv:trimmed", 2), numbered("conv:trimmed", 3))
	r.pass()
	bytes -= rowSize(numbered("conv:trimmed", 1))
	r.uses(crashTenant, 4, bytes)

	last := numbered("conv:1", 4)
	last.Ends = true
	put(last)
	r.uses(crashTenant, 3, bytes) // the room is gone, its events not yet
	r.clock.pass(time.Hour)
	r.pass()
	for _, rec := range []event.Record{numbered("conv:1", 1), numbered("conv:1", 3), last, numbered("conv:1/files", 1)} {
		bytes -= rowSize(rec)
	}
	short := numbered("conv:1", 2)
	short.Data, short.Redacted = nil, true
	bytes -= rowSize(short)
	r.uses(crashTenant, 3, bytes)

	put(numbered("conv:1", 1)) // the name is free again
	r.uses(crashTenant, 4, bytes)
}

// What was counted for a batch that is refused is forgotten.
func TestUsedAfterABatchThatWasGivenUp(t *testing.T) {
	r := newRig(t, nil)
	r.deps.Projections["room:change"] = func(t room.Tables, _ *event.Record) {
		t.Redact(crashTenant, "conv:1", 1)
		t.(*tables).fail(codec.ErrCorrupt)
	}
	r.wait(r.start("conv:1", 1, 2))
	bad := numbered("conv:1", 3)
	bad.Action = "room:change"
	if _, err := r.part.Append(t.Context(), []event.Record{numbered("conv:2", 1), bad}); err == nil {
		t.Fatal("appended")
	}
	r.wait(r.start("conv:1", 3, 3))
	if err := usageHolds(r.Store); err != nil {
		t.Error(err)
	}
}

// A stream that is longer than what is removed at once.
func TestUsedAfterALongCut(t *testing.T) {
	r := newRig(t, func(_ *Config, d *Deps) { d.Retention = func(string, string) (uint64, time.Duration) { return 1, 0 } })
	const long = 2*atOnce + 7
	for n := uint64(1); n < long; n += 1000 {
		r.wait(r.start("conv:1", n, min(n+999, long)))
	}
	r.pass()
	r.uses(crashTenant, 1, rowSize(numbered("conv:1", long)))
}

func TestUsedAfterARestart(t *testing.T) {
	for _, c := range []struct {
		name   string
		forget bool // a database from before it was counted
	}{{"", false}, {"of an old database", true}} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			first := func(string, string) (uint64, time.Duration) { return 3, 0 }
			s := open(t, "data", fs, func(_ *Config, d *Deps) { d.Retention = first })
			for number := range 3 {
				part := must(s.Log().Open(t.Context(), number))
				name := fmt.Sprintf("conv:%d", number)
				var batch []event.Record
				for n := range uint64(9) {
					batch = append(batch, numbered(name, n+1))
				}
				if err := must(part.Append(t.Context(), batch)).Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			(&rig{Store: s, t: t}).pass()
			rooms, bytes := s.Used(crashTenant)
			if c.forget {
				_ = s.db.DeleteRange([]byte{tableUsage}, []byte{tableUsage + 1}, pebble.Sync)
			}
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, "data", fs, nil)
				if n, b := s.Used(crashTenant); n != rooms || b != bytes || n != 3 {
					t.Errorf("%d rooms and %d bytes, before %d and %d", n, b, rooms, bytes)
				}
				if err := usageHolds(s); err != nil {
					t.Error(err)
				}
			}
			part := must(s.Log().Open(t.Context(), 1)) // goes on with its row
			if err := must(part.Append(t.Context(), []event.Record{numbered("conv:1", 10)})).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := usageHolds(s); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})
	}
}

// Two partitions append, redact and end rooms while the sweep trims and buries;
// at some moment the disk stays as it is.
func TestUsedAfterACrash(t *testing.T) {
	for seed := range seeds(8) {
		rng := rand.New(rand.NewPCG(uint64(seed), 11))
		fs := vfs.NewCrashableMem()
		for range crashLives {
			fs = churn(t, fs, rng)
			s := open(t, "data", fs, nil)
			err := usageHolds(s)
			if closed := s.Close(); err != nil || closed != nil {
				t.Fatalf("seed %d: %v, %v", seed, err, closed)
			}
		}
	}
}

// churn is one life of a process, and returns what its crash left.
func churn(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	var left *vfs.MemFS
	var steps atomic.Int64 // until the crash
	steps.Store(int64(1 + rng.IntN(100)))
	crash := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rand.New(rand.NewPCG(rng.Uint64(), 1))}
	crashed := make(chan struct{})
	disk := &slowFS{FS: fs, step: func() {
		if steps.Add(-1) == 0 {
			left = fs.CrashClone(crash)
			close(crashed)
		}
	}}
	s := open(t, "data", disk, func(c *Config, d *Deps) {
		c.SweepRest, c.SweepRooms = 0, 3
		now := time.UnixMilli(1_000_000).Add(time.Hour) // what has ended is buried at once
		d.Clock = func() time.Time { return now }
		d.Retention = func(string, string) (uint64, time.Duration) { return 4, 0 }
		d.Projections = map[string]room.Projection{"message:delete": func(t room.Tables, r *event.Record) {
			t.Redact(r.Tenant, r.Room, r.Offset-min(r.Offset-1, r.Messages%6))
		}}
	})
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for number := range 2 {
		r := rand.New(rand.NewPCG(rng.Uint64(), uint64(number)))
		all.Go(func() { churnPartition(ctx, s, number, r) }) // ends with stop
	}
	all.Go(func() { // ends with stop
		for ctx.Err() == nil {
			if err := s.sweepOnce(); err != nil {
				panic(err)
			}
		}
	})
	<-crashed
	stop()
	all.Wait()
	if err := usageHolds(s); err != nil {
		t.Errorf("without a crash: %v", err)
	}
	_ = s.Close()
	return left
}

func churnPartition(ctx context.Context, s *Store, number int, r *rand.Rand) {
	part := must(s.Log().Open(ctx, number))
	for ctx.Err() == nil {
		name := fmt.Sprintf("conv:%d-%d", number, r.IntN(3))
		head := must(part.Head(ctx, crashTenant, name))
		if head.Ended {
			continue // until it is buried
		}
		var batch []event.Record
		for range 1 + r.IntN(4) {
			rec := numbered(name, head.Offset+uint64(len(batch))+1)
			rec.Data, rec.Messages = []byte(`"`+strings.Repeat("x", r.IntN(300))+`"`), r.Uint64()
			if r.IntN(3) == 0 {
				rec.Action = "message:delete"
			}
			batch = append(batch, rec)
		}
		batch[len(batch)-1].Ends = r.IntN(8) == 0
		w := must(part.Append(ctx, batch))
		if err := w.Wait(context.Background()); err != nil {
			panic(err)
		}
	}
}

func BenchmarkUsed(b *testing.B) {
	s := benchStore(b)
	s.usage.tally(0).add(crashTenant, 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.Used(crashTenant)
	}
	_ = s.Close()
}
