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

// counted is the data of room:join and room:leave: how many members there are with
// it, where the type bounds them.
type counted struct {
	Count *uint64 `json:"count,omitempty"`
}

// join subscribes the session, and enrolls the user where the type keeps members.
func (r rooms) join(ctx context.Context, ev *event.Event) error {
	if byServer(ev) {
		return noServer()
	}
	// First of all: what is read behind it holds at least up to there.
	head, err := r.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return fault.Wrap("room.join", fault.Unavailable, err)
	}
	adm, err := r.Rooms.Admit(ctx, ev.Origin.Identity(), ev.Room)
	if err != nil {
		return err
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
	var enrolled event.Effect
	if adm.Enroll {
		if enrolled, err = r.enroll(ctx, ev, head); err != nil {
			return err
		}
	}
	if err := receives(ev); err != nil {
		return err
	}
	if adm.Enroll {
		ev.Emit(enrolled)
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

// enroll makes the sender a member, unless the room or its members were changed
// meanwhile: the sender may have a role by now. Those who join at the same time do
// not disturb each other, unless the room has a bound, or is empty and may be about
// to be deleted for that.
func (r rooms) enroll(ctx context.Context, ev *event.Event, head event.Head) (e event.Effect, err error) {
	if ev.ID == "" {
		return e, needsID()
	}
	t, err := r.Rooms.Type(ev.Room)
	if err != nil {
		return e, err
	}
	var c counted
	alone := t.MaxMembers > 0
	if alone {
		n, err := r.count(ctx, ev)
		switch {
		case err != nil:
			return e, err
		case n >= t.MaxMembers:
			return e, r.stands(ctx, ev, head, full("room", &t))
		}
		n++
		c.Count = &n
	} else if t.EmptyTTL > 0 {
		if alone, err = r.only(ctx, ev.Tenant, ev.Room); err != nil {
			return e, err
		}
	}
	data, _ := json.Marshal(c)
	e = about(ev, data)
	e.Subject, e.Seen, e.Heeds = subjectRoom, head.Offset, !alone
	if t.OnJoin == room.Silent {
		silent(&e)
	}
	return e, nil
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
