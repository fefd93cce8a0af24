package chat

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func (c chat) sending() event.Action {
	return event.Action{
		Name: actionSend, Doc: "Sends a message to a room. It says something: a text that is not empty, or a body that is not null. To a participant, `not_found` where members are kept and this is none.",
		Payload: append(fields(),
			event.Field{Name: "ttl_ms", Kind: event.Int, Min: 1, Max: week, Doc: "not delivered when this time is over"},
			event.Field{Name: "ephemeral", Kind: event.Bool, Doc: "only for those who are there now: not stored, no position"},
		),
		Reply: event.Payload{
			{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before; the position is that of the first"},
		},
		NeedsRoom: true, Durable: true, Permission: event.Publisher, Rate: event.RateMessage, Handle: c.send,
	}
}

// send publishes a message. Only declared fields are passed on: what this version
// does not know it has not checked.
func (c chat) send(ctx context.Context, ev *event.Event) error {
	if err := room.SaysNothing(ev.Arg("text"), ev.Arg("body")); err != nil {
		return err
	}
	m, joined := ev.Origin.Member(ev.Room)
	if !joined && !m.Publish { // it was until now: another session of the user has left the room
		return fault.New(fault.Forbidden, "room", "the session has not joined this room")
	}
	if err := c.reaches(ctx, ev); err != nil {
		return err
	}
	e := event.Effect{
		Envelope: event.Envelope{
			Type: event.TypeEvent, Tenant: ev.Tenant, Room: ev.Room, From: ev.From,
			Action: actionSend, Data: ev.ObjectAnd(ev.Extra, "text", "body", "mentions", "meta"),
		},
		Durable: m.Durable && !ev.Bool("ephemeral"), Unread: true,
	}
	if e.Durable {
		e.Type = event.TypeMessage
	}
	if ttl := ev.Int("ttl_ms"); ttl > 0 {
		e.Expires = time.Now().UnixMilli() + ttl
	}
	if !e.Durable {
		e.Timestamp = time.Now().UnixMilli()
	}
	ev.Emit(e)
	return nil
}

// reaches holds a message to one participant to there being such a one, where the type
// keeps members: elsewhere nobody knows who will come. It is the only message whose
// handler reads the store.
func (c chat) reaches(ctx context.Context, ev *event.Event) error {
	n, ok := room.Parse(ev.Room)
	if !ok || n.Part != room.Participant {
		return nil
	}
	_, found, err := c.Reader.Member(ctx, ev.Tenant, n.Base, n.User)
	if err != nil || found {
		return fault.Wrap("chat.send", fault.Unavailable, err)
	}
	_, kept, err := c.Reader.Room(ctx, ev.Tenant, n.Base)
	if err != nil || !kept {
		return fault.Wrap("chat.send", fault.Unavailable, err)
	}
	return fault.New(fault.NotFound, "room", "this user is not a member of the room")
}

// projectSend moves the sender's marker: one has read what one has written.
func projectSend(t room.Tables, r *event.Record) {
	if r.From.User != "" {
		t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	}
}
