package room

import (
	"encoding/json"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Projections derives rooms, members, and the rows about them.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{
		actionCreate:   projectCreate,
		actionJoin:     projectJoin,
		actionLeave:    projectLeave,
		actionUpdate:   projectUpdate,
		actionDelete:   func(t room.Tables, r *event.Record) { t.EndRoom(r.Tenant, r.Room) },
		actionEmptied:  projectEmptied,
		actionUnlisted: projectUnlisted,
	}
}

func projectCreate(t room.Tables, r *event.Record) {
	var c created
	if json.Unmarshal(r.Data, &c) != nil {
		return // only create writes it, and it writes JSON
	}
	t.PutRoom(room.Info{Tenant: r.Tenant, ID: r.Room, Created: r.Timestamp, Creator: r.From.User, Name: c.Name, Meta: c.Meta})
	for _, user := range c.Members {
		role := room.RoleMember
		if user == r.From.User {
			role = room.RoleOwner
		}
		putMember(t, r, room.Member{User: user, Role: role, Joined: r.Timestamp})
	}
	if c.Count > 0 {
		putCount(t, r, &c.Count)
	}
}

func projectJoin(t room.Tables, r *event.Record) {
	var c counted
	_ = json.Unmarshal(r.Data, &c) // as in projectCreate
	t.PutMember(r.Tenant, r.Room, room.Member{User: r.From.User, Role: room.RoleMember, Joined: r.Timestamp})
	putCount(t, r, c.Count)
}

func projectLeave(t room.Tables, r *event.Record) {
	var c counted
	_ = json.Unmarshal(r.Data, &c) // as in projectCreate
	deleteMember(t, r, r.From.User)
	putCount(t, r, c.Count)
}

func projectUpdate(t room.Tables, r *event.Record) {
	var u updated
	if json.Unmarshal(r.Data, &u) != nil {
		return // as in projectCreate
	}
	if u.Name != nil {
		t.PutRoom(room.Info{Tenant: r.Tenant, ID: r.Room, Created: u.Created, Creator: u.Creator, Name: *u.Name, Meta: objectOf(u.Meta)})
	}
	for _, user := range u.Add {
		role := u.Roles[user]
		if role == "" {
			role = room.RoleMember
		}
		putMember(t, r, room.Member{User: user, Role: role, Joined: r.Timestamp})
	}
	for user, joined := range u.Joined {
		putMember(t, r, room.Member{User: user, Role: u.Roles[user], Joined: joined})
	}
	for _, user := range u.Remove {
		deleteMember(t, r, user)
	}
	if len(u.Add)+len(u.Remove) > 0 {
		putCount(t, r, u.Count)
	}
}

// putMember keeps a member, and a list of the owners beside.
func putMember(t room.Tables, r *event.Record, m room.Member) {
	t.PutMember(r.Tenant, r.Room, m)
	row := room.Row{Kind: rowOwner, Key: m.User}
	if m.Role == room.RoleOwner {
		t.PutRow(r.Tenant, r.Room, row)
	} else {
		t.DeleteRow(r.Tenant, r.Room, row)
	}
}

func deleteMember(t room.Tables, r *event.Record, user string) {
	t.DeleteMember(r.Tenant, r.Room, user)
	t.DeleteRow(r.Tenant, r.Room, room.Row{Kind: rowOwner, Key: user})
}

// putCount keeps how many members there are; who did not count leaves no number
// that would be wrong.
func putCount(t room.Tables, r *event.Record, n *uint64) {
	row := room.Row{Kind: rowCount}
	if n == nil {
		t.DeleteRow(r.Tenant, r.Room, row)
		return
	}
	row.Value = strconv.AppendUint(nil, *n, 10)
	t.PutRow(r.Tenant, r.Room, row)
}

func projectEmptied(t room.Tables, r *event.Record) {
	var n noted
	if json.Unmarshal(r.Data, &n) == nil {
		t.PutRow(r.Tenant, r.Room, room.Row{Kind: rowEmpty, Key: n.Room, Value: strconv.AppendInt(nil, r.Timestamp, 10)})
	}
}

func projectUnlisted(t room.Tables, r *event.Record) {
	var n noted
	if json.Unmarshal(r.Data, &n) == nil {
		t.DeleteRow(r.Tenant, r.Room, room.Row{Kind: rowEmpty, Key: n.Room})
	}
}
