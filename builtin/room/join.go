package room

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// joinReply is the data of room:join's ack.
type joinReply struct {
	Room       string `json:"room"`
	Epoch      string `json:"epoch"`
	Offset     uint64 `json:"offset"`
	Unread     uint64 `json:"unread"`
	ReadOffset uint64 `json:"read_offset"`
	Member     bool   `json:"member"`
	Recovered  *bool  `json:"recovered,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// join subscribes the session, and enrolls the user where the type keeps members.
func (r rooms) join(ctx context.Context, ev *event.Event) error {
	adm, err := r.Rooms.Admit(ctx, ev.Origin.Identity(), ev.Room)
	if err != nil {
		return err
	}
	head, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("room.join", fault.Unavailable, err)
	}
	mark, err := r.Reader.Marker(ctx, ev.Tenant, ev.From.User, ev.Room)
	if err != nil {
		return fault.Wrap("room.join", fault.Unavailable, err)
	}
	if mark.Epoch != head.Epoch {
		mark = room.Marker{}
	}
	reply := joinReply{Room: ev.Room, Epoch: head.Epoch, Offset: head.Offset, ReadOffset: mark.Offset, Member: adm.Lasting, Unread: head.Messages - min(mark.Messages, head.Messages)}
	at, err := r.since(ctx, ev, head, &reply)
	if err != nil {
		return err
	}
	if adm.Enroll && ev.ID == "" {
		return needsID()
	}
	if adm.Enroll {
		ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
			Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionJoin, Data: []byte("{}"),
		}})
	}
	// A member's session that has not joined the room was not told: the first try
	// may have failed behind the membership.
	_, joined := ev.Origin.Member(ev.Room)
	if adm.Enroll || adm.Lasting && !joined && ev.ID != "" && room.Base(ev.Room) == ev.Room {
		ev.Emit(told(ev, ev.From.User, room.ActionAdded, head.Position))
	}
	ev.Emit(event.Effect{Kind: event.Join, Member: adm.Member, Again: ev.Arg("since") != nil, Envelope: event.Envelope{Room: ev.Room, Position: at}})
	data, _ := json.Marshal(reply)
	ev.Respond(data)
	return nil
}

// since is where the replay starts.
func (r rooms) since(ctx context.Context, ev *event.Event, head event.Head, reply *joinReply) (event.Position, error) {
	raw := ev.Arg("since")
	if raw == nil {
		return head.Position, nil
	}
	var at event.Position
	_ = json.Unmarshal(raw, &at) // validated before
	why, err := room.Replayable(ctx, r.History, ev.Tenant, ev.Room, at, head)
	if err != nil {
		return at, err
	}
	ok := why == ""
	reply.Recovered, reply.Reason = &ok, why
	if !ok {
		return head.Position, nil
	}
	return at, nil
}

// leave ends the subscription, and the membership where there is one.
func (r rooms) leave(ctx context.Context, ev *event.Event) error {
	t, err := r.Rooms.Type(ev.Room)
	switch {
	case err != nil:
		return err
	case room.TypeOf(ev.Room) == room.UserType && room.Base(ev.Room) == ev.Room:
		return fault.New(fault.Forbidden, "room", "nobody leaves the own room")
	}
	if t.Members && room.Base(ev.Room) == ev.Room {
		_, member, err := r.Reader.Member(ctx, ev.Tenant, ev.Room, ev.From.User)
		if err != nil {
			return fault.Wrap("room.leave", fault.Unavailable, err)
		}
		if member && ev.ID == "" {
			return needsID()
		}
		if member {
			ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
				Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionLeave, Data: []byte("{}"),
			}})
		}
		// Also to who is no member any more: the first try may have failed behind the
		// end of the membership.
		if ev.ID != "" {
			ev.Emit(told(ev, ev.From.User, room.ActionRemoved, event.Position{}))
		}
	}
	ev.Emit(event.Effect{Kind: event.Leave, Envelope: event.Envelope{Room: ev.Room}})
	data, _ := json.Marshal(map[string]string{"room": ev.Room})
	ev.Respond(data)
	return nil
}
