package roomtest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Store answers from what was applied.
type Store interface {
	room.Reader
	room.History
	room.Notes
}

// Subject is an empty store under test, which has Projections and, if it derives users'
// rooms from their own streams, its own for these. What Apply has taken is in every answer
// that is asked for after it.
type Subject struct {
	Store
	Apply func(records ...event.Record)
}

// Run holds stores to the contract. It calls open for each case.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	cases := []struct {
		name string
		run  func(*rig)
	}{
		{"there is nothing of a room without records", nothing},
		{"rooms and members are as they were put last", members},
		{"members are paged by name", memberPages},
		{"a user's rooms are listed", roomsOf},
		{"names do not run into each other", names},
		{"the marker is the further one of sent and read", markers},
		{"what was read goes back with another life alone", readMarkers},
		{"records behind a position", after},
		{"records before an offset", before},
		{"pages are bounded by bytes", pageBytes},
		{"records that have expired keep their place", expired},
		{"a redaction removes data and notes", redaction},
		{"notes are ordered and bounded", notes},
		{"rows are paged by key", rows},
		{"the end of a room leaves stream and markers", end},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(&rig{Subject: open(t), t: t, heads: map[string]event.Head{}}) })
	}
}

// rig writes records with their positions.
type rig struct {
	Subject
	t     *testing.T
	heads map[string]event.Head
}

const tenant = "acme"

// write applies a record by a user, with what its projection does.
func (r *rig) write(id, user string, calls ...call) event.Record {
	r.t.Helper()
	data, err := json.Marshal(calls)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.apply(id, event.Record{Envelope: event.Envelope{Action: actionScript, From: event.Sender{User: user, Device: "phone"}, Data: data}})
}

// apply gives a record the room's next position.
func (r *rig) apply(id string, rec event.Record) event.Record {
	h := r.heads[id]
	h.Epoch = "e1"
	h.Offset++
	if rec.Unread {
		h.Messages++
	}
	r.heads[id] = h
	rec.Type, rec.Tenant, rec.Room, rec.Position, rec.Messages = event.TypeMessage, tenant, id, h.Position, h.Messages
	rec.ID, rec.Timestamp, rec.Key = fmt.Sprintf("01J%023d", h.Offset), 1_000_000+int64(h.Offset), fmt.Sprintf("k%d", h.Offset)
	r.Apply(rec)
	return rec
}

// fill applies messages, up to an offset.
func (r *rig) fill(id string, to uint64) (all []event.Record) {
	for r.heads[id].Offset < to {
		all = append(all, r.apply(id, event.Record{Unread: true, Envelope: event.Envelope{
			Action: "roomtest:message", From: event.Sender{User: "ann", Device: "phone"}, Data: fmt.Appendf(nil, `{"n":%d}`, len(all)),
		}}))
	}
	return all
}

// same compares, none and empty being one.
func same[T any](r *rig, what string, got T, err error, want T) {
	r.t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	empty := g.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0
	if err != nil || !empty && !reflect.DeepEqual(got, want) {
		r.t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
	}
}

func (r *rig) sameRoom(id string, want *room.Info) {
	r.t.Helper()
	got, found, err := r.Room(r.t.Context(), tenant, id)
	same(r, id+" is there", found, err, want != nil)
	if found && want != nil {
		same(r, id, got, nil, *want)
	}
}

func (r *rig) sameMember(id, user string, want *room.Member) {
	r.t.Helper()
	got, found, err := r.Member(r.t.Context(), tenant, id, user)
	same(r, user+" is a member", found, err, want != nil)
	if found && want != nil {
		same(r, user, got, nil, *want)
	}
}

func (r *rig) sameMembers(id, after string, limit int, want ...room.Member) {
	r.t.Helper()
	got, err := r.Members(r.t.Context(), tenant, id, after, limit)
	same(r, fmt.Sprintf("%d members of %s behind %q", limit, id, after), got, err, want)
}

func (r *rig) sameMarker(user, id string, want room.Marker) {
	r.t.Helper()
	got, err := r.Marker(r.t.Context(), tenant, user, id)
	same(r, "marker of "+user, got, err, want)
}

func (r *rig) sameRow(id, kind, key, want string, is bool) {
	r.t.Helper()
	got, found, err := r.Row(r.t.Context(), tenant, id, kind, key)
	same(r, "row "+kind+" "+key, fmt.Sprint(string(got), found), err, fmt.Sprint(want, is))
}

// sameRows wants keys, and values that are these with a v in front.
func (r *rig) sameRows(id, kind, after string, limit int, want ...string) {
	r.t.Helper()
	got, err := r.Rows(r.t.Context(), tenant, id, kind, after, limit)
	var keys []string
	for _, row := range got {
		keys = append(keys, row.Key)
		if row.Kind != kind || string(row.Value) != "v"+row.Key {
			r.t.Errorf("row %+v", row)
		}
	}
	same(r, fmt.Sprintf("%d rows %s behind %q", limit, kind, after), keys, err, want)
}

func (r *rig) sameNotes(id string, from, to uint64, limit int, want ...string) {
	r.t.Helper()
	got, err := r.Notes(r.t.Context(), tenant, id, from, to, limit)
	var out []string
	for _, n := range got {
		out = append(out, fmt.Sprintf("%d %s %q %s", n.Offset, n.Kind, n.Key, n.Value))
	}
	same(r, fmt.Sprintf("%d notes %d to %d", limit, from, to), out, err, want)
}
