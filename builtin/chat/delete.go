package chat

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// forMe is the view that a message is deleted from: the user's own.
const forMe = "me"

func (c chat) deleting() event.Action {
	return event.Action{
		Name: actionDelete, Doc: "Deletes a message. For all: its author or a moderator may, its content is gone for good, and the room is told. For the user alone: it is hidden in the user's history, and the user's devices are told (message in `user:<name>`). Unread counts stay.",
		Payload: append(about("the message"), event.Field{Name: "for", Kind: event.String, Enum: []string{"all", forMe}, Doc: "all if left out"}),
		Reply: event.Payload{
			{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before, or the message is hidden already"},
		},
		NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateMessage, Handle: c.delete,
	}
}

// deleted is the data of message:delete: in the room offset and prior, in a user's
// own the others.
type deleted struct {
	Room   string `json:"room,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
	Offset uint64 `json:"offset"`
	Prior  uint64 `json:"prior,omitempty"` // offset of the newest edit
	For    string `json:"for,omitempty"`
}

// delete takes a message's content away for good, and that of its edits: of those
// only the newest has any.
func (c chat) delete(ctx context.Context, ev *event.Event) error {
	if ev.Str("for") == forMe {
		return c.hide(ctx, ev)
	}
	m, err := c.message(ctx, ev, 1, "chat.delete")
	if err != nil {
		return err
	}
	rights, joined := ev.Origin.Member(ev.Room)
	switch {
	case !joined: // it was until now
		return fault.New(fault.Forbidden, "room", "the session has not joined this room")
	case m.From.User != ev.From.User && !rights.Moderate:
		return fault.New(fault.Forbidden, "data.offset", "only its author or a moderator may delete a message for all")
	}
	data, _ := json.Marshal(deleted{Offset: m.Offset, Prior: m.lastEdit().Offset})
	ev.Emit(event.Effect{Durable: true, Subject: subject(m.Offset), Seen: m.seen, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionDelete, Data: data,
	}})
	return nil
}

// hide deletes a message out of the user's own view. One that is hidden stays so,
// whatever has become of it.
func (c chat) hide(ctx context.Context, ev *event.Event) error {
	hidden, err := c.hidden(ctx, ev)
	if err != nil {
		return err
	}
	if hidden {
		ev.Respond([]byte(`{"repeat":true}`))
		return nil
	}
	m, err := c.message(ctx, ev, 1, "chat.delete")
	if err != nil {
		return err
	}
	data, _ := json.Marshal(deleted{Room: m.Room, Epoch: m.Epoch, Offset: m.Offset, For: forMe})
	ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(ev.From.User), From: ev.From, Action: actionDelete, Data: data,
	}})
	return nil
}

func (c chat) hidden(ctx context.Context, ev *event.Event) (bool, error) {
	head, err := c.head(ctx, ev, "chat.delete")
	if err != nil {
		return false, err
	}
	own := room.OfUser(ev.From.User)
	if _, err := c.History.Head(ctx, ev.Tenant, own); err != nil { // what that counts is in the rows
		return false, fault.Wrap("chat.delete", fault.Unavailable, err)
	}
	at := event.Position{Epoch: head.Epoch, Offset: uint64(ev.Int("offset"))}
	_, found, err := c.Notes.Row(ctx, ev.Tenant, own, actionDelete, hiddenKey(ev.Room, at))
	return found, fault.Wrap("chat.delete", fault.Unavailable, err)
}

// hiddenKey names a message among the rows of a user's own room. Those of one room
// are in the order of their offsets.
func hiddenKey(name string, p event.Position) string {
	return fmt.Sprintf("%s\x00%s\x00%016x", name, p.Epoch, p.Offset)
}

// removal is the note of a message that was deleted, and the data of what readers
// get in its place.
type removal struct {
	By string `json:"by"`
	At int64  `json:"at"` // Unix milliseconds
}

func projectDelete(t room.Tables, r *event.Record) {
	var d deleted
	if json.Unmarshal(r.Data, &d) != nil {
		return // only delete writes it, and it writes JSON
	}
	if d.For == forMe {
		t.PutRow(r.Tenant, r.Room, room.Row{Kind: actionDelete, Key: hiddenKey(d.Room, event.Position{Epoch: d.Epoch, Offset: d.Offset})})
		return
	}
	t.Redact(r.Tenant, r.Room, d.Offset)
	if d.Prior > 0 {
		t.Redact(r.Tenant, r.Room, d.Prior)
	}
	value, _ := json.Marshal(removal{By: r.From.User, At: r.Timestamp})
	t.PutNote(r.Tenant, r.Room, room.Note{Offset: d.Offset, Kind: actionDelete, Value: value})
}
