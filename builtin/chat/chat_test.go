package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/validate"
)

var errDisk = errors.New("disk")

// stream is every room's stream and every user's marker.
type stream struct {
	room.Reader
	room.History
	head  event.Head
	kept  uint64 // the oldest offset that is there
	mark  room.Marker
	fails string // the call that does
}

func (s *stream) Head(context.Context, string, string) (event.Head, error) {
	if s.fails == "Head" {
		return event.Head{}, errDisk
	}
	return s.head, nil
}

func (s *stream) Marker(_ context.Context, tenant, user, _ string) (room.Marker, error) {
	if s.fails == "Marker" || tenant != "acme" || user != "ann" {
		return room.Marker{}, errDisk
	}
	return s.mark, nil
}

// After counts a message at every second offset.
func (s *stream) After(_ context.Context, _, _ string, p event.Position, limit, _ int) ([]event.Record, error) {
	if s.fails == "After" {
		return nil, errDisk
	}
	if p.Epoch != s.head.Epoch || p.Offset+1 < s.kept {
		return nil, room.ErrTrimmed
	}
	var out []event.Record
	for o := p.Offset + 1; o <= s.head.Offset && len(out) < limit; o++ {
		out = append(out, event.Record{Envelope: event.Envelope{Position: event.Position{Epoch: p.Epoch, Offset: o}}, Messages: o / 2})
	}
	return out, nil
}

// session has joined every room, with these rights, or none.
type session struct {
	member event.Membership
	out    bool
}

func (session) Identity() *event.Identity                         { return &event.Identity{Tenant: "acme", User: "ann"} }
func (session) Opened() bool                                      { return true }
func (s session) Member(string) (m event.Membership, joined bool) { return s.member, !s.out }

var writer = session{member: event.Membership{Publish: true, Durable: true}}

// run takes an event through validate, authorize and its handler.
func run(t *testing.T, s *stream, from event.Origin, action, roomName, data string) (*event.Event, error) {
	t.Helper()
	return handle(t, Deps{Reader: s, History: s}, from, "i", action, roomName, data)
}

func handle(t *testing.T, deps Deps, from event.Origin, id, action, roomName, data string) (*event.Event, error) {
	t.Helper()
	ev, err := prepared(t, deps, from, id, action, roomName, data)
	if err != nil {
		return ev, err
	}
	return ev, ev.Spec.Handle(t.Context(), ev)
}

// prepared is an event in front of its handler.
func prepared(t *testing.T, deps Deps, from event.Origin, id, action, roomName, data string) (*event.Event, error) {
	t.Helper()
	ev := &event.Event{Origin: from, Envelope: event.Envelope{
		Type: event.TypeEvent, ID: id, Tenant: "acme", Room: roomName, From: event.Sender{User: "ann", Device: "phone"}, Action: action, Data: []byte(data),
	}}
	all := Actions(deps)
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == action })]
	if _, err := validate.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	_, err := authorize.New().Process(t.Context(), ev)
	return ev, err
}

// refused checks an error, and that nothing comes of the event. want is "kind in
// field: message".
func refused(t *testing.T, ev *event.Event, err error, want string) {
	t.Helper()
	f := fault.Of(err)
	if got := fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message()); err == nil || got != want {
		t.Errorf("%v, want %s", err, want)
	}
	if len(ev.Effects) != 0 || ev.Reply != nil && ev.Action != actionEdit {
		t.Errorf("refused, and yet: %+v %s", ev.Effects, ev.Reply)
	}
}

func TestSend(t *testing.T) {
	str := func(bytes int) string { return strings.Repeat("x", bytes) }
	full := fmt.Sprintf(`{"text":"%s","body":"%s","meta":{"m":"%s"}}`, str(8192), str(32768-2), str(4096-8))
	for _, c := range []struct {
		name, data string
		from       session
		passed     string // "": data as it was sent
		ephemeral  bool
		ttl        int64
	}{
		{name: "text", data: `{"text":"hi"}`, from: writer},
		{name: "text of nothing with a body", data: `{"text":"","body":0}`, from: writer},
		{name: "body", data: `{"body":{"x":[1,null]}}`, from: writer},
		{name: "body that is null with a text", data: `{"text":"hi","body":null}`, from: writer},
		{name: "as much as there may be", data: full, from: writer},
		{name: "all fields, as they were written", data: `{"meta": {"a" : "<\u00e9>"}, "mentions":["ben","ann"],"body":1e2, "text":"a\"b"}`, from: writer,
			passed: `{"text":"a\"b","body":1e2,"mentions":["ben","ann"],"meta":{"a" : "<\u00e9>"}}`},
		{name: "fields nobody knows", data: `{"text":"hi","from":"eve","offset":7}`, from: writer, passed: `{"text":"hi"}`},
		{name: "kept for a while", data: `{"text":"hi","ttl_ms":250}`, from: writer, passed: `{"text":"hi"}`, ttl: 250},
		{name: "kept for a week", data: `{"text":"hi","ttl_ms":604800000}`, from: writer, passed: `{"text":"hi"}`, ttl: week},
		{name: "ephemeral", data: `{"text":"hi","ephemeral":true}`, from: writer, passed: `{"text":"hi"}`, ephemeral: true},
		{name: "ephemeral for a while", data: `{"text":"hi","ephemeral":true,"ttl_ms":5}`, from: writer, passed: `{"text":"hi"}`, ephemeral: true, ttl: 5},
		{name: "not ephemeral", data: `{"text":"hi","ephemeral":false}`, from: writer, passed: `{"text":"hi"}`},
		{name: "room without a stream", data: `{"text":"hi"}`, from: session{member: event.Membership{Publish: true}}, ephemeral: true},
		{name: "no stream, not ephemeral", data: `{"text":"hi","ephemeral":false}`, from: session{member: event.Membership{Publish: true}}, passed: `{"text":"hi"}`, ephemeral: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ev, err := run(t, &stream{}, c.from, actionSend, "conv:1", c.data)
				if err != nil || len(ev.Effects) != 1 || ev.Reply != nil {
					t.Fatalf("%v, %+v, reply %s", err, ev.Effects, ev.Reply)
				}
				if c.passed == "" {
					c.passed = c.data
				}
				want := event.Envelope{Type: event.TypeMessage, Tenant: "acme", Room: "conv:1", From: ev.From, Action: actionSend, Data: []byte(c.passed)}
				now := time.Now().UnixMilli()
				if c.ephemeral { // a durable one gets the committer's time
					want.Type, want.Timestamp = event.TypeEvent, now
				}
				if c.ttl > 0 {
					want.Expires = now + c.ttl
				}
				e := ev.Effects[0]
				sameEnvelope(t, &e.Envelope, &want)
				if e.Kind != event.Publish || e.Durable == c.ephemeral || !e.Unread || e.Create || e.Merge != "" || e.Key != "" {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

func sameEnvelope(t *testing.T, got, want *event.Envelope) {
	t.Helper()
	if string(got.Data) != string(want.Data) {
		t.Errorf("data %.200s, want %.200s", got.Data, want.Data)
	}
	g, w := *got, *want
	g.Data, w.Data = nil, nil
	if g, w := fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", w); g != w {
		t.Errorf("%s\nwant %s", g, w)
	}
}

func TestSendRefused(t *testing.T) {
	for _, c := range []struct {
		name, room, data string
		from             session
		want             string
	}{
		{"nothing", "conv:1", `{}`, writer, "invalid in data.text: text or body is needed"},
		{"only what goes with a message", "conv:1", `{"mentions":["ben"],"meta":{},"ttl_ms":1}`, writer, "invalid in data.text: text or body is needed"},
		{"text of nothing", "conv:1", `{"text":""}`, writer, "invalid in data.text: an empty text needs a body"},
		{"body that is null", "conv:1", `{"body":null,"meta":{"a":1}}`, writer, "invalid in data.body: a message without a text needs a body other than null"},
		{"both", "conv:1", `{"text":"","body":null}`, writer, "invalid in data.text: an empty text needs a body"},
		{"text that is null", "conv:1", `{"text":null}`, writer, "invalid in data.text: must be a string"},
		{"mention of a pattern", "conv:1", `{"text":"x","mentions":["*"]}`, writer, "invalid in data.mentions[0]: must be 1 to 128 characters of " + event.NamePattern},
		{"no room", "", `{"text":"x"}`, writer, "invalid in room: is missing"},
		{"reader", "conv:1", `{"text":"x"}`, session{member: event.Membership{Durable: true, Moderate: true}}, "forbidden in room: this room is read-only for this user"},
		{"stranger", "conv:1", `{"text":"x"}`, session{out: true}, "forbidden in room: the session has not joined this room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := run(t, &stream{}, c.from, actionSend, c.room, c.data)
			refused(t, ev, err, c.want)
		})
	}
}

// roll is the members of team:1; other rooms keep none.
type roll struct {
	room.Reader
	fails string // the call that does
	asked int
}

func (r *roll) Member(_ context.Context, tenant, name, user string) (room.Member, bool, error) {
	if r.asked++; r.fails == "Member" || tenant != "acme" {
		return room.Member{}, false, errDisk
	}
	return room.Member{User: user}, name == "team:1" && (user == "ann" || user == "ben"), nil
}

func (r *roll) Room(_ context.Context, tenant, name string) (room.Info, bool, error) {
	if r.asked++; r.fails == "Room" || tenant != "acme" {
		return room.Info{}, false, errDisk
	}
	return room.Info{ID: name}, name == "team:1", nil
}

// TestSendToAParticipant: to one that is there, where that is known.
func TestSendToAParticipant(t *testing.T) {
	const away = "unavailable in : a part that this needs is away"
	aside := session{member: event.Membership{Publish: true, Durable: true}, out: true}
	for _, c := range []struct {
		name, room string
		from       session
		fails      string
		asked      int
		want       string
	}{
		{"a member", "team:1/participant/ben", aside, "", 1, ""},
		{"oneself", "team:1/participant/ann", writer, "", 1, ""},
		{"nobody", "team:1/participant/zed", aside, "", 2, "not_found in room: this user is not a member of the room"},
		{"where nobody is a member", "open:1/participant/zed", aside, "", 2, ""},
		{"the room itself", "team:1", writer, "", 0, ""},
		{"a feature", "team:1/polls", writer, "", 0, ""},
		{"who may not", "team:1/participant/zed", session{out: true}, "", 0, "forbidden in room: the session has not joined this room"},
		{"no members", "team:1/participant/ben", aside, "Member", 1, away},
		{"no rooms", "team:1/participant/zed", aside, "Room", 2, away},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &roll{fails: c.fails}
			ev, err := handle(t, Deps{Reader: r}, c.from, "i", actionSend, c.room, `{"text":"x"}`)
			if r.asked != c.asked {
				t.Errorf("%d look-ups, want %d", r.asked, c.asked)
			}
			if c.want != "" {
				refused(t, ev, err, c.want)
			} else if err != nil || len(ev.Effects) != 1 {
				t.Errorf("%v, %+v", err, ev.Effects)
			}
		})
	}
}
