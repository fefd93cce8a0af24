package mongo

import (
	"errors"
	"reflect"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

func drawEvent(t *rapid.T) worker.Event {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	e := worker.Event{At: rapid.Int64().Draw(t, "at")}
	e.Key, e.Unread, e.Ends, e.Redacted = text("key"), rapid.Bool().Draw(t, "unread"), rapid.Bool().Draw(t, "ends"), rapid.Bool().Draw(t, "redacted")
	e.Messages = rapid.Uint64Range(0, event.MaxOffset).Draw(t, "messages")
	e.Envelope = event.Envelope{
		Type: event.Type(rapid.IntRange(1, 4).Draw(t, "type")), ID: text("id"), Tenant: text("tenant"), Timestamp: rapid.Int64().Draw(t, "timestamp"), Room: text("room"),
		From: event.Sender{User: text("user"), Device: text("device")}, Ref: text("ref"), Action: text("action"), Expires: rapid.Int64().Draw(t, "expires"),
		Position: event.Position{Epoch: text("epoch"), Offset: rapid.Uint64Range(1, event.MaxOffset).Draw(t, "offset")},
	}
	if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 {
		e.Data = data
	}
	return e
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		doc, err := encodeEvent(eventID(e.Tenant, e.Room, e.Offset), &e)
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := decodeEvent(doc, e.Tenant, e.Room)
		if err != nil || !reflect.DeepEqual(got, stored{Event: e}) {
			t.Fatalf("got %+v, %v; want %+v", got, err, e)
		}
		if !got.same(&e) {
			t.Fatal("it is another one")
		}
	})
}

func TestSame(t *testing.T) {
	e := worker.Event{Record: event.Record{Key: "k", Messages: 1, Envelope: event.Envelope{ID: "01J", Data: []byte("{}")}}, At: 7}
	for name, c := range map[string]struct {
		change func(*stored)
		want   bool
	}{
		"redacted":           {func(s *stored) { s.Redacted, s.Data = true, nil }, true},
		"elsewhere":          {func(s *stored) { s.At = 8 }, true},
		"other data":         {func(s *stored) { s.Data = []byte("{} ") }, false},
		"another id":         {func(s *stored) { s.ID = "01K" }, false},
		"another life":       {func(s *stored) { s.Epoch = "e2" }, false},
		"of somebody else":   {func(s *stored) { s.From.User = "eve" }, false},
		"under another key":  {func(s *stored) { s.Key = "l" }, false},
		"counted more":       {func(s *stored) { s.Messages++ }, false},
		"redacted, of other": {func(s *stored) { s.Redacted, s.Data, s.From.User = true, nil, "eve" }, false},
	} {
		is := stored{Event: e}
		c.change(&is)
		if got := is.same(&e); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNotText(t *testing.T) {
	e := worker.Event{Record: event.Record{Envelope: event.Envelope{Ref: "\xff"}}}
	if _, err := encodeEvent("x", &e); !errors.Is(err, errNotText) {
		t.Error(err)
	}
}

// FuzzDecodeEvent: no document makes it panic.
func FuzzDecodeEvent(f *testing.F) {
	e := worker.Event{Record: event.Record{Key: "k", Envelope: event.Envelope{ID: "01J", Type: event.TypeMessage, Data: []byte("{}")}}, At: 1}
	doc, err := encodeEvent(eventID("acme", "conv:1", 7), &e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(doc))
	for _, d := range []bson.D{{{Key: "_id", Value: 7}}, {{Key: "data", Value: "text"}}, {{Key: "_id", Value: ""}}, {{Key: "unknown", Value: bson.A{}}}} {
		raw, err := bson.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(_ *testing.T, doc []byte) { _, _ = decodeEvent(doc, "acme", "conv:1") })
}

func BenchmarkEncodeEvent(b *testing.B) {
	e := worker.Event{Record: event.Record{Key: "key-1", Unread: true, Messages: 7}, At: 42}
	e.Envelope = event.Envelope{
		Type: event.TypeMessage, ID: "01J00000000000000000000001", Timestamp: 1767225600000, From: event.Sender{User: "ann", Device: "phone"},
		Position: event.Position{Epoch: "01J0000000", Offset: 7}, Action: "message:send", Data: make([]byte, 300),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodeEvent("acme conv:1 0000000000000007", &e); err != nil {
			b.Fatal(err)
		}
	}
}
