package room

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// delete ends the room with its last event. Whoever is subscribed gets that and
// leaves; nobody's own room is told.
func (r rooms) delete(ctx context.Context, ev *event.Event) error {
	if _, err := r.kept(ev); err != nil {
		return err
	}
	head, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("room.delete", fault.Unavailable, err)
	}
	role, _, err := r.asks(ctx, ev)
	switch {
	case err != nil:
		return err
	case role != room.RoleOwner:
		return fault.New(fault.Forbidden, "room", "owners only")
	}
	ev.Emit(ending(about(ev, []byte("{}")), head))
	if !byServer(ev) {
		ev.Emit(event.Effect{Kind: event.Leave, Envelope: event.Envelope{Room: ev.Room}})
	}
	respond(ev)
	return nil
}

// ending makes of an event the room's last one, unless the room has changed behind
// head.
func ending(e event.Effect, head event.Head) event.Effect {
	e.Action, e.Ends, e.Subject, e.Seen = actionDelete, true, subjectRoom, head.Offset
	return e
}

// asks is the role of who sent the event, and the room; the server's is an owner's.
func (r rooms) asks(ctx context.Context, ev *event.Event) (string, room.Info, error) {
	role := room.RoleOwner
	if !byServer(ev) {
		m, found, err := r.Reader.Member(ctx, ev.Tenant, ev.Room, ev.From.User)
		switch {
		case err != nil:
			return "", room.Info{}, fault.Wrap("room.asks", fault.Unavailable, err)
		case !found:
			return "", room.Info{}, fault.New(fault.Forbidden, "room", "not a member of this room")
		}
		role = m.Role
	}
	info, found, err := r.Reader.Room(ctx, ev.Tenant, ev.Room)
	switch {
	case err != nil:
		return "", info, fault.Wrap("room.asks", fault.Unavailable, err)
	case !found:
		return "", info, fault.New(fault.NotFound, "room", "there is no such room")
	}
	return role, info, nil
}
