package chat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// shelf keeps conv:1 in the life e1, and takes what projections put into it.
type shelf struct {
	room.Tables
	room.History
	records []event.Record // from offset 1 on
	notes   []room.Note
	rows    []room.Row // of user:ann
	kept    uint64
	fails   string // the call that does
	asked   []string
}

// The messages of a shelf, by their offsets.
const (
	created = iota + 1
	anns
	bens
	redacted
	expired
	expiring // its data is still there
	edited1  // an edit of the next one
	twice    // edited once, with reactions
	reacting
	servers
	fresh    // nothing has happened to it; lives for an hour
	headedAt = fresh
)

func newShelf() *shelf {
	now := time.Now().UnixMilli()
	s := &shelf{kept: 1}
	for i, c := range []struct{ user, action, data string }{
		{"ann", "room:create", `{}`}, {"ann", actionSend, `{"text":"2","mentions":["ben"]}`}, {"ben", actionSend, `{"text":"3"}`},
		{"ann", actionSend, ``}, {"ann", actionSend, ``}, {"ann", actionSend, `{"text":"6"}`}, {"ann", actionEdit, `{"offset":8,"version":1,"text":"8!"}`},
		{"ann", actionSend, `{"text":"8"}`}, {"ben", actionReact, `{"offset":8,"key":"+1"}`}, {"", actionSend, `{"text":"10"}`}, {"ann", actionSend, `{"text":"11","body":null,"meta":{"a":"<"}}`},
	} {
		r := event.Record{Envelope: event.Envelope{
			Type: event.TypeMessage, Tenant: "acme", Room: "conv:1", From: event.Sender{User: c.user}, Action: c.action, Timestamp: now,
			Position: event.Position{Epoch: "e1", Offset: uint64(i + 1)},
		}}
		if c.data != "" {
			r.Data = []byte(c.data)
		}
		s.records = append(s.records, r)
	}
	s.records[redacted-1].Redacted = true
	s.records[expired-1].Expires = now - 1
	s.records[expiring-1].Expires = now
	s.records[fresh-1].Expires = now + time.Hour.Milliseconds()
	edit := s.records[edited1-1]
	edit.Key = "e1"
	projectEdit(s, &edit)
	s.react(twice, "+1", "ben", "dan")
	s.react(twice, "-1", "ann")
	s.PutNote("acme", "conv:1", room.Note{Offset: redacted, Kind: actionDelete, Value: []byte(`{"by":"ben","at":7}`)})
	return s
}

// react lets users react, under their names as keys.
func (s *shelf) react(offset uint64, key string, users ...string) {
	for _, user := range users {
		n := reactionNote(&reacted{Offset: offset, Key: key}, user, "of "+user)
		s.PutNote("acme", "conv:1", n)
	}
}

func (s *shelf) fail(call, tenant string) error {
	if s.fails == call || tenant != "acme" {
		return errDisk
	}
	return nil
}

func (s *shelf) Head(_ context.Context, tenant, id string) (event.Head, error) {
	s.asked = append(s.asked, "head "+id)
	if id != "conv:1" {
		return event.Head{}, s.fail("Head of "+id, tenant)
	}
	return event.Head{Position: s.records[len(s.records)-1].Position}, s.fail("Head", tenant)
}

func (s *shelf) After(_ context.Context, tenant, _ string, p event.Position, limit, _ int) ([]event.Record, error) {
	s.asked = append(s.asked, fmt.Sprint("record ", p.Offset+1))
	if p.Offset+1 < s.kept || p.Epoch != "e1" {
		return nil, room.ErrTrimmed
	}
	return s.records[p.Offset:][:limit], s.fail("After", tenant)
}

func (s *shelf) Notes(_ context.Context, tenant, id string, from, to uint64, limit int) (out []room.Note, _ error) {
	s.asked = append(s.asked, fmt.Sprintf("notes %d to %d, %d", from, to, limit))
	for _, n := range s.notes {
		if id == "conv:1" && n.Offset >= from && n.Offset <= to && (limit <= 0 || len(out) < limit) {
			out = append(out, n)
		}
	}
	return out, s.fail("Notes", tenant)
}

func (s *shelf) Row(_ context.Context, tenant, id, kind, key string) ([]byte, bool, error) {
	found := id == "user:ann" && slices.ContainsFunc(s.rows, func(r room.Row) bool { return r.Kind == kind && r.Key == key })
	return nil, found, s.fail("Row", tenant)
}

func (s *shelf) Rows(_ context.Context, tenant, id, kind, after string, limit int) (out []room.Row, _ error) {
	s.asked = append(s.asked, fmt.Sprintf("rows of %s behind %q, %d", id, after, limit))
	for _, r := range s.rows {
		if id == "user:ann" && r.Kind == kind && r.Key > after && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, s.fail("Rows", tenant)
}

func byPlace(a, b room.Note) int {
	return cmp.Or(cmp.Compare(a.Offset, b.Offset), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Key, b.Key))
}

func (s *shelf) PutNote(tenant, id string, n room.Note) {
	s.DeleteNote(tenant, id, n)
	i, _ := slices.BinarySearchFunc(s.notes, n, byPlace)
	s.notes = slices.Insert(s.notes, i, n)
}

func (s *shelf) DeleteNote(_, _ string, n room.Note) {
	s.notes = slices.DeleteFunc(s.notes, func(m room.Note) bool { return byPlace(n, m) == 0 })
}

func (s *shelf) PutRow(_, _ string, r room.Row) { s.rows = append(s.rows, r) }

func (s *shelf) Redact(_, _ string, offset uint64) {
	s.notes = slices.DeleteFunc(s.notes, func(n room.Note) bool { return n.Offset == offset })
	if offset <= uint64(len(s.records)) {
		s.records[offset-1].Data, s.records[offset-1].Redacted = nil, true
	}
}

func (s *shelf) do(t *testing.T, from event.Origin, id, action, data string) (*event.Event, error) {
	t.Helper()
	return handle(t, Deps{History: s, Notes: s}, from, id, action, "conv:1", data)
}

// stores commits the only effect of an event as the room's next record, under the
// event's id, if that is in the room.
func (s *shelf) stores(t *testing.T, ev *event.Event) {
	t.Helper()
	if len(ev.Effects) != 1 || !ev.Effects[0].Durable {
		t.Fatalf("%+v", ev.Effects)
	}
	r := event.Record{Envelope: ev.Effects[0].Envelope, Key: ev.ID}
	r.Timestamp = time.Now().UnixMilli()
	if r.Position = (event.Position{Epoch: "e1", Offset: uint64(len(s.records) + 1)}); r.Room == "conv:1" {
		s.records = append(s.records, r)
	}
	Projections()[r.Action](s, &r)
}

// emits checks the only effect of an event.
func emits(t *testing.T, ev *event.Event, err error, want event.Effect) {
	t.Helper()
	if err != nil || len(ev.Effects) != 1 {
		t.Fatalf("%v, %+v", err, ev.Effects)
	}
	want.Durable, want.Type, want.Tenant, want.From, want.Action = true, event.TypeMessage, "acme", ev.From, ev.Action
	got := ev.Effects[0]
	sameEnvelope(t, &got.Envelope, &want.Envelope)
	got.Envelope, want.Envelope = event.Envelope{}, event.Envelope{}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s\nwant %s", g, w)
	}
}

// TestNoSuchMessage is what all actions on a message have in common.
func TestNoSuchMessage(t *testing.T) {
	const away = "unavailable in : a part that this needs is away"
	data := map[string]string{
		actionEdit: `{"version":0,"text":"x",`, actionDelete: `{`, actionDelete + " me": `{"for":"me",`, actionReact: `{"key":"+1",`,
	}
	for _, c := range []struct {
		name, about, want string
		change            func(*shelf)
	}{
		{name: "to come", about: `"offset":12`, want: "invalid in data.offset: the room has no such event yet"},
		{name: "none", about: `"offset":0`, want: "invalid in data.offset: must be between 1 and 9007199254740991"},
		{name: "not named", about: `"epoch":"e1"`, want: "invalid in data.offset: is missing"},
		{name: "of another life", about: `"offset":2,"epoch":"e0"`, want: "conflict in data.epoch: the room's epoch is e1"},
		{name: "of another life, and to come", about: `"offset":99,"epoch":"e0"`, want: "conflict in data.epoch: the room's epoch is e1"},
		{name: "trimmed", about: `"offset":2`, change: func(s *shelf) { s.kept = 3 }, want: "not_found in data.offset: that event is not kept any more"},
		{name: "deleted", about: `"offset":4`, want: "conflict in data.offset: that message was deleted"},
		{name: "expired", about: `"offset":5`, want: "not_found in data.offset: that message has expired"},
		{name: "expired, not noticed yet", about: `"offset":6,"epoch":"e1"`, want: "not_found in data.offset: that message has expired"},
		{name: "an edit", about: `"offset":7`, want: "invalid in data.offset: that event is not a message"},
		{name: "a reaction", about: `"offset":9`, want: "invalid in data.offset: that event is not a message"},
		{name: "something else", about: `"offset":1`, want: "invalid in data.offset: that event is not a message"},
		{name: "no head", about: `"offset":2`, change: func(s *shelf) { s.fails = "Head" }, want: away},
		{name: "no history", about: `"offset":2`, change: func(s *shelf) { s.fails = "After" }, want: away},
		{name: "no notes", about: `"offset":2`, change: func(s *shelf) { s.fails = "Notes" }, want: away},
	} {
		for action, begin := range data {
			t.Run(action+"/"+c.name, func(t *testing.T) {
				s := newShelf()
				if c.change != nil {
					c.change(s)
				}
				name, _, _ := strings.Cut(action, " ")
				ev, err := s.do(t, writer, "i", name, begin+c.about+"}")
				refused(t, ev, err, c.want)
			})
		}
	}
}

// TestOrderOfReading: what is read behind the head is at least as new, and what was
// read before a record that is not deleted was whole.
func TestOrderOfReading(t *testing.T) {
	for action, data := range map[string]string{actionEdit: `{"offset":2,"version":0,"text":"x"}`, actionDelete: `{"offset":2}`, actionReact: `{"offset":2,"key":"+1"}`} {
		s := newShelf()
		if _, err := s.do(t, writer, "i", action, data); err != nil {
			t.Fatal(err)
		}
		if len(s.asked) != 3 || s.asked[0] != "head conv:1" || !strings.HasPrefix(s.asked[1], "notes 2 to 2, ") || s.asked[2] != "record 2" {
			t.Errorf("%s asked %q", action, s.asked)
		}
	}
}
