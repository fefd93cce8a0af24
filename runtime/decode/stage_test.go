package decode

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// dialect is what both encodings offer.
type dialect interface {
	Name() string
	Binary() bool
	Split(frame []byte, limit int, fn func(raw []byte) error) error
	Decode(raw []byte, env *event.Envelope) error
	Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame
}

var dialects = [...]dialect{native.JSON{}, native.MessagePack{}}

// client is a connection.
type client struct {
	event.Origin
	dialect
}

func (c client) DecodeEnvelope(raw []byte, env *event.Envelope) error { return c.Decode(raw, env) }

// wire is an envelope as a client sends it.
func (c client) wire(env event.Envelope) []byte {
	if env.Data == nil && env.Type != event.TypeAck {
		env.Data = []byte(`{}`)
	}
	return bytes.Clone(c.Encode(&env, frame.Control, "").Payload())
}

var actions = []event.Action{{Name: "message:send"}, {Name: "session:ping", Rate: event.RateControl}, {Name: AckAction, Permission: event.Participant}}

func says(err error) string {
	if err == nil {
		return ""
	}
	f := fault.Of(err)
	return fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message())
}

func TestEnvelopes(t *testing.T) {
	const none = "no action is called "
	long := strings.Repeat("x", 64)
	send := event.Envelope{Type: event.TypeEvent, ID: "i", Room: "channel:x", Action: "message:send", Data: []byte(`{"text":"hi"}`)}
	with := func(change func(*event.Envelope)) event.Envelope { e := send; change(&e); return e }
	for _, c := range []struct {
		name    string
		in      event.Envelope
		action  string // of the event; "": as it was sent
		unknown string // what is said of it
	}{
		{name: "event", in: send},
		{name: "message", in: with(func(e *event.Envelope) { e.Type = event.TypeMessage })},
		{name: "no id, no room", in: event.Envelope{Type: event.TypeEvent, Action: "session:ping"}},
		{name: "ack", in: event.Envelope{Type: event.TypeAck, Room: "channel:x", Position: event.Position{Epoch: "e", Offset: 7}}, action: AckAction},
		{name: "ack that names an action", in: with(func(e *event.Envelope) { e.Type, e.Position = event.TypeAck, event.Position{Epoch: "e", Offset: 7} }), action: AckAction},
		{name: "nobody's action", in: with(func(e *event.Envelope) { e.Action = "message:shout" }), unknown: none + `"message:shout"`},
		{name: "beginning of an action", in: with(func(e *event.Envelope) { e.Action = "message:sen" }), unknown: none + `"message:sen"`},
		{name: "in capitals", in: with(func(e *event.Envelope) { e.Action = "Message:Send" }), unknown: none + `"Message:Send"`},
		{name: "action of no name", in: with(func(e *event.Envelope) { e.Action = "unknown" }), unknown: none + `"unknown"`},
		{name: "ack as an action", in: with(func(e *event.Envelope) { e.Action = AckAction }), unknown: none + `"session:ack"`},
		{name: "64 bytes", in: with(func(e *event.Envelope) { e.Action = long }), unknown: none + `"` + long + `"`},
		{name: "65 bytes", in: with(func(e *event.Envelope) { e.Action = long + "y" }), unknown: none + `"` + long + `..."`},
	} {
		for _, d := range dialects {
			t.Run(d.Name()+"/"+c.name, func(t *testing.T) {
				from := client{dialect: d}
				raw := from.wire(c.in)
				ev := &event.Event{Origin: from, Raw: raw}
				verdict, err := New(actions, nil).Process(t.Context(), ev)
				if verdict != pipeline.Pass || err != nil || ev.Raw != nil {
					t.Fatalf("%v, %v, raw %q", verdict, err, ev.Raw)
				}
				clear(raw) // the connection reads the next frame into it
				want := c.in
				if c.action != "" {
					want.Action = c.action
				}
				if ev.Type != want.Type || ev.ID != want.ID || ev.Room != want.Room || ev.Action != want.Action || ev.Position != want.Position ||
					want.Data != nil && string(ev.Data) != string(want.Data) {
					t.Errorf("%+v\nwant %+v", ev.Envelope, want)
				}
				if c.unknown == "" {
					if ev.Spec.Name != want.Action || ev.Spec.Handle != nil {
						t.Errorf("declared as %+v", ev.Spec)
					}
					return
				}
				// It goes on: who may not even ask is told that, and not what there is.
				if ev.Spec.Name != "unknown" || ev.Spec.Permission != event.AnyUser || ev.Spec.Rate != event.RateControl || ev.Spec.Slow || ev.Spec.Durable || ev.Spec.NeedsRoom {
					t.Errorf("declared as %+v", ev.Spec)
				}
				if got := says(ev.Spec.Handle(t.Context(), ev)); got != "unknown_action in payload.action: "+c.unknown {
					t.Error(got)
				}
			})
		}
	}
}

func TestUnreadable(t *testing.T) {
	const version = "unsupported_version in v: this version of the envelope is not supported; supported: 1"
	json, packed := client{dialect: native.JSON{}}, client{dialect: native.MessagePack{}}
	ping := event.Envelope{Type: event.TypeEvent, ID: "i", Action: "session:ping"}
	next := func(c client) []byte { // the same of version 2
		return bytes.Replace(bytes.Replace(c.wire(ping), []byte(`"v":1`), []byte(`"v":2`), 1), []byte("\xa1v\x01"), []byte("\xa1v\x02"), 1)
	}
	half := func(raw []byte) []byte { return raw[:len(raw)-1] }
	for _, c := range []struct {
		name string
		from client
		raw  []byte
		want string // its beginning
		id   string // that the answer can carry
	}{
		{"nothing", json, nil, "malformed in : byte 0", ""},
		{"nothing, packed", packed, nil, "malformed in : byte 0", ""},
		{"spaces", json, []byte(" \n"), "malformed in : byte 2", ""},
		{"half", json, half(json.wire(ping)), "malformed in : byte", "i"},
		{"half, packed", packed, half(packed.wire(ping)), "malformed in : byte", "i"},
		{"two", json, append(json.wire(ping), '{', '}'), "malformed in : byte", "i"},
		{"two, packed", packed, append(packed.wire(ping), 0x80), "malformed in : byte", "i"},
		{"packed to one who speaks JSON", json, packed.wire(ping), "malformed in : byte 0", ""},
		{"JSON to one who packs", packed, json.wire(ping), "malformed in : byte", ""},
		{"a batch in a batch", json, []byte(`[` + string(json.wire(ping)) + `]`), "malformed in : byte 0", ""},
		{"next version", json, next(json), version, "i"},
		{"next version, packed", packed, next(packed), version, "i"},
		{"version 0", json, []byte(`{"id":"i","v":0}`), version, "i"},
		{"version below 0", json, []byte(`{"id":"i","v":-1}`), version, "i"},
		{"its version counts more than its faults", json, []byte(`{"v":2,"type":"shout"}`), version, ""},
		{"type of the server", json, []byte(`{"type":"error","id":"i","payload":{"action":"session:ping"}}`), "invalid in type: ", "i"},
		{"no action", json, []byte(`{"type":"event","id":"i","payload":{}}`), "invalid in payload.action: ", "i"},
		{"ack of no position", json, []byte(`{"type":"ack","id":"i","room":"channel:x"}`), "invalid in epoch: ", "i"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &event.Event{Origin: c.from, Raw: c.raw}
			verdict, err := New(actions, nil).Process(t.Context(), ev)
			if verdict != pipeline.Reject || !strings.HasPrefix(says(err), c.want) || ev.ID != c.id {
				t.Errorf("%v, %s, id %q; want %s, id %q", verdict, says(err), ev.ID, c.want, c.id)
			}
			if ev.Raw != nil || ev.Spec != nil {
				t.Errorf("left behind: raw %q, %+v", ev.Raw, ev.Spec)
			}
		})
	}
}

// fixed is a connection whose dialect always says the same.
type fixed struct {
	event.Origin
	env event.Envelope
	err error
}

func (f fixed) DecodeEnvelope(_ []byte, env *event.Envelope) error {
	*env = f.env
	return f.err
}

func TestWhatTheDialectSays(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		from fixed
		want string
	}{
		{"an error is handed on", fixed{err: broken, env: event.Envelope{Type: event.TypeAck, ID: "i"}}, says(broken)},
		{"an error envelope is refused, whoever lets it through", fixed{env: event.Envelope{Type: event.TypeError, ID: "i", Action: "session:ping"}},
			"invalid in type: clients send event, message or ack"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &event.Event{Origin: c.from, Raw: []byte("x")}
			verdict, err := New(actions, nil).Process(t.Context(), ev)
			if verdict != pipeline.Reject || says(err) != c.want || c.from.err != nil && err != c.from.err || ev.ID != "i" || ev.Raw != nil || ev.Spec != nil {
				t.Errorf("%v, %v, %+v", verdict, err, ev)
			}
		})
	}
}

// TestBatches runs the envelopes of a frame through the stage as a session does.
func TestBatches(t *testing.T) {
	batch := func(c client, n int) []byte {
		raw := []byte{0xdc, 0, byte(n)} // array 16 of the MessagePack specification
		if !c.Binary() {
			raw = []byte("[")
		}
		for i := range n {
			if i > 0 && !c.Binary() {
				raw = append(raw, ',')
			}
			raw = append(raw, c.wire(event.Envelope{Type: event.TypeEvent, ID: fmt.Sprint(i), Action: "message:send", Data: fmt.Appendf(nil, `{"text":"%d"}`, i)})...)
		}
		if !c.Binary() {
			raw = append(raw, ']')
		}
		return raw
	}
	for _, c := range []struct {
		envelopes, limit int
		want             string
	}{
		{1, 64, ""},
		{3, 3, ""},
		{64, 64, ""},
		{0, 64, "malformed in : "},
		{4, 3, "too_large in : a batch holds at most 3 envelopes"},
		{65, 1000, "too_large in : a batch holds at most 64 envelopes"},
	} {
		for _, d := range dialects {
			t.Run(fmt.Sprintf("%s/%d of %d", d.Name(), c.envelopes, c.limit), func(t *testing.T) {
				from, s := client{dialect: d}, New(actions, nil)
				raw := batch(from, c.envelopes)
				var got []*event.Event
				err := d.Split(raw, c.limit, func(one []byte) error {
					ev := &event.Event{Origin: from, Raw: one}
					got = append(got, ev)
					_, err := s.Process(t.Context(), ev)
					return err
				})
				clear(raw)
				if c.want != "" {
					if !strings.HasPrefix(says(err), c.want) || len(got) > 0 {
						t.Errorf("%s after %d, want %s", says(err), len(got), c.want)
					}
					return
				}
				if err != nil || len(got) != c.envelopes {
					t.Fatalf("%v after %d", err, len(got))
				}
				for i, ev := range got {
					if ev.ID != fmt.Sprint(i) || string(ev.Data) != fmt.Sprintf(`{"text":"%d"}`, i) || ev.Spec != s.actions["message:send"] {
						t.Errorf("%d: %+v %+v", i, ev.Envelope, ev.Spec)
					}
				}
			})
		}
	}
}

// An action that no builtin has is looked for among the tenant's own.
func TestOwnedActions(t *testing.T) {
	own := &event.Action{Name: "order:created"}
	s := New([]event.Action{{Name: "message:send"}}, func(_ *event.Identity, action string) *event.Action {
		if action == "message:send" {
			t.Error("a builtin's action is looked for")
		}
		if action == own.Name {
			return own
		}
		return nil
	})
	for action, want := range map[string]string{"order:created": "order:created", "order:paid": "unknown", "message:send": "message:send"} {
		from := client{Origin: nobody{}, dialect: native.JSON{}}
		ev := &event.Event{Origin: from, Raw: []byte(`{"type":"event","payload":{"action":"` + action + `"}}`)}
		if _, err := s.Process(t.Context(), ev); err != nil || ev.Spec.Name != want {
			t.Errorf("%s: %v, %v", action, ev.Spec, err)
		}
	}
}

// nobody has not said who it is.
type nobody struct{ event.Origin }

func (nobody) Identity() *event.Identity { return nil }
