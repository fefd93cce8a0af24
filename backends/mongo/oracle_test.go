package mongo

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/room/roomtest"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/worker"
)

const (
	tenant       = "acme"
	actionChange = "test:change"
)

// change is what a record of a random history does to the tables.
type change struct {
	What   string
	User   string      `json:",omitempty"`
	Other  string      `json:",omitempty"` // a room
	Kind   string      `json:",omitempty"`
	Key    string      `json:",omitempty"`
	Offset uint64      `json:",omitempty"`
	To     room.Marker `json:",omitzero"`
}

func (c *change) do(t room.Tables, r *event.Record) {
	value := fmt.Appendf(nil, "by %d", r.Offset)
	switch c.What {
	case "room":
		t.PutRoom(room.Info{Tenant: r.Tenant, ID: r.Room, Created: r.Timestamp, Creator: c.User, Name: c.Key, Meta: value})
	case "end":
		t.EndRoom(r.Tenant, r.Room)
	case "member":
		t.PutMember(r.Tenant, r.Room, room.Member{User: c.User, Role: c.Kind, Joined: r.Timestamp})
	case "no member":
		t.DeleteMember(r.Tenant, r.Room, c.User)
	case "sent":
		t.PutSent(r.Tenant, c.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	case "read":
		t.PutRead(r.Tenant, c.User, c.Other, c.To)
	case "note":
		t.PutNote(r.Tenant, r.Room, room.Note{Offset: c.Offset, Kind: c.Kind, Key: c.Key, Value: value})
	case "no note":
		t.DeleteNote(r.Tenant, r.Room, room.Note{Offset: c.Offset, Kind: c.Kind, Key: c.Key})
	case "row":
		t.PutRow(r.Tenant, r.Room, room.Row{Kind: c.Kind, Key: c.Key, Value: value})
	case "no row":
		t.DeleteRow(r.Tenant, r.Room, room.Row{Kind: c.Kind, Key: c.Key})
	case "redact":
		t.Redact(r.Tenant, r.Room, c.Offset)
	}
}

func projections() map[string]room.Projection {
	return map[string]room.Projection{actionChange: func(t room.Tables, r *event.Record) {
		var all []change
		if json.Unmarshal(r.Data, &all) == nil {
			for i := range all {
				all[i].do(t, r)
			}
		}
	}}
}

var (
	rooms  = []string{"conv:1", "conv:10", "conv:1/typing"}
	users  = []string{"ann", "ann+", "bob"}
	epochs = []string{"e1", "e2", "e3"}
	kinds  = []string{"a", "a!", "b~c"}
	keys   = []string{"", "x", "x y", "é\x00"}
)

// history makes the next record of a room.
type history struct{ heads map[string]event.Head }

func (h *history) draw(t *rapid.T) event.Record {
	id := rapid.SampledFrom(rooms).Draw(t, "room")
	head := h.heads[id]
	head.Epoch = "e1"
	head.Offset++
	unread := rapid.Bool().Draw(t, "unread")
	if unread {
		head.Messages++
	}
	h.heads[id] = head
	var all []change
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		c := drawChange(t, head.Offset)
		if c.What == "redact" && head.Offset == 1 {
			continue
		}
		if c.What == "end" { // what the same record puts does not count
			all = nil
		}
		if all = append(all, c); c.What == "end" {
			break
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	r := event.Record{Key: "k", Unread: unread, Messages: head.Messages}
	r.Envelope = event.Envelope{
		Type: event.TypeMessage, ID: fmt.Sprintf("01J%023d", head.Offset), Tenant: tenant, Timestamp: 1_000_000 + int64(head.Offset), Room: id,
		From: event.Sender{User: "ann", Device: "phone"}, Position: head.Position, Action: actionChange, Data: data,
		Expires: rapid.SampledFrom([]int64{0, 0, 1_000_001, 3_000_000}).Draw(t, "expires"),
	}
	return r
}

func drawChange(t *rapid.T, offset uint64) change {
	return change{
		What:  rapid.SampledFrom([]string{"room", "end", "member", "member", "no member", "sent", "read", "read", "note", "note", "no note", "row", "row", "no row", "redact"}).Draw(t, "what"),
		User:  rapid.SampledFrom(users).Draw(t, "user"),
		Other: rapid.SampledFrom(rooms).Draw(t, "other"),
		Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"), Key: rapid.SampledFrom(keys).Draw(t, "key"),
		Offset: rapid.Uint64Range(1, max(1, offset-1)).Draw(t, "offset"), // of an earlier record
		To: room.Marker{
			Position: event.Position{Epoch: rapid.SampledFrom(epochs).Draw(t, "epoch"), Offset: rapid.Uint64Range(1, 5).Draw(t, "read")},
			Messages: rapid.Uint64Range(0, 5).Draw(t, "messages"),
		},
	}
}

// TestSameAsEmbedded: what workers keep, two of them at once and everything more than once,
// reads as what a node alone has kept.
func TestSameAsEmbedded(t *testing.T) {
	cfg, deps := settings(t, ferret.Start(t), projections())
	at := newClock()
	deps.Now = at.now
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		number++
		oracle, commit := node(rt)
		cfg.Database = fmt.Sprintf("same_%d", number)
		at.Time = newClock().Time
		workers := [2]*working{newWorking(rt, cfg, deps), newWorking(rt, cfg, deps)}
		h := &history{heads: map[string]event.Head{}}
		var all []worker.Event
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			for range rapid.IntRange(0, 6).Draw(rt, "records") {
				r := h.draw(rt)
				commit(r)
				all = append(all, worker.Event{Record: r, At: int64(3 * (len(all) + 1))})
			}
			at.Time = at.Add(400 * time.Millisecond)
			workers[rapid.IntRange(0, 1).Draw(rt, "worker")].work(rt, all)
		}
		for first := workers[0]; first.at < len(all); {
			first.work(rt, all)
		}
		for _, w := range workers {
			w.flush(rt)
		}
		compare(rt, workers[1].stores[0], oracle)
	})
}

// working is one worker after the other that reads the partition.
type working struct {
	stores []*mongo.Store // the last one works, the others are dead
	anew   func() *mongo.Store
	at     int // how many events it has kept
}

func newWorking(t *rapid.T, cfg mongo.Config, deps mongo.Deps) *working {
	w := &working{anew: func() *mongo.Store {
		s, err := mongo.Connect(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		return s
	}}
	w.stores = append(w.stores, w.anew())
	return w
}

// work keeps the next events, from where it was or where progress is.
func (w *working) work(t *rapid.T, all []worker.Event) {
	s := w.stores[len(w.stores)-1]
	if rapid.IntRange(0, 3).Draw(t, "killed") == 0 {
		s = w.anew()
		w.stores, w.at = append(w.stores, s), -1
	}
	if w.at < 0 || rapid.Bool().Draw(t, "from progress") {
		m, err := s.Progress(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		w.at = int(m.Seq)
	}
	to := min(len(all), w.at+rapid.IntRange(1, 8).Draw(t, "batch"))
	if to == w.at {
		return
	}
	if err := s.Keep(t.Context(), 0, all[w.at:to], worker.Mark{Offset: all[to-1].At + 1, Term: 1, Seq: uint64(to)}); err != nil {
		t.Fatal(err)
	}
	w.at = to
}

// flush has the last worker write what it is behind with, and perhaps those who were only
// taken for dead.
func (w *working) flush(t *rapid.T) {
	stores := w.stores
	if rapid.Bool().Draw(t, "dead") {
		stores = stores[len(stores)-1:]
	}
	for _, s := range stores {
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// node is one that runs alone.
func node(t *rapid.T) (s *embedded.Store, commit func(event.Record)) {
	cfg := embedded.Default()
	cfg.Dir, cfg.MemTable, cfg.CacheSize = "data", 1<<20, 1<<20
	s, err := embedded.Open(cfg, embedded.Deps{
		FS: vfs.NewMem(), Clock: newClock().now, Projections: projections(), Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := s.Log().Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return s, func(r event.Record) {
		var pending sequence.Pending
		if pending, err = p.Append(t.Context(), []event.Record{r}); err == nil {
			err = pending.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// compare asks both for everything.
func compare(t *rapid.T, s *mongo.Store, oracle roomtest.Store) {
	for _, question := range questions() {
		var answers [2]any
		for i, store := range [...]roomtest.Store{s, oracle} {
			answers[i] = question.ask(t, store)
		}
		if !reflect.DeepEqual(answers[0], answers[1]) {
			t.Fatalf("%s: %+v, want %+v", question.what, answers[0], answers[1])
		}
	}
}

type question struct {
	what string
	ask  func(*rapid.T, roomtest.Store) any
}

// answer is what was answered, none and empty being one.
func answer(values ...any) any {
	for i, v := range values {
		if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.Len() == 0 {
			values[i] = nil
		}
	}
	return values
}

func questions() (all []question) {
	add := func(what string, ask func(*rapid.T, roomtest.Store) any) { all = append(all, question{what, ask}) }
	for _, id := range rooms {
		add("room "+id, func(t *rapid.T, s roomtest.Store) any {
			info, found, err := s.Room(t.Context(), tenant, id)
			return answer(info, found, err)
		})
		add("head of "+id, func(t *rapid.T, s roomtest.Store) any {
			h, err := s.Head(t.Context(), tenant, id)
			return answer(h, err)
		})
		for _, after := range []string{"", "ann", "axe"} {
			add("members of "+id+" behind "+after, func(t *rapid.T, s roomtest.Store) any {
				list, err := s.Members(t.Context(), tenant, id, after, 2)
				return answer(list, err)
			})
		}
		for _, user := range users {
			add(user+" in "+id, func(t *rapid.T, s roomtest.Store) any {
				m, found, err := s.Member(t.Context(), tenant, id, user)
				marker, err2 := s.Marker(t.Context(), tenant, user, id)
				return answer(m, found, err, marker, err2)
			})
		}
		for _, kind := range kinds {
			add("rows "+kind+" of "+id, func(t *rapid.T, s roomtest.Store) any {
				list, err := s.Rows(t.Context(), tenant, id, kind, "", 3)
				rest, err2 := s.Rows(t.Context(), tenant, id, kind, "x", 3)
				value, found, err3 := s.Row(t.Context(), tenant, id, kind, "x y")
				return answer(list, err, rest, err2, value, found, err3)
			})
		}
		add("notes of "+id, func(t *rapid.T, s roomtest.Store) any {
			list, err := s.Notes(t.Context(), tenant, id, 0, 1<<63, 0)
			some, err2 := s.Notes(t.Context(), tenant, id, 2, 3, 2)
			return answer(list, err, some, err2)
		})
		for offset := range uint64(5) {
			add(fmt.Sprintf("%s at %d", id, offset), func(t *rapid.T, s roomtest.Store) any {
				after, err := s.After(t.Context(), tenant, id, event.Position{Epoch: "e1", Offset: offset}, 3, 1<<20)
				one, err2 := s.After(t.Context(), tenant, id, event.Position{Offset: offset}, 3, 1)
				before, err3 := s.Before(t.Context(), tenant, id, offset, 3, 1<<20)
				return answer(after, err, one, err2, before, err3)
			})
		}
	}
	return all
}
