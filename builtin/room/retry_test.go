package room

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// applied puts what a projection derives into the store itself.
type applied struct {
	room.Tables
	*store
}

func (a applied) PutMember(_, _ string, m room.Member) { a.members = append(a.members, m) }
func (a applied) PutRow(_, _ string, r room.Row)       { a.row(r.Kind+" "+r.Key, string(r.Value)) }
func (a applied) DeleteRow(_, _ string, r room.Row)    { delete(a.rows, r.Kind+" "+r.Key) }
func (a applied) DeleteMember(_, _, user string) {
	a.members = slices.DeleteFunc(a.members, func(m room.Member) bool { return m.User == user })
}

// TestRetryCompletes stores the first durable effect of an action and loses the
// rest, as when the partition of the user's room is full: the sender's retry tells
// the user's other sessions all the same.
func TestRetryCompletes(t *testing.T) {
	for _, c := range []struct {
		name, line string
		store      *store
		from       session
		told       string
	}{
		{"join", `i room:join team:1 {}`, stream(3), session{}, fmt.Sprintf(added, "ann", "team:1", "e1", 3)},
		{"leave", `i room:leave conv:1 {}`, stream(3).in(room.RoleMember), session{joined: []string{"conv:1"}}, fmt.Sprintf(removed, "ann", "conv:1")},
		{"update adds", `i room:update conv:1 {"add":["ben"]}`, stream(3).in(room.RoleOwner), in("conv:1"), fmt.Sprintf(added, "ben", "conv:1", "e1", 3)},
		{"update removes", `i room:update conv:1 {"remove":["ben"]}`, stream(3).with("ann", room.RoleOwner, "ben", room.RoleMember), in("conv:1"), fmt.Sprintf(removed, "ben", "conv:1")},
		{"update gives a role", `i room:update conv:1 {"roles":{"ben":"owner"}}`, stream(3).with("ann", room.RoleOwner, "ben", room.RoleMember), in("conv:1"), fmt.Sprintf(changed, "ben", "conv:1", room.RoleOwner)},
		{"the last one leaves", `i room:leave club:1 {}`, stream(3).in(room.RoleOwner), in("club:1"), fmt.Sprintf(left, "club:1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				ev, err := call(t, c.store, c.from, c.line)
				if err != nil || !slices.Contains(effects(ev), c.told) {
					t.Fatalf("%v, %q, want %q among them", err, effects(ev), c.told)
				}
				first := &event.Record{Envelope: ev.Effects[0].Envelope}
				if project := Projections()[first.Action]; project != nil {
					project(applied{store: c.store}, first)
				}
			}
		})
	}
}

// TestNobodyEnrollsInASubRoom: members are the room's, and so are their rows.
func TestNobodyEnrollsInASubRoom(t *testing.T) {
	ev, err := call(t, stream(3), session{}, `i room:join team:1/typing {}`)
	refused(t, ev, err, "forbidden in room: not a member of this room")
}

// TestOwnSubRoomMayBeLeft: it may be joined, and is not the own room.
func TestOwnSubRoomMayBeLeft(t *testing.T) {
	ev, err := call(t, stream(0), session{joined: []string{"user:ann/drafts"}}, `- room:leave user:ann/drafts {}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, effects(ev), []string{"leave user:ann/drafts"})
}

// creating makes the room, with ann as its owner, between two reads.
type creating struct{ *store }

func (c creating) Room(ctx context.Context, tenant, name string) (room.Info, bool, error) {
	c.in(room.RoleOwner)
	return c.store.Room(ctx, tenant, name)
}

func TestAdmitWhileTheRoomIsCreated(t *testing.T) {
	adm, err := room.New(types(), creating{stream(1)}).Admit(t.Context(), session{}.Identity(), "team:1")
	if err != nil || adm.Enroll || !adm.Member.Moderate {
		t.Errorf("%+v, %v: the owner's row would be overwritten with a member's", adm, err)
	}
}
