package protocoldoc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// actions is a small list with every kind, format and limit.
func actions() []event.Action {
	position := event.Payload{
		{Name: "epoch", Kind: event.String, Format: "epoch", Required: true},
		{Name: "offset", Kind: event.Int, Required: true},
	}
	return []event.Action{
		{
			Name: "message:send", Doc: "Sends a message.", NeedsRoom: true, Durable: true, Permission: event.Publisher,
			Payload: event.Payload{
				{Name: "text", Kind: event.String, Required: true, Min: 2, Max: 12, Doc: "what | is said"},
				{Name: "body", Kind: event.Any, Max: 10},
				{Name: "mentions", Kind: event.Array, Min: 1, Max: 3, Elem: &event.Field{Kind: event.String, Format: "user"}},
				{Name: "meta", Kind: event.Map, Max: 2, Elem: &event.Field{Kind: event.String, Max: 3}},
				{Name: "count", Kind: event.Int, Max: 9},
				{Name: "ttl_ms", Kind: event.Int, Min: -3, Max: 5},
				{Name: "ephemeral", Kind: event.Bool},
				{Name: "mode", Kind: event.String, Enum: []string{"plain", "rich"}},
				{Name: "since", Kind: event.Object, Max: 60, Fields: position},
				{Name: "room", Kind: event.String, Format: "room"},
				{Name: "ref", Kind: event.String, Format: "id"},
				{Name: "many", Kind: event.Map, Elem: &event.Field{Kind: event.Array, Elem: &event.Field{Kind: event.Object, Fields: position}}},
			},
			Reply: event.Payload{{Name: "repeat", Kind: event.Bool}},
		},
		{Name: "session:ping", Doc: "Is answered.", Rate: event.RateControl},
	}
}

func TestSchemaIsStable(t *testing.T) {
	first, err := Schema(actions())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, _ := Schema(actions()); !bytes.Equal(first, again) {
			t.Fatal("the same list gives other bytes")
		}
	}
	if at := bytes.Index; at(first, []byte(`"frame_to_server"`)) > at(first, []byte(`"message:send.data"`)) {
		t.Error("definitions are out of order")
	}
}

func TestSchemaOfNoActions(t *testing.T) {
	s := compile(t, nil)
	if err := s.server.Validate(parse(t, []byte(`{"type":"event","payload":{"action":"any:thing"}}`))); err != nil {
		t.Error(err)
	}
}

// What the codec writes is what the schema describes.
func TestCodecMatchesSchema(t *testing.T) {
	s := compile(t, actions())
	stored := event.Envelope{
		Type: event.TypeMessage, ID: "01JDBQ5R8XW3T6Y9K2M4N7P0QB", Tenant: "acme", Timestamp: 1767225600000, Room: "conv:42",
		From: event.Sender{User: "ann", Device: "phone"}, Position: event.Position{Epoch: "e", Offset: 17}, Expires: 1767225660000,
		Action: "message:send", Data: []byte(`{"text":"hi"}`),
	}
	change := func(f func(*event.Envelope)) event.Envelope { e := stored; f(&e); return e }
	for name, tc := range map[string]struct {
		env event.Envelope
		ok  bool
	}{
		"message":             {stored, true},
		"no device":           {change(func(e *event.Envelope) { e.From.Device = "" }), true},
		"from the server":     {change(func(e *event.Envelope) { e.From = event.Sender{} }), true},
		"message, no offset":  {change(func(e *event.Envelope) { e.Epoch = "" }), false},
		"event":               {event.Envelope{Type: event.TypeEvent, Action: "session:drain", Data: []byte(`{"reconnect_in_ms":5}`)}, true},
		"no type":             {event.Envelope{Action: "session:drain"}, false},
		"ack":                 {change(func(e *event.Envelope) { e.Type, e.Ref, e.Data = event.TypeAck, "1", []byte(`{"repeat":true}`) }), true},
		"ack of other data":   {change(func(e *event.Envelope) { e.Type, e.Ref, e.Data = event.TypeAck, "1", []byte(`{"repeat":1}`) }), false},
		"ack of nothing":      {change(func(e *event.Envelope) { e.Type, e.Data = event.TypeAck, nil }), false},
		"error":               {event.Envelope{Type: event.TypeError, Ref: "1", Data: []byte(`{"code":"invalid","message":"m","field":"data.text","retryable":false,"retry_after_ms":0}`)}, true},
		"error, unknown code": {event.Envelope{Type: event.TypeError, Ref: "1", Data: []byte(`{"code":"odd","message":"m","retryable":false}`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			js := native.JSON{}.Encode(&tc.env, frame.Durable, "").Payload()
			if err := s.client.Validate(parse(t, js)); (err == nil) != tc.ok {
				t.Errorf("%s: %v", js, err)
			}
			// MessagePack carries the same maps.
			var again event.Envelope
			if err := (native.MessagePack{}).DecodeFull(native.MessagePack{}.Encode(&tc.env, frame.Durable, "").Payload(), &again); err != nil {
				return
			}
			if err := s.client.Validate(parse(t, native.JSON{}.Encode(&again, frame.Durable, "").Payload())); (err == nil) != tc.ok {
				t.Errorf("by MessagePack: %v", err)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	got := string(Markdown(actions()))
	for _, line := range []string{
		"| `message:send` | publisher | yes | yes | message |",
		"| `session:ping` | any user | – | – | control |",
		"| `text` | string, required | 2 to 12 bytes | what \\| is said |",
		"| `mentions[]` | string | user |  |",
		"| `meta.*` | string | at most 3 bytes |  |",
		"| `since.epoch` | string, required | epoch |  |",
		"| `ttl_ms` | integer | -3 to 5 |  |",
		"| `count` | integer | 0 to 9 |  |",
		"| `mode` | string | `plain`, `rich` |  |",
		"| `many.*[].offset` | integer, required |  |  |",
		"| `repeat` | boolean |  |  |",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
	if strings.Contains(got, "### `session:ping`\n\nIs answered.\n\n|") {
		t.Error("an empty table")
	}
}

func TestInsert(t *testing.T) {
	const begin, end = "<!-- actions:begin -->", "<!-- actions:end -->"
	doc := fmt.Sprintf("before\n%s\nold\n%s\nafter\n", begin, end)
	once, err := Insert([]byte(doc), PartActions, []byte("new\n"))
	if want := fmt.Sprintf("before\n%s\n\nnew\n\n%s\nafter\n", begin, end); err != nil || string(once) != want {
		t.Fatalf("%v, %q", err, once)
	}
	if twice, _ := Insert(once, PartActions, []byte("new\n")); !bytes.Equal(once, twice) {
		t.Errorf("a second time: %q", twice)
	}
	for _, doc := range []string{"", begin, end + begin} {
		if _, err := Insert([]byte(doc), PartActions, nil); err == nil {
			t.Errorf("%q has no place", doc)
		}
	}
}

func TestProtocolDocumentHasThePlace(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{PartActions, PartCodes} {
		if _, err := Insert(doc, part, nil); err != nil {
			t.Error(err)
		}
	}
}
