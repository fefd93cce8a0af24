package mongo

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// swept is a store that a test sweeps, with what it depends on and the database below.
type swept struct {
	*mongo.Store
	t    *testing.T
	at   *clock
	cfg  mongo.Config
	deps mongo.Deps
	db   *driver.Database
}

func newSwept(t *testing.T, retention func(tenant, room string) (uint64, time.Duration)) *swept {
	t.Helper()
	w := &swept{t: t, at: newClock()}
	uri := ferret.Start(t)
	w.cfg, w.deps = settings(t, uri, projections(), sends())
	w.deps.Now, w.deps.Retention = w.at.now, retention
	w.Store = connect(t, w.cfg, w.deps)
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	w.db = client.Database(w.cfg.Database)
	return w
}

// sweep goes once through everything.
func (w *swept) sweep() {
	w.t.Helper()
	if err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// left fails the test if a collection has not so many documents.
func (w *swept) left(collection string, want int64) {
	w.t.Helper()
	if n, err := w.db.Collection(collection).CountDocuments(w.t.Context(), bson.D{}); err != nil || n != want {
		w.t.Errorf("%d documents in %s, %v; want %d", n, collection, err, want)
	}
}

// changed is a record that changes tables.
func changed(id string, offset uint64, data string) event.Record {
	r := message(id, offset)
	r.Action, r.Data = actionChange, []byte(data)
	return r
}

func TestRetention(t *testing.T) {
	w := newSwept(t, func(_, id string) (uint64, time.Duration) {
		switch room.TypeOf(id) {
		case "count":
			return 3, 0
		case "age":
			return 0, time.Minute
		case "both":
			return 8, time.Minute
		}
		return 0, 0
	})
	// The events are from 1,000,001 to 1,000,010 ms.
	w.at.Time = time.UnixMilli(1_000_006).Add(time.Minute)
	var at int64
	for _, id := range []string{"age:1", "both:1", "count:1", "count:2", "other:1"} {
		list := messages(id, 1, 10)
		list[2].From.User, list[4].From.User = "eve", "eve"
		keep(t, w.Store, logged(at, list...), worker.Mark{})
		at += 10
	}
	keep(t, w.Store, logged(at, changed("count:2", 11, `[{"What":"note","Offset":2},{"What":"note","Offset":10}]`)), worker.Mark{})
	w.sweep()
	for id, want := range map[string][2]uint64{"count:1": {8, 10}, "count:2": {9, 11}, "age:1": {7, 10}, "both:1": {7, 10}, "other:1": {1, 10}} {
		offsets(t, w.Store, id, want[0], want[1])
	}
	if list, err := w.Notes(t.Context(), tenant, "count:2", 0, 100, 0); err != nil || len(list) != 1 || list[0].Offset != 10 {
		t.Errorf("notes %+v, %v", list, err)
	}
	for offset, want := range map[uint64]error{0: room.ErrTrimmed, 6: room.ErrTrimmed, 7: nil, 8: nil, 10: nil, 11: room.ErrTrimmed} {
		list, err := w.After(t.Context(), tenant, "count:1", event.Position{Epoch: "e1", Offset: offset}, 10, 1<<20)
		if !errors.Is(err, want) || err == nil && uint64(len(list)) != 10-offset {
			t.Errorf("behind %d: %d events, %v", offset, len(list), err)
		}
	}
	for user, want := range map[string]uint64{"ann": 10, "eve": 5} {
		if m, err := w.Sent(t.Context(), tenant, user, "count:1"); err != nil || m.Offset != want || m.Epoch != "e1" || m.Messages != want {
			t.Errorf("what %s has sent, of which not all is kept: %+v, %v", user, m, err)
		}
	}
	w.at.Time = w.at.Add(time.Hour)
	w.sweep()
	offsets(t, w.Store, "age:1", 10, 10) // its head
	if n := w.Stats().Trimmed; n != 6 {
		t.Errorf("%d rooms trimmed", n)
	}
}

// TestBury: a room that was deleted goes with its sub-rooms, when it may, and its name is
// free then.
func TestBury(t *testing.T) {
	w := newSwept(t, nil)
	end := changed("conv:1", 4, `[{"What":"end"}]`)
	end.Ends = true
	keep(t, w.Store, logged(1,
		changed("conv:1", 1, `[{"What":"room"},{"What":"member","User":"ann"},{"What":"row","Kind":"a"},{"What":"note","Offset":1}]`), message("conv:1", 2), message("conv:1", 3),
		message("conv:1/typing", 1), message("conv:1/voice", 1), message("conv:10", 1), end), worker.Mark{})
	w.at.Time = time.UnixMilli(end.Timestamp).Add(2*w.deps.Window - time.Millisecond)
	w.sweep()
	offsets(t, w.Store, "conv:1", 1, 4)
	w.at.Time = w.at.Add(time.Millisecond)
	w.sweep()
	for _, id := range []string{"conv:1", "conv:1/typing", "conv:1/voice"} {
		if h, err := w.SequenceHead(t.Context(), tenant, id); err != nil || h.Offset != 0 {
			t.Errorf("%s: %+v, %v", id, h, err)
		}
	}
	offsets(t, w.Store, "conv:10", 1, 1)
	w.left("events", 1)
	w.left("markers", 1)
	w.left("members", 1)

	w.at.Time = w.at.Add(2 * time.Hour)
	again := changed("conv:1", 1, `[{"What":"room"},{"What":"member","User":"bob"}]`)
	again.Epoch = "e2"
	keep(t, w.Store, logged(100, again), worker.Mark{})
	w.sweep()
	w.left("members", 1)
	w.left("rows", 0)
	w.left("notes", 0)
	if _, found, err := w.Room(t.Context(), tenant, "conv:1"); err != nil || !found {
		t.Errorf("the room that begins again: %v, %v", found, err)
	}
	if list, err := w.Members(t.Context(), tenant, "conv:1", "", 10); err != nil || len(list) != 1 || list[0].User != "bob" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestLateSweeper: who was paused while a room was buried and began again removes nothing.
func TestLateSweeper(t *testing.T) {
	w := newSwept(t, func(string, string) (uint64, time.Duration) { return 1, 0 })
	again := message("conv:1", 1)
	again.Epoch = "e2"
	keep(t, w.Store, logged(1, messages("conv:1", 2, 3)...), worker.Mark{})
	keep(t, w.Store, logged(10, again), worker.Mark{}) // what is removed is below the head, and of its life
	w.sweep()
	list, err := w.Before(t.Context(), tenant, "conv:1", 0, 10, 1<<20)
	if err != nil || len(list) != 2 || list[0].Position != (event.Position{Epoch: "e1", Offset: 3}) || list[1].Position != again.Position {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestTombstones(t *testing.T) {
	w := newSwept(t, nil)
	keep(t, w.Store, logged(1,
		changed("conv:1", 1, `[{"What":"member","User":"ann"},{"What":"member","User":"bob"},{"What":"row","Kind":"a"},{"What":"note","Offset":1}]`),
		changed("conv:1", 2, `[{"What":"no member","User":"ann"},{"What":"no row","Kind":"a"},{"What":"no note","Offset":1}]`)), worker.Mark{})
	w.at.Time = w.at.Add(59 * time.Minute)
	w.sweep()
	w.left("members", 2)
	w.left("rows", 1)
	w.left("notes", 1)
	keep(t, w.Store, logged(9, changed("conv:1", 3, `[{"What":"row","Kind":"a"}]`)), worker.Mark{})
	w.at.Time = w.at.Add(2 * time.Minute)
	w.sweep()
	w.left("members", 1)
	w.left("rows", 1)
	w.left("notes", 0)
	if n := w.Stats().Tombstones; n != 2 {
		t.Errorf("%d tombstones", n)
	}
	ended := changed("conv:1", 4, `[{"What":"end"}]`)
	keep(t, w.Store, logged(20, ended), worker.Mark{})
	w.at.Time = w.at.Add(2 * time.Hour)
	w.sweep()
	for _, c := range []string{"rooms", "members", "rows", "notes"} {
		w.left(c, 0)
	}
}

// threeRooms has three with two events, of which one is to stay.
func threeRooms(t *testing.T) *swept {
	t.Helper()
	w := newSwept(t, func(string, string) (uint64, time.Duration) { return 1, 0 })
	w.cfg.SweepRooms, w.cfg.SweepRest = 1, time.Hour
	for i, id := range []string{"conv:1", "conv:2", "conv:3"} {
		keep(t, w.Store, logged(int64(2*i), messages(id, 1, 2)...), worker.Mark{})
	}
	return w
}

// trimmed are the rooms with one event.
func (w *swept) trimmed() (out []string) {
	w.t.Helper()
	for _, id := range []string{"conv:1", "conv:2", "conv:3"} {
		if list, err := w.Before(w.t.Context(), tenant, id, 0, 9, 1<<20); err != nil {
			w.t.Fatal(err)
		} else if len(list) == 1 {
			out = append(out, id)
		}
	}
	return out
}

// TestOneSweeps: of two nodes one does, until it has said nothing for a while; the other
// goes on where it was.
func TestOneSweeps(t *testing.T) {
	w := threeRooms(t)
	first, other := connect(t, w.cfg, w.deps), connect(t, w.cfg, w.deps)
	for _, c := range []struct {
		by     *mongo.Store
		passes time.Duration
		want   []string
	}{
		{first, 0, []string{"conv:1"}},
		{other, 0, []string{"conv:1"}},
		{other, time.Minute, []string{"conv:1", "conv:2"}},
		{first, 0, []string{"conv:1", "conv:2"}},
		{other, 0, []string{"conv:1", "conv:2", "conv:3"}},
	} {
		w.at.Time = w.at.Add(c.passes)
		if err := c.by.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.trimmed(); !slices.Equal(got, c.want) {
			t.Errorf("trimmed %v, want %v", got, c.want)
		}
	}
}

// TestRunSweep goes through all rooms, rests, and begins anew.
func TestRunSweep(t *testing.T) {
	w := threeRooms(t)
	s := connect(t, w.cfg, w.deps)
	for range 4 { // one room each, and the end
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, w.Store, logged(50, message("conv:1", 3)), worker.Mark{})
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.trimmed(); !slices.Equal(got, []string{"conv:2", "conv:3"}) {
		t.Errorf("trimmed %v while it should rest", got)
	}
	w.at.Time = w.at.Add(2 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.RunSweep(ctx) }() // ended by cancel
	for end := time.Now().Add(patience); len(w.trimmed()) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is swept")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
