package direct

import (
	"context"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Devices reaches the sessions of one device of a user.
type Devices interface {
	// Direct hands an ephemeral event to all of them, in the tenant that it names, and
	// says how many there were. It does not block.
	Direct(env *event.Envelope, user, device string) int
}

// Deps is what the handler works with; it is required.
type Deps struct {
	Devices Devices
}

// Action is the name of the action, and of the events that come of it.
const Action = "direct:send"

// Most of one message, in bytes, as of message:send.
const (
	maxText = 8 << 10
	maxBody = 32 << 10
	maxMeta = 4 << 10
)

const week = 7 * 24 * 3600 * 1000 // ms

type direct struct{ Deps }

// Actions declares the package's action.
func Actions(d Deps) []event.Action {
	h := direct{d}
	return []event.Action{{
		Name: Action, Doc: "Sends a message to a user (stored in `user:<name>`, and a copy with `to` in the sender's own room, unless the server itself sends it; needs an id), or to a device of a user (ephemeral). At least one of text and body is needed.",
		Payload: event.Payload{
			{Name: "to", Kind: event.String, Required: true, Format: "user", Doc: "who gets it"},
			{Name: "device", Kind: event.String, Format: "user", Doc: "only this device of the user, and only if it is there now"},
			{Name: "text", Kind: event.String, Max: maxText, Doc: "for people"},
			{Name: "body", Kind: event.Any, Max: maxBody, Doc: "any JSON, for programs"},
			{Name: "meta", Kind: event.Object, Max: maxMeta, Doc: "the client's own, passed on"},
			{Name: "ttl_ms", Kind: event.Int, Min: 1, Max: week, Doc: "not delivered when this time is over"},
		},
		Reply: event.Payload{
			{Name: "delivered", Kind: event.Int, Doc: "with device: how many of its sessions got it"},
			{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before"},
		},
		Durable: true, Permission: event.AnyUser, Rate: event.RateMessage, Handle: h.send,
	}}
}

func (h direct) send(_ context.Context, ev *event.Event) error {
	if err := room.SaysNothing(ev.Arg("text"), ev.Arg("body")); err != nil {
		return err
	}
	switch {
	case ev.Room != "": // its answers would speak of that room
		return fault.New(fault.Invalid, "room", "a direct message goes to a user, not to a room")
	}
	var expires int64
	if ttl := ev.Int("ttl_ms"); ttl > 0 {
		expires = time.Now().UnixMilli() + ttl
	}
	if ev.Arg("device") != nil {
		return h.toDevice(ev, expires)
	}
	return toUser(ev, expires)
}

// toUser brings the message to both users' own rooms: first to the receiver's, so
// that a sender whose second effect fails still gets the copy with a retry. The
// server itself has no room.
func toUser(ev *event.Event, expires int64) error {
	if ev.ID == "" {
		return fault.New(fault.Invalid, "id", "this action needs an id")
	}
	user := ev.Str("to")
	if user != ev.From.User {
		ev.Emit(stored(ev, user, expires, true, "text", "body", "meta"))
	}
	if ev.From.User != "" {
		ev.Emit(stored(ev, ev.From.User, expires, false, "to", "text", "body", "meta"))
	}
	return nil
}

// stored is the message in a user's own room.
func stored(ev *event.Event, owner string, expires int64, unread bool, fields ...string) event.Effect {
	return event.Effect{Durable: true, Unread: unread, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: room.OfUser(owner), From: ev.From, Action: Action,
		Data: ev.ObjectAnd(ev.Extra, fields...), Expires: expires,
	}}
}

// toDevice delivers the message at once, and not as an effect: the answer needs the
// number of sessions that took it, and is a refusal if none did, but an effect comes
// too late for either (event.Perform: behind the reply, and it cannot fail).
func (h direct) toDevice(ev *event.Event, expires int64) error {
	user := ev.Str("to")
	n := h.Devices.Direct(&event.Envelope{
		Type: event.TypeEvent, Tenant: ev.Tenant, Room: room.OfUser(user), From: ev.From, Action: Action,
		Data: ev.ObjectAnd(ev.Extra, "text", "body", "meta"), Expires: expires, Timestamp: time.Now().UnixMilli(),
	}, user, ev.Str("device"))
	if n == 0 {
		return fault.New(fault.NotFound, "data.device", "no session of this device is open")
	}
	ev.Respond(append(strconv.AppendInt([]byte(`{"delivered":`), int64(n), 10), '}'))
	return nil
}
