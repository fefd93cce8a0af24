package chat

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// readData is the data of message:read, to the room (without Room and Messages)
// and in the user's own stream.
type readData struct {
	Room     string `json:"room,omitempty"`
	Epoch    string `json:"epoch"`
	Offset   uint64 `json:"offset"`
	Unread   uint64 `json:"unread"`
	Messages uint64 `json:"messages,omitempty"`
}

// read moves the marker forward. The move is a durable event in the user's own
// stream, so that all of the user's devices see it; the room gets an ephemeral
// one.
func (c chat) read(ctx context.Context, ev *event.Event) error {
	head, err := c.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("chat.read", fault.Unavailable, err)
	}
	offset := uint64(ev.Int("offset"))
	switch epoch := ev.Str("epoch"); {
	case epoch != "" && epoch != head.Epoch:
		return fault.New(fault.Conflict, "data.epoch", "the room's epoch is "+head.Epoch)
	case offset > head.Offset:
		return fault.New(fault.Invalid, "data.offset", "the room has no such event yet")
	}
	mark, err := c.Reader.Marker(ctx, ev.Tenant, ev.From.User, ev.Room)
	if err != nil {
		return fault.Wrap("chat.read", fault.Unavailable, err)
	}
	if mark.Epoch == head.Epoch && offset <= mark.Offset {
		// Never backwards: what another device has read stays read.
		ev.Respond(reply(mark.Offset, head.Messages-min(mark.Messages, head.Messages)))
		return nil
	}
	at, err := c.History.After(ctx, ev.Tenant, ev.Room, event.Position{Epoch: head.Epoch, Offset: offset - 1}, 1, 1)
	switch {
	case errors.Is(err, room.ErrTrimmed), err == nil && len(at) == 0:
		return &fault.Error{Op: "chat.read", Kind: fault.NotFound, Field: "data.offset", Msg: "that event is not kept any more", Err: err}
	case err != nil:
		return fault.Wrap("chat.read", fault.Unavailable, err)
	}
	d := readData{Epoch: head.Epoch, Offset: offset, Unread: head.Messages - min(at[0].Messages, head.Messages)}
	ev.Respond(reply(d.Offset, d.Unread))
	toRoom, _ := json.Marshal(readData{Epoch: d.Epoch, Offset: d.Offset, Unread: d.Unread})
	d.Room, d.Messages = ev.Room, at[0].Messages
	toUser, _ := json.Marshal(d)
	ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(ev.From.User), From: ev.From, Action: actionRead, Data: toUser,
	}})
	ev.Emit(event.Effect{Merge: "read:" + ev.From.User, Envelope: event.Envelope{
		Type: event.TypeEvent, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionRead, Data: toRoom, Timestamp: time.Now().UnixMilli(),
	}})
	return nil
}

func reply(offset, unread uint64) []byte {
	data, _ := json.Marshal(map[string]uint64{"offset": offset, "unread": unread})
	return data
}

// projectRead sets the marker that a user's own stream tells of.
func projectRead(t room.Tables, r *event.Record) {
	var d readData
	if room.TypeOf(r.Room) != room.UserType || json.Unmarshal(r.Data, &d) != nil {
		return
	}
	t.PutRead(r.Tenant, r.From.User, d.Room, room.Marker{Position: event.Position{Epoch: d.Epoch, Offset: d.Offset}, Messages: d.Messages})
}
