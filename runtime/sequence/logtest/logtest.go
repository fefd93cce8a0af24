package logtest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Partitions is how many partitions the suite uses, from 0.
const Partitions = 4

// Subject is an empty log under test.
type Subject struct {
	Log sequence.Log
	// Restart gives the log up as a clean shutdown does, and opens it as the next
	// process would.
	Restart func() sequence.Log
}

// Run holds logs to the contract. It calls open for each case; open registers its
// own cleanup.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	cases := []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"a room without events has no head", emptyRoom},
		{"a head counts what is appended and not yet durable", headBeforeWait},
		{"heads are there after a restart", headAfterRestart},
		{"appends pipeline", pipelined},
		{"a batch may hold many rooms", manyRooms},
		{"keys are found once they are durable", lookup},
		{"keys are found after a restart", lookupAfterRestart},
		{"names do not run into each other", awkwardNames},
		{"terms grow", terms},
		{"an earlier term cannot append", superseded},
		{"partitions are independent", concurrent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// record is the n-th record of a room.
func record(tenant, room, user string, n uint64) event.Record {
	r := event.Record{Key: fmt.Sprintf("k%d", n), Unread: true, Messages: n}
	r.Type, r.Tenant, r.Room, r.From = event.TypeMessage, tenant, room, event.Sender{User: user, Device: "d"}
	r.Epoch, r.Offset, r.Timestamp = "epoch", n, 1_000_000+int64(n)
	r.ID, r.Action, r.Data = fmt.Sprintf("01J%023d", n), "message:send", []byte(`{"text":"hello"}`)
	return r
}

func mustOpen(t *testing.T, log sequence.Log, number int) sequence.Partition {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := log.Open(ctx, number)
	if err != nil {
		t.Fatalf("open partition %d: %v", number, err)
	}
	return p
}

func mustAppend(t *testing.T, p sequence.Partition, records ...event.Record) sequence.Pending {
	t.Helper()
	w, err := p.Append(t.Context(), records)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return w
}

func mustWait(t *testing.T, w sequence.Pending) {
	t.Helper()
	if err := w.Wait(t.Context()); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

func wantHead(t *testing.T, p sequence.Partition, last event.Record) {
	t.Helper()
	got, err := p.Head(t.Context(), last.Tenant, last.Room)
	want := sequence.Head{Head: event.Head{Position: last.Position, Messages: last.Messages}, Timestamp: last.Timestamp, Ended: last.Ends}
	if err != nil || got != want {
		t.Errorf("head of %q is %+v, %v; want %+v", last.Room, got, err, want)
	}
}

func wantStored(t *testing.T, p sequence.Partition, r event.Record, found bool) {
	t.Helper()
	var want sequence.Stored
	if found {
		want = sequence.StoredOf(&r)
	}
	got, ok, err := p.Lookup(t.Context(), sequence.KeyOf(&r))
	if err != nil || ok != found || !reflect.DeepEqual(got, want) {
		t.Errorf("lookup of %+v is %+v, %v, %v; want %+v, %v", sequence.KeyOf(&r), got, ok, err, want, found)
	}
}

func emptyRoom(t *testing.T, s Subject) {
	wantHead(t, mustOpen(t, s.Log, 0), event.Record{Envelope: event.Envelope{Tenant: "a", Room: "conv:1"}})
}

func headBeforeWait(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	r := record("a", "conv:1", "ann", 1)
	w := mustAppend(t, p, r)
	wantHead(t, p, r)
	mustWait(t, w)
	wantHead(t, p, r)
}

func headAfterRestart(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	var last event.Record
	for n := uint64(1); n <= 300; n++ { // over the boundaries of one-byte offsets
		last = record("a", "conv:1", "ann", n)
		last.Ends = n == 300
		mustWait(t, mustAppend(t, p, last))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	log := s.Restart()
	p = mustOpen(t, log, 0)
	wantHead(t, p, last)
	next := record("a", "conv:1", "ann", 301)
	mustWait(t, mustAppend(t, p, next))
	wantHead(t, p, next)
}

func pipelined(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	var waits []sequence.Pending
	for n := uint64(1); n <= 4; n++ {
		waits = append(waits, mustAppend(t, p, record("a", "conv:1", "ann", 2*n-1), record("a", "conv:1", "ann", 2*n)))
	}
	for _, w := range waits {
		mustWait(t, w)
	}
	wantHead(t, p, record("a", "conv:1", "ann", 8))
}

func manyRooms(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 1)
	var batch []event.Record
	for n := uint64(1); n <= 5; n++ {
		for i := range 100 {
			r := record("a", fmt.Sprintf("conv:%d", i), "ann", n)
			if n%2 == 0 {
				r.Key = ""
			}
			batch = append(batch, r)
		}
	}
	mustWait(t, mustAppend(t, p, batch...))
	for i := range 100 {
		wantHead(t, p, record("a", fmt.Sprintf("conv:%d", i), "ann", 5))
		wantStored(t, p, record("a", fmt.Sprintf("conv:%d", i), "ann", 3), true)
		wantStored(t, p, record("a", fmt.Sprintf("conv:%d", i), "ann", 4), false)
	}
}

func lookup(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	r := record("a", "conv:1", "ann", 1)
	wantStored(t, p, r, false)
	mustWait(t, mustAppend(t, p, r))
	wantStored(t, p, r, true)
	for _, other := range []event.Record{
		record("b", "conv:1", "ann", 1), record("a", "conv:2", "ann", 1), record("a", "conv:1", "bob", 1), record("a", "conv:1", "ann", 2),
	} {
		wantStored(t, p, other, false)
	}
}

func lookupAfterRestart(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	r := record("a", "conv:1", "ann", 1)
	mustWait(t, mustAppend(t, p, r))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, s.Log, 0)
	wantStored(t, again, r, true)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	p = mustOpen(t, s.Restart(), 0)
	wantStored(t, p, r, true)
	wantStored(t, p, record("a", "conv:1", "bob", 1), false)
}

// awkwardNames would be one name, or neighbours, if fields were just joined.
func awkwardNames(t *testing.T, s Subject) {
	p := mustOpen(t, s.Log, 0)
	names := [][2]string{
		{"a", "b:c"}, {"ab", ":c"}, {"a", "b"}, {"a", "b\x00"}, {"a", "b\x00\x01"}, {"a", "b\xff"}, {"a\x00", "b"}, {"a\x00\x01b", ""},
		{"", "ab"}, {"a", ""}, {"", ""}, {"a\x01", "b"}, {"a\x00\xff", "b"}, {"é", "conv:☃"},
	}
	for i, n := range names {
		for k := range uint64(i + 1) {
			mustWait(t, mustAppend(t, p, record(n[0], n[1], "u", k+1)))
		}
	}
	for i, n := range names {
		last := uint64(i + 1)
		wantHead(t, p, record(n[0], n[1], "u", last))
		wantStored(t, p, record(n[0], n[1], "u", last), true)
		wantStored(t, p, record(n[0], n[1], "u", last+1), false)
	}
}

func terms(t *testing.T, s Subject) {
	var last uint64
	log := s.Log
	for range 3 {
		for range 2 {
			p := mustOpen(t, log, 2)
			if p.Term() <= last {
				t.Errorf("term %d follows %d", p.Term(), last)
			}
			last = p.Term()
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		log = s.Restart()
	}
}

func superseded(t *testing.T, s Subject) {
	old := mustOpen(t, s.Log, 0)
	first := record("a", "conv:1", "ann", 1)
	mustWait(t, mustAppend(t, old, first))
	now := mustOpen(t, s.Log, 0)
	// A log may learn of it at once, or when it waits.
	if w, err := old.Append(t.Context(), []event.Record{record("a", "conv:1", "ann", 2)}); err == nil && w.Wait(t.Context()) == nil {
		t.Error("the partition of an earlier term took a batch")
	}
	wantHead(t, now, first)
	other := record("a", "conv:1", "bob", 2)
	mustWait(t, mustAppend(t, now, other))
	wantHead(t, now, other)
	wantStored(t, now, other, true)
}

func concurrent(t *testing.T, s Subject) {
	var all sync.WaitGroup
	for number := range Partitions {
		p := mustOpen(t, s.Log, number)
		all.Go(func() {
			room := fmt.Sprintf("conv:%d", number)
			for n := uint64(1); n <= 50; n++ {
				w, err := p.Append(t.Context(), []event.Record{record("a", room, "ann", n)})
				if err == nil {
					err = w.Wait(t.Context())
				}
				if err != nil {
					t.Errorf("partition %d: %v", number, err)
					return
				}
			}
		})
	}
	all.Wait()
	log := s.Restart()
	for number := range Partitions {
		wantHead(t, mustOpen(t, log, number), record("a", fmt.Sprintf("conv:%d", number), "ann", 50))
	}
}
