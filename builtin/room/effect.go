package room

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// subjectRoom is the subject of what rests on a room's data or on all of its
// members together.
const subjectRoom = "room"

// byServer reports whether the server itself speaks: a tenant's own backend, which
// is asked for no role.
func byServer(ev *event.Event) bool { return ev.From.User == "" }

// stands gives a refusal that rests on several reads, unless the room has changed
// between them: then it may be one that no single state of the room would give.
func (r rooms) stands(ctx context.Context, ev *event.Event, head event.Head, refusal error) error {
	now, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	switch {
	case err != nil:
		return fault.Wrap("room.stands", fault.Unavailable, err)
	case now.Position != head.Position:
		return fault.New(fault.Changed, "", "")
	}
	return refusal
}

// needsID refuses an event with several durable effects that could not be sent
// again: if the node fails between two of them, a retry has to complete them.
func needsID() error { return fault.New(fault.Invalid, "id", "this action needs an id") }

// noServer refuses to the server what a session does.
func noServer() error {
	return fault.New(fault.Forbidden, "room", "the server joins and leaves no rooms")
}

// bounded is an Origin that receives so many rooms at most.
type bounded interface {
	// MayJoin refuses one room too many.
	MayJoin(room string) error
}

// receives refuses who could not receive the event's room: it would be a member of
// a room that it does not see. It may still be refused behind the event, by what
// happens at the same time.
func receives(ev *event.Event) error {
	if b, ok := ev.Origin.(bounded); ok {
		return b.MayJoin(ev.Room)
	}
	return nil
}

// kept finds the type of a room that was created.
func (r rooms) kept(ev *event.Event) (room.TypeConfig, error) {
	t, err := r.Rooms.Type(ev.Room)
	switch {
	case err != nil:
		return t, err
	case !t.Members:
		return t, fault.New(fault.Invalid, "room", "only rooms with members are changed or deleted")
	case room.Base(ev.Room) != ev.Room:
		return t, fault.New(fault.Invalid, "room", "a sub-room goes with its room")
	}
	return t, nil
}

// about is a durable event of the event's room, from its sender.
func about(ev *event.Event, data []byte) event.Effect {
	return event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: ev.Action, Data: data,
	}}
}

// silent lets an event end before anybody can see it: it keeps its offset in the
// room's stream, and its rows.
func silent(e *event.Effect) { e.Expires = 1 }

// told is the durable event that brings a user's sessions into a room, or out of
// it; since is where the user's view of the room begins.
func told(ev *event.Event, user, action string, since event.Position) event.Effect {
	return toUser(ev, user, action, room.Change{Room: ev.Room, Since: since})
}

// toUser is a durable event of a user's own room.
func toUser(ev *event.Event, user, action string, data any) event.Effect {
	raw, _ := json.Marshal(data)
	return event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(user), From: ev.From, Action: action, Data: raw,
	}}
}

// root is the room whose rows name the tenant's rooms without members.
const root = room.RootType + ":rooms"

// noted is the data of the root room's events.
type noted struct {
	Room string `json:"room"`
}

// emptied tells the root room that a room has lost its last member. It comes
// whatever was said of the room there before.
func emptied(tenant, name string) event.Effect {
	data, _ := json.Marshal(noted{name})
	return event.Effect{Durable: true, Subject: name, Seen: math.MaxUint64, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: root, Action: actionEmptied, Data: data,
	}}
}

// only reports whether a room has no members but these.
func (r rooms) only(ctx context.Context, tenant, name string, users ...string) (bool, error) {
	members, err := r.Reader.Members(ctx, tenant, name, "", len(users)+1)
	if err != nil {
		return false, fault.Wrap("room.only", fault.Unavailable, err)
	}
	for _, m := range members {
		if !slices.Contains(users, m.User) {
			return false, nil
		}
	}
	return true, nil
}
