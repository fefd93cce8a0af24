package embedded

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// write applies table rows as projections do, durably.
func (r *rig) write(do func(t room.Tables)) {
	r.t.Helper()
	r.deps.Projections["room:change"] = func(t room.Tables, _ *event.Record) { do(t) }
	h := must(r.Head(r.t.Context(), crashTenant, "conv:log"))
	rec := numbered("conv:log", h.Offset+1)
	rec.Action = "room:change"
	r.wait(r.put(rec))
}

func TestRooms(t *testing.T) {
	r := newRig(t, nil)
	info := room.Info{Tenant: "acme", ID: "conv:1", Created: 7, Creator: "ann", Name: "Weavers", Meta: []byte(`{"a":1}`)}
	r.write(func(t room.Tables) { t.PutRoom(info) })
	if got, ok, err := r.Room(t.Context(), "acme", "conv:1"); err != nil || !ok || !reflect.DeepEqual(got, info) {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	for _, other := range [][2]string{{"acme", "conv:2"}, {"acm", "econv:1"}, {"other", "conv:1"}} {
		if got, ok, err := r.Room(t.Context(), other[0], other[1]); err != nil || ok {
			t.Errorf("%v: %+v, %v", other, got, err)
		}
	}
	r.write(func(t room.Tables) { t.DeleteRoom("acme", "conv:1") })
	if _, ok, err := r.Room(t.Context(), "acme", "conv:1"); err != nil || ok {
		t.Errorf("deleted: %v, %v", ok, err)
	}
}

func TestMembers(t *testing.T) {
	r := newRig(t, nil)
	names := []string{"ann", "bob", "cem", "ann\x00", "é"}
	r.write(func(t room.Tables) {
		for i, n := range names {
			t.PutMember("acme", "conv:1", room.Member{User: n, Role: room.RoleMember, Joined: int64(i)})
			t.PutMember("acme", fmt.Sprintf("conv:%d", 10+i), room.Member{User: "ann", Role: room.RoleOwner})
		}
		t.PutMember("other", "conv:1", room.Member{User: "eve"})
	})
	if m, ok, err := r.Member(t.Context(), "acme", "conv:1", "bob"); err != nil || !ok || m != (room.Member{User: "bob", Role: room.RoleMember, Joined: 1}) {
		t.Errorf("%+v, %v, %v", m, ok, err)
	}
	if _, ok, err := r.Member(t.Context(), "acme", "conv:1", "eve"); err != nil || ok {
		t.Errorf("eve: %v, %v", ok, err)
	}
	var got []string
	for after := ""; ; {
		page := must(r.Members(t.Context(), "acme", "conv:1", after, 2))
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			got = append(got, m.User)
		}
		after = page[len(page)-1].User
	}
	if want := slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		t.Errorf("members %q, want %q", got, want)
	}
	if page := must(r.Members(t.Context(), "acme", "conv:1", "axe", 1)); len(page) != 1 || page[0].User != "bob" {
		t.Errorf("behind a name that is not there: %v", page)
	}
	if rooms := must(r.RoomsOf(t.Context(), "acme", "ann", 3)); !slices.Equal(rooms, []string{"conv:1", "conv:10", "conv:11"}) {
		t.Errorf("rooms %q", rooms)
	}
	r.write(func(t room.Tables) { t.DeleteMember("acme", "conv:1", "ann") })
	if rooms := must(r.RoomsOf(t.Context(), "acme", "ann", 99)); len(rooms) != 5 || rooms[0] != "conv:10" {
		t.Errorf("rooms %q", rooms)
	}
	if _, ok, err := r.Member(t.Context(), "acme", "conv:1", "ann"); err != nil || ok {
		t.Errorf("ann: %v, %v", ok, err)
	}
}

func TestMarker(t *testing.T) {
	at := func(epoch string, offset uint64) room.Marker {
		return room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: offset / 2}
	}
	none := room.Marker{}
	for _, c := range []struct {
		name       string
		sent, read room.Marker
		want       room.Marker
	}{
		{"neither", none, none, none},
		{"only sent", at("e1", 4), none, at("e1", 4)},
		{"only read", none, at("e1", 4), at("e1", 4)},
		{"sent further", at("e1", 9), at("e1", 4), at("e1", 9)},
		{"read further", at("e1", 4), at("e1", 9), at("e1", 9)},
		{"read in an earlier life", at("e1", 4), at("e0", 9), at("e1", 4)},
		{"sent in an earlier life", at("e0", 9), at("e1", 4), at("e1", 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.write(func(t room.Tables) {
				if c.sent != none {
					t.PutSent(crashTenant, "ann", "conv:log", c.sent)
				}
				if c.read != none {
					t.PutRead(crashTenant, "ann", "conv:log", at("e1", 99))
					t.PutRead(crashTenant, "ann", "conv:log", c.read) // a later call wins
				}
			})
			if got := must(r.Marker(t.Context(), crashTenant, "ann", "conv:log")); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
