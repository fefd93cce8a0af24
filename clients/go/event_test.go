package heddle

import (
	"errors"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestEventsThatAreNoMessages(t *testing.T) {
	for action, data := range map[string]string{
		"presence:update": `{"user":"bob","status":"away","text":"at lunch"}`, "room:join": `{}`, "message:edit": `{"offset":1,"version":1,"text":"x"}`,
		"message:read": `{"offset":1}`, "event:redacted": `{}`, "event:expired": `{}`, "direct:send": `{"text":"x"}`,
	} {
		e := Event{Action: action, Data: []byte(data)}
		if m, err := e.Message(); !errors.Is(err, ErrOtherEvent) || !reflect.DeepEqual(m, Message{}) {
			t.Errorf("%s is a message: %+v %v", action, m, err)
		}
	}
	e := Event{Action: "message:send", Data: []byte(`{"text":"x"}`)}
	if m, err := e.Message(); err != nil || m.Text != "x" {
		t.Errorf("%+v %v", m, err)
	}
	e = Event{Action: "presence:counts", Data: []byte(`{"online":1}`)}
	var own struct{ Online int }
	if err := e.Decode(&own); err != nil { // any event's data, as ever
		t.Error(err)
	}
}

// TestAttributes: what plugins say of a message, an edit or a direct message can be read.
func TestAttributes(t *testing.T) {
	e := Event{Action: "message:send", Data: []byte(`{"text":"x","attributes":{"lang":"fr"}}`)}
	m, err := e.Message()
	var edit Edit
	var direct Direct
	if err = errors.Join(err, e.Decode(&edit), e.Decode(&direct)); err != nil {
		t.Fatal(err)
	}
	for _, got := range []map[string]jsontext.Value{m.Attributes, edit.Attributes, direct.Attributes} {
		if string(got["lang"]) != `"fr"` {
			t.Errorf("%v", got)
		}
	}
}

func TestReadMarks(t *testing.T) {
	at := Position{Epoch: "e", Offset: 7}
	for name, c := range map[string]struct {
		event Event
		want  ReadMark
		ok    bool
	}{
		"of another": {
			Event{Room: "conv:1", User: "bob", Action: "message:read", Data: []byte(`{"epoch":"e","offset":7}`)}, ReadMark{"bob", "conv:1", at}, true,
		},
		"one's own, elsewhere": {
			Event{Room: "user:ann", User: "ann", Position: Position{"u", 3}, Action: "message:read", Data: []byte(`{"room":"conv:1","epoch":"e","offset":7}`)},
			ReadMark{"ann", "conv:1", at}, true,
		},
		"who writes has read":   {Event{Room: "conv:1", User: "bob", Position: at, Action: "message:send", Data: []byte(`{"text":"x"}`)}, ReadMark{"bob", "conv:1", at}, true},
		"not with an ephemeral": {Event{Room: "conv:1", User: "bob", Action: "message:send", Data: []byte(`{"text":"x"}`)}, ReadMark{}, false},
		"the server":            {Event{Room: "conv:1", Position: at, Action: "message:send", Data: []byte(`{"text":"x"}`)}, ReadMark{}, false},
		"a reaction":            {Event{Room: "conv:1", User: "bob", Position: at, Action: "message:react", Data: []byte(`{"offset":7}`)}, ReadMark{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.event.ReadMark()
			if ok != c.ok || ok && got != c.want {
				t.Errorf("%+v %v, want %+v", got, ok, c.want)
			}
		})
	}
}

func TestPresenceChanges(t *testing.T) {
	bob := Presence{User: "bob", Status: "away"}
	for data, want := range map[string]PresenceChange{
		`{"user":"bob","status":"away"}`:                                             {Users: []Presence{bob}},
		`{"users":[{"user":"bob","status":"away"}]}`:                                 {Users: []Presence{bob}},
		`{"users":[{"user":"bob","status":"away"}],"online":0,"away":1,"dnd":2}`:     {Users: []Presence{bob}, Counts: &PresenceCounts{0, 1, 2}},
		`{"users":[],"reset":true}`:                                                  {Users: []Presence{}, Reset: true},
		`{"users":[{"user":"bob","status":"away"}],"online":4,"reset":true,"dnd":0}`: {Users: []Presence{bob}, Counts: &PresenceCounts{Online: 4}, Reset: true},
	} {
		e := Event{Action: "presence:update", Data: []byte(data)}
		got, err := e.PresenceChange()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", data, got, err)
		}
		if list, err := e.Presences(); err != nil || !reflect.DeepEqual(list, want.Users) {
			t.Errorf("%s: %+v %v", data, list, err)
		}
	}
	e := Event{Action: "presence:counts", Data: []byte(`{"online":4800,"away":150,"dnd":50}`)}
	if got, err := e.PresenceChange(); err != nil || !reflect.DeepEqual(got, PresenceChange{Counts: &PresenceCounts{4800, 150, 50}}) {
		t.Errorf("%+v %v", got, err)
	}
	e.Action = "room:join"
	if _, err := e.PresenceChange(); !errors.Is(err, ErrOtherEvent) {
		t.Error(err)
	}
}
