package chat

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// send publishes a message. Only declared fields are passed on: what this version
// does not know it has not checked.
func (c chat) send(_ context.Context, ev *event.Event) error {
	if ev.Arg("text") == nil && ev.Arg("body") == nil {
		return fault.New(fault.Invalid, "data.text", "text or body is needed")
	}
	m, joined := ev.Origin.Member(ev.Room)
	if !joined { // it was until now: another session of the user has left the room
		return fault.New(fault.Forbidden, "room", "the session has not joined this room")
	}
	e := event.Effect{
		Envelope: event.Envelope{
			Type: event.TypeEvent, Tenant: ev.Tenant, Room: ev.Room, From: ev.From,
			Action: actionSend, Data: passOn(ev, "text", "body", "mentions", "meta"),
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

// passOn builds an object of the fields that were sent.
func passOn(ev *event.Event, names ...string) []byte {
	size := 2
	for _, name := range names {
		if raw := ev.Arg(name); raw != nil {
			size += len(name) + len(raw) + len(`"":,`)
		}
	}
	data := append(make([]byte, 0, size), '{')
	for _, name := range names {
		raw := ev.Arg(name)
		if raw == nil {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(append(append(append(data, '"'), name...), `":`...), raw...)
	}
	return append(data, '}')
}
