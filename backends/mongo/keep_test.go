package mongo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/worker"
)

const actionSend = "message:send"

// sends keeps how far users have sent.
func sends() map[string]room.Projection {
	return map[string]room.Projection{actionSend: func(t room.Tables, r *event.Record) {
		t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	}}
}

func message(id string, offset uint64) event.Record {
	r := event.Record{Key: fmt.Sprintf("k%d", offset), Unread: true, Messages: offset}
	r.Envelope = event.Envelope{
		Type: event.TypeMessage, ID: fmt.Sprintf("01J%023d", offset), Tenant: tenant, Room: id, Timestamp: 1_000_000 + int64(offset),
		From: event.Sender{User: "ann", Device: "phone"}, Position: event.Position{Epoch: "e1", Offset: offset}, Action: actionSend, Data: fmt.Appendf(nil, `{"text":"%d"}`, offset),
	}
	return r
}

func messages(id string, from, to uint64) (all []event.Record) {
	for offset := from; offset <= to; offset++ {
		all = append(all, message(id, offset))
	}
	return all
}

// offsets fails the test if a room's events are others than from one to another.
func offsets(t *testing.T, s *mongo.Store, id string, from, to uint64) {
	t.Helper()
	list, err := s.Before(t.Context(), tenant, id, 0, 1000, 1<<20)
	if err != nil || uint64(len(list)) != to+1-from {
		t.Fatalf("%d events, %v; want those from %d to %d", len(list), err, from, to)
	}
	for i := range list {
		if want := to - uint64(i); list[i].Offset != want {
			t.Errorf("event %d in the place of %d", list[i].Offset, want)
		}
	}
}

// TestConflict: an event in whose place another is, is named; the others are kept, and
// progress is not.
func TestConflict(t *testing.T) {
	s := open(t, sends())
	events := logged(10, messages("conv:1", 1, 3)...)
	keep(t, s, events, worker.Mark{Offset: 13, Term: 1, Seq: 3})
	other, broken := message("conv:1", 2), message("conv:1", 4)
	other.ID, broken.Ref = "01JOTHER", "\xff"
	other.From.User = "eve"
	batch := logged(13, message("conv:1", 1), other, broken, message("conv:1", 5))
	err := s.Keep(t.Context(), 0, batch, worker.Mark{Offset: 17, Term: 1, Seq: 7})
	refused, ok := errors.AsType[*worker.Refused](err)
	if !ok || len(refused.Why) != 2 || refused.Why[1] == nil || refused.Why[2] == nil {
		t.Fatalf("%v", err)
	}
	for _, name := range []string{"event 2 of conv:1 of acme", "14 in the log", "01J00000000000000000000002", "11 in the log"} {
		if !strings.Contains(refused.Why[1].Error(), name) {
			t.Errorf("%v does not name %s", refused.Why[1], name)
		}
	}
	if m, err := s.Progress(t.Context(), 0); err != nil || m.Offset != 13 {
		t.Errorf("progress %+v, %v", m, err)
	}
	if h, err := s.Head(t.Context(), tenant, "conv:1"); err != nil || h.Offset != 5 {
		t.Errorf("head %+v, %v", h, err)
	}
	if m, err := s.Sent(t.Context(), tenant, "eve", "conv:1"); err != nil || m.Offset != 0 {
		t.Errorf("what the other event has brought about: %+v, %v", m, err)
	}
	if n := s.Stats().Conflicts; n != 1 {
		t.Errorf("%d conflicts", n)
	}
	keep(t, s, nil, worker.Mark{Offset: 17, Term: 1, Seq: 7})
	if m, err := s.Progress(t.Context(), 0); err != nil || m.Offset != 17 {
		t.Errorf("progress %+v, %v", m, err)
	}
}

// TestRedactedIsTheSame: an event whose data was removed since may be kept again, and its
// data stay away.
func TestRedactedIsTheSame(t *testing.T) {
	s := open(t, map[string]room.Projection{"message:delete": func(t room.Tables, r *event.Record) { t.Redact(r.Tenant, r.Room, 1) }})
	deletion := message("conv:1", 2)
	deletion.Action = "message:delete"
	first := logged(1, message("conv:1", 1))
	keep(t, s, first, worker.Mark{})
	keep(t, s, logged(2, deletion), worker.Mark{})
	keep(t, s, first, worker.Mark{})
	list, err := s.Before(t.Context(), tenant, "conv:1", 2, 1, 1<<20)
	if err != nil || len(list) != 1 || list[0].Data != nil || !list[0].Redacted {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestLateWorker: who is late does not bring back what retention has removed.
func TestLateWorker(t *testing.T) {
	s := open(t, sends())
	keep(t, s, logged(10, messages("conv:1", 5, 8)...), worker.Mark{Offset: 14, Term: 1, Seq: 8})
	keep(t, s, logged(6, messages("conv:1", 1, 4)...), worker.Mark{Offset: 10, Term: 1, Seq: 4})
	offsets(t, s, "conv:1", 5, 8)
	if m, err := s.Progress(t.Context(), 0); err != nil || m != (worker.Mark{Offset: 14, Term: 1, Seq: 8}) {
		t.Errorf("progress %+v, %v", m, err)
	}
	keep(t, s, logged(6, messages("conv:1", 1, 4)...), worker.Mark{}) // a hole is mended
	offsets(t, s, "conv:1", 1, 8)
	if m, err := s.Sent(t.Context(), tenant, "ann", "conv:1"); err != nil || m.Offset != 8 {
		t.Errorf("marker %+v, %v", m, err)
	}
}

// TestTwoWorkersAtOnce keep the same events of several rooms in batches of different sizes.
func TestTwoWorkersAtOnce(t *testing.T) {
	s := open(t, sends())
	var all []event.Record
	for offset := uint64(1); offset <= 20; offset++ {
		all = append(all, message("conv:1", offset), message("conv:2", offset))
	}
	events := logged(0, all...)
	var workers sync.WaitGroup
	for _, batch := range []int{3, 7} {
		workers.Go(func() {
			for from := 0; from < len(events); from += batch {
				to := min(from+batch, len(events))
				if err := s.Keep(t.Context(), 0, events[from:to], worker.Mark{Offset: int64(to), Term: 1, Seq: uint64(to)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"conv:1", "conv:2"} {
		offsets(t, s, id, 1, 20)
		if m, err := s.Marker(t.Context(), tenant, "ann", id); err != nil || m.Offset != 20 {
			t.Errorf("marker %+v, %v", m, err)
		}
	}
	if m, err := s.Progress(t.Context(), 0); err != nil || m.Offset != 40 {
		t.Errorf("progress %+v, %v", m, err)
	}
}

// TestProgressFollows: it is written once a second, and not before the markers that it
// counts.
func TestProgressFollows(t *testing.T) {
	at := newClock()
	cfg, deps := settings(t, ferret.Start(t), sends())
	deps.Now = at.now
	s := connect(t, cfg, deps)
	sent := func() (worker.Mark, uint64) {
		t.Helper()
		m, err := s.Progress(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		marker, err := s.Sent(t.Context(), tenant, "ann", "conv:1")
		if err != nil {
			t.Fatal(err)
		}
		return m, marker.Offset
	}
	for _, c := range []struct {
		after   time.Duration
		offset  uint64
		written int64
	}{{0, 1, 1}, {time.Second - 1, 2, 1}, {0, 3, 1}, {1, 4, 4}, {0, 5, 4}} {
		at.Time = at.Add(c.after)
		n := int64(c.offset)
		if err := s.Keep(t.Context(), 0, logged(n, message("conv:1", c.offset)), worker.Mark{Offset: n, Term: 1}); err != nil {
			t.Fatal(err)
		}
		offsets(t, s, "conv:1", 1, c.offset)
		if m, marker := sent(); m.Offset != c.written || marker != uint64(c.written) {
			t.Errorf("after %d: progress %d, marker %d, want %d", c.offset, m.Offset, marker, c.written)
		}
	}
	keep(t, s, logged(4, message("conv:1", 4)), worker.Mark{Offset: 4, Term: 1}) // once more, and all is flushed
	if m, marker := sent(); m.Offset != 5 || marker != 5 {
		t.Errorf("in the end: progress %d, marker %d", m.Offset, marker)
	}
}

// TestProgressIsTheFurthest, whichever of two workers writes last.
func TestProgressIsTheFurthest(t *testing.T) {
	s := open(t)
	for n := int64(2); n < 200; n += 2 {
		var workers sync.WaitGroup
		for _, offset := range [...]int64{n, n + 1} {
			workers.Go(func() {
				if err := errors.Join(s.Keep(t.Context(), 0, nil, worker.Mark{Offset: offset, Term: 1}), s.Flush(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		if m, err := s.Progress(t.Context(), 0); err != nil || m.Offset != n+1 {
			t.Fatalf("%+v, %v; want %d", m, err, n+1)
		}
	}
}

// TestMarkersOfABatch: what is written of several moves is where they end.
func TestMarkersOfABatch(t *testing.T) {
	s := open(t, projections())
	keep(t, s, logged(1,
		changed("user:ann", 1, `[{"What":"read","User":"ann","Other":"conv:1","To":{"epoch":"e1","offset":5}}]`),
		changed("conv:1", 1, `[{"What":"sent","User":"ann"}]`)), worker.Mark{})
	keep(t, s, logged(3,
		changed("user:ann", 2, `[{"What":"read","User":"ann","Other":"conv:1","To":{"epoch":"e2","offset":9}},{"What":"read","User":"ann","Other":"conv:1","To":{"epoch":"e1","offset":3}}]`),
		changed("conv:1", 2, `[{"What":"sent","User":"bob"},{"What":"sent","User":"ann"}]`)), worker.Mark{})
	if m, err := s.Read(t.Context(), tenant, "ann", "conv:1"); err != nil || m.Position != (event.Position{Epoch: "e1", Offset: 3}) {
		t.Errorf("read %+v, %v", m, err)
	}
	for _, user := range []string{"ann", "bob"} {
		if m, err := s.Sent(t.Context(), tenant, user, "conv:1"); err != nil || m.Position != (event.Position{Epoch: "e1", Offset: 2}) {
			t.Errorf("%s has sent %+v, %v", user, m, err)
		}
	}
}

// TestLost: an event that is gone from the log has its place in the stream, until it is
// found.
func TestLost(t *testing.T) {
	s := open(t, sends())
	keep(t, s, logged(1, messages("conv:1", 1, 2)...), worker.Mark{})
	loss := worker.Loss{Tenant: tenant, Room: "conv:1", Epoch: "e1", From: 3, To: 4}
	for range 2 {
		if err := s.Lost(t.Context(), loss); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, s, logged(5, messages("conv:1", 5, 6)...), worker.Mark{})
	offsets(t, s, "conv:1", 1, 6)
	list, err := s.After(t.Context(), tenant, "conv:1", event.Position{Epoch: "e1", Offset: 2}, 3, 1<<20)
	if err != nil || len(list) != 3 || list[0].Data != nil || !list[1].Redacted || list[0].Timestamp != 1_000_002 || list[2].Data == nil {
		t.Errorf("%+v, %v", list, err)
	}
	keep(t, s, logged(3, message("conv:1", 3)), worker.Mark{})
	list, err = s.After(t.Context(), tenant, "conv:1", event.Position{Epoch: "e1", Offset: 2}, 2, 1<<20)
	if err != nil || len(list) != 2 || list[0].Data == nil || list[0].Redacted || list[1].Data != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestProgress(t *testing.T) {
	at := newClock()
	cfg, deps := settings(t, ferret.Start(t))
	deps.Now = at.now
	s := connect(t, cfg, deps)
	begin := at.now()
	mark := func(n int64) worker.Mark { return worker.Mark{Offset: n, Term: 1, Seq: uint64(n)} }
	if m, err := s.Mark(t.Context(), 7, begin); err != nil || m != (worker.Mark{}) {
		t.Errorf("%+v, %v", m, err)
	}
	move := func(n int64) {
		t.Helper()
		if err := errors.Join(s.Keep(t.Context(), 7, nil, mark(n)), s.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); n <= 240; n++ { // every half minute
		move(n)
		at.Time = at.Add(30 * time.Second)
	}
	move(3) // late
	if m, err := s.Progress(t.Context(), 7); err != nil || m != mark(240) {
		t.Errorf("progress %+v, %v", m, err)
	}
	for _, c := range []struct {
		name   string
		before time.Time
		want   int64
	}{
		{"before all", begin, 0}, {"at the beginning", begin.Add(time.Second), 1}, {"between marks", begin.Add(119 * time.Second), 3}, {"the newest", at.Add(time.Second), 240},
	} {
		want := worker.Mark{}
		if c.want > 0 {
			want = mark(c.want)
		}
		if m, err := s.Mark(t.Context(), 7, c.before); err != nil || m != want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, m, err, want)
		}
	}
	at.Time = at.Add(100 * time.Hour)
	move(241)
	if m, err := s.Mark(t.Context(), 7, begin.Add(time.Hour)); err != nil || m != (worker.Mark{}) {
		t.Errorf("a mark that is too old: %+v, %v", m, err)
	}
	if m, err := s.Mark(t.Context(), 7, at.Add(-time.Hour)); err != nil || m != mark(239) {
		t.Errorf("the newest one that is old: %+v, %v", m, err)
	}
}

// TestPassed: who owns a partition learns how far it is kept without asking.
func TestPassed(t *testing.T) {
	s := open(t)
	keep(t, s, nil, worker.Mark{Offset: 42, Term: 1})
	if n := s.Passed(0); n != 0 {
		t.Errorf("%d before anybody has looked", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for end := time.Now().Add(patience); s.Passed(0) != 42; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is never learned")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := s.Passed(1); n != 0 {
		t.Errorf("%d of a partition of which nothing is kept", n)
	}
}

// TestServerAway: while the server is away all fails with what may be tried again, and
// afterwards it goes on.
func TestServerAway(t *testing.T) {
	dir := t.TempDir()
	uri, stop := ferret.Serve(t, ferret.Config{Listen: "127.0.0.1:0", Dir: dir})
	cfg, deps := settings(t, uri, sends())
	cfg.Timeout = 300 * time.Millisecond
	s := connect(t, cfg, deps)
	first, second := logged(1, messages("conv:1", 1, 3)...), logged(4, messages("conv:1", 4, 6)...)
	keep(t, s, first, worker.Mark{Offset: 4, Term: 1, Seq: 3})
	stop()
	err := s.Keep(t.Context(), 0, second, worker.Mark{Offset: 7, Term: 1, Seq: 6})
	if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Timeout) {
		t.Errorf("%v", err)
	}
	if _, err := s.Head(t.Context(), tenant, "conv:1"); !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Timeout) {
		t.Errorf("%v", err)
	}
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
	ferret.Serve(t, ferret.Config{Listen: strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/"), Dir: dir})
	for end := time.Now().Add(patience); ; {
		if err = s.Keep(t.Context(), 0, second, worker.Mark{Offset: 7, Term: 1, Seq: 6}); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	offsets(t, s, "conv:1", 1, 6)
}
