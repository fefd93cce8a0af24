package chat

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Deps is what the handlers read.
type Deps struct {
	Reader  room.Reader
	History room.History
}

// Names of the actions.
const (
	actionSend = "message:send"
	actionRead = "message:read"
)

// Most of one message, in bytes.
const (
	maxText = 8 << 10
	maxBody = 32 << 10
	maxMeta = 4 << 10
)

const week = 7 * 24 * 3600 * 1000 // ms

type chat struct{ Deps }

// Actions declares the package's actions.
func Actions(d Deps) []event.Action {
	c := chat{d}
	return []event.Action{
		{
			Name: actionSend, Doc: "Sends a message to a room. At least one of text and body is needed.",
			Payload: event.Payload{
				{Name: "text", Kind: event.String, Max: maxText, Doc: "for people"},
				{Name: "body", Kind: event.Any, Max: maxBody, Doc: "any JSON, for programs"},
				{Name: "mentions", Kind: event.Array, Max: 50, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: "users who are meant"},
				{Name: "meta", Kind: event.Object, Max: maxMeta, Doc: "the client's own, passed on"},
				{Name: "ttl_ms", Kind: event.Int, Min: 1, Max: week, Doc: "not delivered when this time is over"},
				{Name: "ephemeral", Kind: event.Bool, Doc: "only for those who are there now: not stored, no position"},
			},
			Reply: event.Payload{
				{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before; the position is that of the first"},
			},
			NeedsRoom: true, Durable: true, Permission: event.Publisher, Rate: event.RateMessage, Handle: c.send,
		},
		{
			Name: actionRead, Doc: "Moves the user's read marker in a room forward. The room is told (event), and the user's other devices (message in `user:<name>`).",
			Payload: event.Payload{
				{Name: "offset", Kind: event.Int, Required: true, Min: 1, Max: event.MaxOffset, Doc: "newest message that was read"},
				{Name: "epoch", Kind: event.String, Max: 32, Format: "epoch", Doc: "refused if the room has another by now"},
			},
			Reply: event.Payload{
				{Name: "offset", Kind: event.Int, Required: true, Doc: "where the marker is"},
				{Name: "unread", Kind: event.Int, Required: true, Doc: "messages behind it"},
				{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before"},
			},
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: c.read,
		},
	}
}

// Projections derives read markers.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{
		actionSend: func(t room.Tables, r *event.Record) {
			if r.From.User != "" {
				t.PutSent(r.Tenant, r.From.User, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
			}
		},
		actionRead: projectRead,
	}
}
