package chat

import (
	"context"
	"encoding/json"
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

func (c chat) reading() event.Action {
	return event.Action{
		Name: actionRead, Doc: "Moves the user's read marker in a room forward. The room is told (event), and the user's other devices (message in `user:<name>`).",
		Payload: about("newest message that was read"),
		Reply: event.Payload{
			{Name: "offset", Kind: event.Int, Required: true, Doc: "where the marker is"},
			{Name: "unread", Kind: event.Int, Required: true, Doc: "messages behind it"},
			{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before"},
		},
		NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: c.read,
	}
}

// read moves the marker forward. The move is a durable event in the user's own
// stream, so that all of the user's devices see it; the room gets an ephemeral
// one.
func (c chat) read(ctx context.Context, ev *event.Event) error {
	head, err := c.head(ctx, ev, "chat.read")
	if err != nil {
		return err
	}
	own, err := c.History.Head(ctx, ev.Tenant, room.OfUser(ev.From.User)) // before the marker
	if err != nil {
		return fault.Wrap("chat.read", fault.Unavailable, err)
	}
	offset := uint64(ev.Int("offset"))
	mark, err := c.Reader.Marker(ctx, ev.Tenant, ev.From.User, ev.Room)
	if err != nil {
		return fault.Wrap("chat.read", fault.Unavailable, err)
	}
	if mark.Epoch == head.Epoch && offset <= mark.Offset {
		// Never backwards: what another device has read stays read.
		ev.Respond(reply(mark.Offset, head.Messages-min(mark.Messages, head.Messages)))
		return nil
	}
	at, err := c.record(ctx, ev, head, "chat.read")
	if err != nil {
		return err
	}
	d := readData{Epoch: head.Epoch, Offset: offset, Unread: head.Messages - min(at.Messages, head.Messages)}
	ev.Respond(reply(d.Offset, d.Unread))
	toRoom, _ := json.Marshal(readData{Epoch: d.Epoch, Offset: d.Offset, Unread: d.Unread})
	d.Room, d.Messages = ev.Room, at.Messages
	toUser, _ := json.Marshal(d)
	// Of two devices that read at once, one is refused and sends again: then it finds
	// how far the other is.
	ev.Emit(event.Effect{Durable: true, Subject: "read:" + ev.Room, Seen: own.Offset, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(ev.From.User), From: ev.From, Action: actionRead, Data: toUser,
	}})
	ev.Emit(event.Effect{Merge: "read:" + ev.Room + ":" + ev.From.User, Envelope: event.Envelope{
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
