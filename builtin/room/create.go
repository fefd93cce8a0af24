package room

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// created is the data of room:create.
type created struct {
	Members []string        `json:"members"`
	Name    string          `json:"name,omitempty"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// create makes the room's first event, and tells every member in the member's own
// stream.
func (r rooms) create(_ context.Context, ev *event.Event) error {
	t, err := r.Rooms.Type(ev.Room)
	switch {
	case err != nil:
		return err
	case ev.ID == "":
		return needsID()
	case !t.Members:
		return fault.New(fault.Invalid, "room", "rooms of this type need not be created: room:join is enough")
	case room.Base(ev.Room) != ev.Room:
		return fault.New(fault.Invalid, "room", "a sub-room comes with its room")
	}
	c := created{Name: ev.Str("name"), Meta: ev.Arg("meta")}
	_ = json.Unmarshal(ev.Arg("members"), &c.Members) // validated before
	c.Members = append(c.Members, ev.From.User)
	slices.Sort(c.Members)
	c.Members = slices.Compact(c.Members)
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ev.Emit(event.Effect{Durable: true, Create: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionCreate, Data: data,
	}})
	for _, user := range c.Members {
		ev.Emit(told(ev, user, room.ActionAdded, event.Position{}))
	}
	// The creator's own session is in the room when it gets the answer; the sessions
	// of the others follow the events of their users' rooms.
	ev.Emit(event.Effect{Kind: event.Join, Envelope: event.Envelope{Room: ev.Room}, Member: event.Membership{
		Publish: t.Publish != "server", Moderate: true, Durable: t.Stream,
	}})
	reply, _ := json.Marshal(map[string]string{"room": ev.Room})
	ev.Respond(reply)
	return nil
}

// needsID refuses an event with several durable effects that could not be sent
// again: if the node fails between two of them, a retry has to complete them.
func needsID() error { return fault.New(fault.Invalid, "id", "this action needs an id") }

// told is the durable event that brings a user's sessions into a room, or out of
// it; since is where the user's view of the room begins.
func told(ev *event.Event, user, action string, since event.Position) event.Effect {
	data, _ := json.Marshal(room.Change{Room: ev.Room, Since: since})
	return event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(user), From: ev.From, Action: action, Data: data,
	}}
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
		t.PutMember(r.Tenant, r.Room, room.Member{User: user, Role: role, Joined: r.Timestamp})
	}
}
