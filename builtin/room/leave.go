package room

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// leave ends the subscription, and the membership where there is one.
func (r rooms) leave(ctx context.Context, ev *event.Event) error {
	t, err := r.Rooms.Type(ev.Room)
	switch {
	case err != nil:
		return err
	case byServer(ev):
		return noServer()
	case room.TypeOf(ev.Room) == room.UserType && room.Base(ev.Room) == ev.Room:
		return fault.New(fault.Forbidden, "room", "nobody leaves the own room")
	}
	if t.Members && room.Base(ev.Room) == ev.Room {
		if err := r.resign(ctx, ev, &t); err != nil {
			return err
		}
	}
	ev.Emit(event.Effect{Kind: event.Leave, Envelope: event.Envelope{Room: ev.Room}})
	respond(ev)
	return nil
}

// resign ends the sender's membership. What is told behind the end of it is told
// also for who is no member any more: the first try may have failed in between.
func (r rooms) resign(ctx context.Context, ev *event.Event, t *room.TypeConfig) error {
	head, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("room.leave", fault.Unavailable, err)
	}
	_, member, err := r.Reader.Member(ctx, ev.Tenant, ev.Room, ev.From.User)
	switch {
	case err != nil:
		return fault.Wrap("room.leave", fault.Unavailable, err)
	case member && ev.ID == "":
		return needsID()
	case ev.ID == "":
		return nil
	}
	if member {
		var c counted
		if t.MaxMembers > 0 {
			n, err := r.count(ctx, ev)
			if err != nil {
				return err
			}
			n -= min(n, 1)
			c.Count = &n
		}
		data, _ := json.Marshal(c)
		e := about(ev, data)
		// A role that is given at the same time must not bring the member back.
		e.Subject, e.Seen = subjectRoom, head.Offset
		if t.OnLeave == room.Silent {
			silent(&e)
		}
		ev.Emit(e)
	}
	ev.Emit(told(ev, ev.From.User, room.ActionRemoved, event.Position{}))
	if t.EmptyTTL > 0 {
		last, err := r.only(ctx, ev.Tenant, ev.Room, ev.From.User)
		if err != nil {
			return err
		}
		if last {
			ev.Emit(emptied(ev.Tenant, ev.Room))
		}
	}
	return nil
}
