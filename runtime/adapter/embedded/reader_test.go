package embedded

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
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
					t.PutRead(crashTenant, "ann", "conv:log", at("older", 99))
					t.PutRead(crashTenant, "ann", "conv:log", c.read) // of another life: wins
				}
			})
			if got := must(r.Marker(t.Context(), crashTenant, "ann", "conv:log")); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// Two devices of a user may both be told to have moved the marker, in any order.
func TestReadMarkerMovesForwardWithinAnEpoch(t *testing.T) {
	at := func(epoch string, offset uint64) room.Marker {
		return room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: offset}
	}
	for _, c := range []struct {
		name  string
		calls []room.Marker
		want  room.Marker
	}{
		{"forward", []room.Marker{at("e1", 3), at("e1", 10)}, at("e1", 10)},
		{"backward", []room.Marker{at("e1", 10), at("e1", 3)}, at("e1", 10)},
		{"the same", []room.Marker{at("e1", 10), {Position: at("e1", 10).Position, Messages: 1}}, at("e1", 10)},
		{"another epoch", []room.Marker{at("e1", 10), at("e2", 3)}, at("e2", 3)},
		{"backward in another epoch", []room.Marker{at("e1", 10), at("e2", 5), at("e2", 3)}, at("e2", 5)},
		{"and forward again", []room.Marker{at("e1", 10), at("e1", 3), at("e1", 11)}, at("e1", 11)},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(r *rig) {
				t.Helper()
				if got := must(r.Marker(t.Context(), crashTenant, "ann", "conv:1")); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			}
			put := func(t room.Tables, m room.Marker) {
				t.PutRead(crashTenant, "bob", "conv:1", at("e1", 99)) // not in ann's way
				t.PutRead(crashTenant, "ann", "conv:2", at("e1", 99))
				t.PutRead(crashTenant, "ann", "conv:1", m)
			}
			r := newRig(t, nil)
			r.write(func(t room.Tables) { // in one batch
				for _, m := range c.calls {
					put(t, m)
				}
			})
			check(r)
			r = newRig(t, nil)
			for _, m := range c.calls { // one by one
				r.write(func(t room.Tables) { put(t, m) })
			}
			check(r)
		})
	}
}

// The batch before may not be durable yet: its rows count all the same.
func TestReadMarkerSeesTheBatchInFlight(t *testing.T) {
	r := newRig(t, nil)
	var waits []sequence.Pending
	for i, offset := range []uint64{10, 3} {
		r.deps.Projections["message:read"] = func(t room.Tables, rec *event.Record) {
			t.PutRead(rec.Tenant, "ann", "conv:1", room.Marker{Position: event.Position{Epoch: "e1", Offset: offset}})
		}
		rec := numbered("user:ann", uint64(i+1))
		rec.Action = "message:read"
		waits = append(waits, r.put(rec))
	}
	// It is told by the user's room, and nobody learns of it before it is durable.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if m, err := r.Marker(ctx, crashTenant, "ann", "conv:1"); !fault.Is(err, fault.Timeout) || m != (room.Marker{}) {
		t.Errorf("Marker did not wait: %+v, %v", m, err)
	}
	if m, err := r.Marker(t.Context(), crashTenant, "bob", "conv:1"); err != nil || m != (room.Marker{}) {
		t.Errorf("of another user: %+v, %v", m, err)
	}
	for _, w := range waits {
		r.wait(w)
	}
	if m := must(r.Marker(t.Context(), crashTenant, "ann", "conv:1")); m.Offset != 10 {
		t.Errorf("%+v", m)
	}
}
