package presence

import (
	"context"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// rowChoice is the kind of the row that keeps what a user has chosen.
const rowChoice = actionUpdate

// Bounds of what a user says, in bytes.
const (
	maxText  = 256
	maxEmoji = 64
	maxData  = 1 << 10
)

const month = 31 * 24 * 3600 * 1000 // ms

func (p *Presence) updating() event.Action {
	return event.Action{
		Name: actionUpdate, Doc: "Says what others are to see of the user, on all devices, until it is said otherwise: what the last one said is replaced. Watchers get `presence:update`, the user's devices a message in `user:<name>`.",
		Payload: event.Payload{
			{Name: "status", Kind: event.String, Required: true, Enum: []string{"online", "away", "dnd", invisible, auto}, Doc: "auto: online, or away when all devices are idle; online: never away; invisible: others see offline. Without a session a user is offline, whatever was chosen"},
			{Name: "text", Kind: event.String, Max: maxText, Doc: "for people"},
			{Name: "emoji", Kind: event.String, Max: maxEmoji},
			{Name: "data", Kind: event.Object, Max: maxData, Doc: "for programs"},
			{Name: "expires_in_ms", Kind: event.Int, Min: 1, Max: month, Doc: "then it is auto again, without text, emoji and data"},
		},
		Reply:   event.Payload{{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before"}},
		Durable: true, Permission: event.AnyUser, Rate: event.RateMessage, Handle: p.update,
	}
}

// update stores what the user has chosen. Observe brings it about, in the order of
// the user's own room.
func (p *Presence) update(_ context.Context, ev *event.Event) error {
	switch {
	case ev.Room != "":
		return fault.New(fault.Invalid, "room", "a user has one presence for all rooms")
	case ev.From.User == "":
		return noServer()
	}
	data := ev.Object("status", "text", "emoji", "data")
	if ms := ev.Int("expires_in_ms"); ms > 0 {
		data = append(strconv.AppendInt(append(data[:len(data)-1], `,"expires_at":`...), p.wall()+ms, 10), '}')
	}
	ev.Emit(event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(ev.From.User), From: ev.From, Action: actionUpdate, Data: data,
	}})
	return nil
}

// noServer refuses to the server what is a user's.
func noServer() error {
	return fault.New(fault.Forbidden, "payload.action", "the server has no presence")
}

// Projections keeps what users have chosen.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{actionUpdate: func(t room.Tables, r *event.Record) {
		if room.TypeOf(r.Room) == room.UserType {
			t.PutRow(r.Tenant, r.Room, room.Row{Kind: rowChoice, Value: r.Data})
		}
	}}
}
