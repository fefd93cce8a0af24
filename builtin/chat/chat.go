package chat

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Deps is what the handlers read.
type Deps struct {
	Reader  room.Reader
	History room.History
	Notes   room.Notes
}

// Names of the actions. Notes and Rows bear the name of the action that makes them.
const (
	actionSend   = "message:send"
	actionEdit   = "message:edit"
	actionDelete = "message:delete"
	actionReact  = "message:react"
	actionRead   = "message:read"
)

// Most of one message: bytes, and users for mentions.
const (
	maxText     = 8 << 10
	maxBody     = 32 << 10
	maxMeta     = 4 << 10
	maxMentions = 50
)

const week = 7 * 24 * 3600 * 1000 // ms

type chat struct{ Deps }

// Actions declares the package's actions.
func Actions(d Deps) []event.Action {
	c := chat{d}
	return []event.Action{c.sending(), c.editing(), c.deleting(), c.reacting(), c.reading()}
}

// Projections derives read markers, and what has become of messages.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{
		actionSend:   projectSend,
		actionEdit:   projectEdit,
		actionDelete: projectDelete,
		actionReact:  projectReact,
		actionRead:   projectRead,
	}
}

// fields is what a message is made of.
func fields() event.Payload {
	return event.Payload{
		{Name: "text", Kind: event.String, Max: maxText, Doc: "for people"},
		{Name: "body", Kind: event.Any, Max: maxBody, Doc: "any JSON, for programs"},
		{Name: "mentions", Kind: event.Array, Max: maxMentions, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: "users who are meant"},
		{Name: "meta", Kind: event.Object, Max: maxMeta, Doc: "the client's own, passed on"},
	}
}

// about is how an action names an event of its room.
func about(doc string) event.Payload {
	return event.Payload{
		{Name: "offset", Kind: event.Int, Required: true, Min: 1, Max: event.MaxOffset, Doc: doc},
		{Name: "epoch", Kind: event.String, Max: 32, Format: "epoch", Doc: "refused if the room has another by now"},
	}
}
