package roomtest

import (
	"fmt"
	"math"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func nothing(r *rig) {
	r.sameRoom("conv:1", nil)
	r.sameMember("conv:1", "ann", nil)
	r.sameMembers("conv:1", "", 9)
	r.sameMarker("ann", "conv:1", room.Marker{})
	r.sameNotes("conv:1", 0, math.MaxUint64, 0)
	r.sameRow("conv:1", "pin", "a", "", false)
	r.sameRows("conv:1", "pin", "", 9)
	r.sameHead("conv:1", event.Head{})
	rooms, err := r.RoomsOf(r.t.Context(), tenant, "ann", 9)
	same(r, "rooms of ann", rooms, err, nil)
}

func member(user, role string, joined int64) room.Member {
	return room.Member{User: user, Role: role, Joined: joined}
}

func members(r *rig) {
	info := room.Info{Tenant: tenant, ID: "conv:1", Created: 7, Creator: "ann", Name: "one", Meta: []byte(`{"a":1}`)}
	ann, ben := member("ann", room.RoleOwner, 7), member("ben", room.RoleMember, 8)
	r.write("conv:1", "ann", call{Info: &info}, call{Put: &ann}, call{Put: &ben})
	r.sameRoom("conv:1", &info)
	r.sameMember("conv:1", "ann", &ann)
	r.sameMember("conv:1", "cid", nil)
	r.sameMembers("conv:1", "", 9, ann, ben)

	info.Name, info.Meta, ben.Role = "", nil, room.RoleModerator
	r.write("conv:1", "ann", call{Info: &info}, call{Put: &ben}, call{Delete: "ann"}, call{Delete: "cid"})
	r.sameRoom("conv:1", &info)
	r.sameMember("conv:1", "ann", nil)
	r.sameMembers("conv:1", "", 9, ben)

	ann.Joined = 9
	r.write("conv:1", "ben", call{Put: &ann})
	r.sameMembers("conv:1", "", 9, ann, ben)
}

func memberPages(r *rig) {
	var all []room.Member
	for _, user := range []string{"a", "a-b", "aa", "b", "z"} {
		all = append(all, member(user, room.RoleMember, 1))
		r.write("conv:1", user, call{Put: &all[len(all)-1]})
	}
	r.sameMembers("conv:1", "", 9, all...)
	r.sameMembers("conv:1", "", 2, all[:2]...)
	r.sameMembers("conv:1", "a-b", 2, all[2:4]...)
	r.sameMembers("conv:1", "a", 1, all[1])
	r.sameMembers("conv:1", "ab", 9, all[3:]...) // nobody's name
	r.sameMembers("conv:1", "z", 9)
	r.sameMembers("conv:1", "", 0)
	r.write("conv:1", "a-b", call{Delete: "a-b"})
	r.sameMembers("conv:1", "a", 2, all[2:4]...)
	r.sameMembers("conv:1", "a-b", 1, all[2])
}

// told is the record of the user's own room that goes with a change of memberships.
func (r *rig) told(user, action, id string) {
	data := fmt.Appendf(nil, `{"room":%q}`, id)
	r.apply(room.OfUser(user), event.Record{Envelope: event.Envelope{Action: action, From: event.Sender{User: user}, Data: data}})
}

func roomsOf(r *rig) {
	for _, id := range []string{"conv:2", "conv:1", "team:1"} {
		r.write(id, "ann", call{Put: new(member("ann", room.RoleMember, 1))})
		r.told("ann", room.ActionAdded, id)
	}
	list := func(user string, limit int, want ...string) {
		r.t.Helper()
		got, err := r.RoomsOf(r.t.Context(), tenant, user, limit)
		same(r, "rooms of "+user, got, err, want)
	}
	list("ann", 9, "conv:1", "conv:2", "team:1")
	list("ann", 2, "conv:1", "conv:2")
	list("an", 9)
	r.write("conv:1", "ann", call{Delete: "ann"})
	r.told("ann", room.ActionRemoved, "conv:1")
	list("ann", 9, "conv:2", "team:1")
}

func names(r *rig) {
	r.write("conv:1", "ann", call{Put: new(member("ann", room.RoleMember, 1))}, call{Row: &room.Row{Kind: "pin", Key: "x", Value: []byte("vx")}})
	r.write("conv:10", "ann", call{Put: new(member("ben", room.RoleMember, 1))}, call{Row: &room.Row{Kind: "pinned", Key: "y", Value: []byte("vy")}})
	r.write("conv:1/typing", "ann", call{Note: &room.Note{Offset: 1, Kind: "edit"}})
	r.sameMembers("conv:1", "", 9, member("ann", room.RoleMember, 1))
	r.sameMembers("conv:10", "", 9, member("ben", room.RoleMember, 1))
	r.sameRows("conv:1", "pin", "", 9, "x")
	r.sameRows("conv:10", "pin", "", 9)
	r.sameRow("conv:1", "pi", "nx", "", false)
	r.sameNotes("conv:1", 0, 9, 0)
	if m, err := r.Members(r.t.Context(), "acm", "econv:1", "", 9); len(m) > 0 || err != nil {
		r.t.Errorf("another tenant: %+v, %v", m, err)
	}
	if h, err := r.Head(r.t.Context(), "other", "conv:1"); h != (event.Head{}) || err != nil {
		r.t.Errorf("another tenant's head: %+v, %v", h, err)
	}
}

func marker(epoch string, offset uint64) room.Marker {
	return room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: offset}
}

// reads tells in ann's own room how far she is in conv:1.
func (r *rig) reads(to room.Marker) { r.write("user:ann", "ann", call{Read: &read{"conv:1", to}}) }

func markers(r *rig) {
	r.fill("conv:1", 3)
	sent := r.write("conv:1", "ann", call{Sent: true})
	at := room.Marker{Position: sent.Position, Messages: sent.Messages}
	r.sameMarker("ann", "conv:1", at)
	r.sameMarker("ben", "conv:1", room.Marker{})
	r.reads(marker("e1", 2))
	r.sameMarker("ann", "conv:1", at)
	r.reads(marker("e1", 7))
	r.sameMarker("ann", "conv:1", marker("e1", 7))
	r.reads(marker("e0", 90)) // of a life that is over: what was sent counts
	r.sameMarker("ann", "conv:1", at)
	r.sameMarker("ann", "user:ann", room.Marker{})
}

func readMarkers(r *rig) {
	for _, step := range []struct{ to, want room.Marker }{
		{marker("e1", 5), marker("e1", 5)},
		{marker("e1", 4), marker("e1", 5)},
		{marker("e2", 3), marker("e2", 3)},
		{marker("e1", 2), marker("e1", 2)},
		{marker("e1", 6), marker("e1", 6)},
	} {
		r.reads(step.to)
		r.sameMarker("ann", "conv:1", step.want)
	}
	// Also within one record.
	r.write("user:ann", "ann", call{Read: &read{"conv:1", marker("e3", 9)}}, call{Read: &read{"conv:1", marker("e3", 8)}})
	r.sameMarker("ann", "conv:1", marker("e3", 9))
}

func notes(r *rig) {
	r.fill("conv:1", 300)
	note := func(offset uint64, kind, key, value string) call {
		return call{Note: &room.Note{Offset: offset, Kind: kind, Key: key, Value: []byte(value)}}
	}
	r.write("conv:1", "ann", note(2, "react", "👍\x00ben", "b"), note(300, "edit", "", "d"), note(2, "react", "👍\x00ann", "a"), note(1, "edit", "", ""), note(2, "edit", "", "c"))
	const one, edit, ann, ben, last = `1 edit "" `, `2 edit "" c`, `2 react "👍\x00ann" a`, `2 react "👍\x00ben" b`, `300 edit "" d`
	r.sameNotes("conv:1", 0, math.MaxUint64, 0, one, edit, ann, ben, last)
	r.sameNotes("conv:1", 1, 300, -1, one, edit, ann, ben, last)
	r.sameNotes("conv:1", 2, 2, 0, edit, ann, ben)
	r.sameNotes("conv:1", 2, 300, 2, edit, ann)
	r.sameNotes("conv:1", 3, 299, 0)
	r.sameNotes("conv:10", 0, 300, 0)
	r.write("conv:1", "ann", call{NoNote: &room.Note{Offset: 2, Kind: "react", Key: "👍\x00ann"}}, call{NoNote: &room.Note{Offset: 9, Kind: "edit"}}, note(2, "edit", "", "e"))
	r.sameNotes("conv:1", 2, 2, 0, `2 edit "" e`, ben)
	r.sameNotes("conv:1", 1, 300, 3, one, `2 edit "" e`, ben)
}

func rows(r *rig) {
	row := func(kind, key string) call {
		return call{Row: &room.Row{Kind: kind, Key: key, Value: []byte("v" + key)}}
	}
	r.write("conv:1", "ann", row("pin", ""), row("pin", "b"), row("pin", "a/b"), row("pin", "a"), row("pinned", "x"), row("count", ""))
	r.sameRow("conv:1", "pin", "a", "va", true)
	r.sameRow("conv:1", "count", "", "v", true)
	r.sameRow("conv:1", "pin", "c", "", false)
	r.sameRows("conv:1", "pin", "", 9, "", "a", "a/b", "b")
	r.sameRows("conv:1", "pin", "a", 1, "a/b")
	r.sameRows("conv:1", "pin", "a0", 9, "b")
	r.sameRows("conv:1", "pi", "", 9)
	r.write("conv:1", "ann", call{NoRow: &room.Row{Kind: "pin", Key: "a"}}, call{NoRow: &room.Row{Kind: "pin", Key: "z"}})
	r.sameRow("conv:1", "pin", "a", "", false)
	r.sameRows("conv:1", "pin", "", 2, "", "a/b")
}

func end(r *rig) {
	ann := member("ann", room.RoleOwner, 1)
	r.fill("conv:1", 2)
	sent := r.write("conv:1", "ann", call{Info: &room.Info{Tenant: tenant, ID: "conv:1"}}, call{Put: &ann}, call{Sent: true},
		call{Row: &room.Row{Kind: "pin", Key: "a"}}, call{Note: &room.Note{Offset: 1, Kind: "edit"}})
	r.sameMembers("conv:1", "", 9, ann)
	last := r.apply("conv:1", event.Record{Ends: true, Envelope: event.Envelope{Action: actionScript, From: event.Sender{User: "ann"}, Data: []byte(`[{"End":true}]`)}})
	r.sameRoom("conv:1", nil)
	r.sameMember("conv:1", "ann", nil)
	r.sameMembers("conv:1", "", 9)
	r.sameRow("conv:1", "pin", "a", "", false)
	r.sameRows("conv:1", "pin", "", 9)
	r.sameNotes("conv:1", 0, math.MaxUint64, 0)
	r.sameMarker("ann", "conv:1", room.Marker{Position: sent.Position, Messages: sent.Messages})
	r.sameHead("conv:1", event.Head{Position: last.Position, Messages: last.Messages})
	r.sameAfter("conv:1", event.Position{Epoch: "e1", Offset: 3}, 9, last)
	r.sameBefore("conv:1", 0, 1, last)
}
