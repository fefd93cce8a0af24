package tail

import (
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// rowRoom is the kind of the rows of a user's own room that name the rooms which the user is
// a member of.
const rowRoom = "room"

// Memberships are the projections that make those rows: in a cluster a room's members are
// where the room is, and the user's rooms where the user's own room is.
func Memberships() map[string]room.Projection {
	return map[string]room.Projection{
		room.ActionAdded:   func(t room.Tables, r *event.Record) { projectMembership(r, t.PutRow) },
		room.ActionRemoved: func(t room.Tables, r *event.Record) { projectMembership(r, t.DeleteRow) },
	}
}

func projectMembership(r *event.Record, change func(tenant, room string, row room.Row)) {
	var c room.Change
	if n, ok := room.Parse(r.Room); !ok || n.Type != room.UserType || n.Part != room.Whole || json.Unmarshal(r.Data, &c) != nil {
		return
	}
	change(r.Tenant, r.Room, room.Row{Kind: rowRoom, Key: c.Room})
}
