package room

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Deps is what the handlers read.
type Deps struct {
	Rooms   *room.Rooms
	Reader  room.Reader
	History room.History
	Notes   room.Notes
	Fold    Folder  // nil: history shows events as they were stored
	JSON    Encoder // of the envelopes in a page of history
}

// Encoder writes envelopes.
type Encoder interface {
	Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame
}

// Names of the actions.
const (
	actionCreate  = "room:create"
	actionJoin    = "room:join"
	actionLeave   = room.ActionLeave
	actionUpdate  = room.ActionUpdate
	actionDelete  = "room:delete"
	actionMembers = "room:members"
	actionHistory = "room:history"
)

// actionExpire is written into a room that has been empty for too long, where the
// room's type has it announced.
const actionExpire = "room:expire"

// Of the tenant's root room.
const (
	actionEmptied  = "room:emptied"
	actionUnlisted = "room:unlisted"
)

const (
	maxNamed = 100 // users in one event
	maxName  = 200
	maxPage  = 200
	maxMeta  = 4 << 10
	maxBytes = 256 << 10 // of a page of history
)

type rooms struct{ Deps }

// Actions declares the package's actions.
func Actions(d Deps) []event.Action {
	r := rooms{d}
	return append(r.changes(), r.queries()...)
}

func users(name, doc string) event.Field {
	return event.Field{Name: name, Kind: event.Array, Max: maxNamed, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: doc}
}

// ofRoom is the reply of actions that have no more to say.
func ofRoom() event.Payload {
	return event.Payload{
		{Name: "room", Kind: event.String, Required: true},
		{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before; the position is that of the first"},
	}
}

// changes are the actions that leave something behind.
func (r rooms) changes() []event.Action {
	position := event.Payload{
		{Name: "epoch", Kind: event.String, Required: true, Max: 32},
		{Name: "offset", Kind: event.Int, Required: true, Max: event.MaxOffset},
	}
	roles := event.Field{Kind: event.String, Enum: []string{room.RoleOwner, room.RoleModerator, room.RoleMember}}
	return []event.Action{
		{
			Name: actionCreate, Doc: "Makes a room of a type with members; the sender becomes its owner.",
			Payload: event.Payload{
				users("members", "users who are members from the start"),
				{Name: "name", Kind: event.String, Max: maxName, Doc: "for people"},
				{Name: "meta", Kind: event.Object, Max: maxMeta, Doc: "the tenant's own"},
			},
			Reply:     ofRoom(),
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.AnyUser, Rate: event.RateQuery, Handle: r.create,
		},
		{
			Name: actionJoin, Doc: "Joins a room in this session, and becomes a member where the type keeps members. Joining again changes nothing.",
			Payload:   event.Payload{{Name: "since", Kind: event.Object, Max: 256, Fields: position, Doc: "replay what followed this position, behind the ack"}},
			Reply:     joinFields(),
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.AnyUser, Rate: event.RateQuery, Handle: r.join,
		},
		{
			Name: actionLeave, Doc: "Leaves a room; where the type keeps members, in all of the user's sessions.",
			Reply:     ofRoom(),
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.leave,
		},
		{
			Name: actionUpdate, Doc: "Changes what a room with members is called and who is in it, all of it or nothing, for at most 100 users. Owners and moderators may; roles, and the membership of owners and moderators, are the owners'.",
			Payload: event.Payload{
				{Name: "name", Kind: event.String, Max: maxName, Doc: "for people"},
				{Name: "meta", Kind: event.Any, Max: maxMeta, Doc: "an object, in place of the one before; null for none"},
				users("add", "users who become members; who is one stays as it is"),
				users("remove", "users who are members no longer"),
				{Name: "roles", Kind: event.Map, Max: maxNamed, Format: "user", Elem: &roles, Doc: "by user, a member or one of add: owner, moderator or member"},
			},
			Reply:     ofRoom(),
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.update,
		},
		{
			Name: actionDelete, Doc: "Deletes a room with members, and all that was said in it; for its owners. It is the room's last event.",
			Reply:     ofRoom(),
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.delete,
		},
	}
}

// queries are the actions that only answer.
func (r rooms) queries() []event.Action {
	limit := event.Field{Name: "limit", Kind: event.Int, Min: 1, Max: maxPage, Doc: "at most so many; 50 if left out"}
	return []event.Action{
		{
			Name: actionMembers, Doc: "Pages through a room's members, in the order of their names.",
			Payload: event.Payload{{Name: "after", Kind: event.String, Max: 128, Doc: "the last name of the page before"}, limit},
			Reply: event.Payload{
				{Name: "members", Kind: event.Array, Required: true, Doc: "user, role, joined_at (Unix milliseconds)", Elem: &event.Field{Kind: event.Object}},
				{Name: "next", Kind: event.String, Doc: "after for the next page; left out on the last"},
			},
			NeedsRoom: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.members,
		},
		{
			Name: actionHistory, Doc: "Reads a page of the room's stream: the newest, or what lies before or after an offset. Events come oldest first; messages as they are now: with `edited` (version, at), with `reactions` (by key: count, users, the first 10 of them by name, me), as `event:redacted` with by and at where they were deleted, or with for: me.",
			Payload: event.Payload{
				{Name: "before", Kind: event.Int, Min: 1, Max: event.MaxOffset, Doc: "events below this offset"},
				{Name: "after", Kind: event.Int, Max: event.MaxOffset, Doc: "events above this offset; not with before"},
				limit,
			},
			Reply: event.Payload{
				{Name: "events", Kind: event.Array, Required: true, Doc: "envelopes; fewer than limit where they would be large", Elem: &event.Field{Kind: event.Object}},
				{Name: "epoch", Kind: event.String, Required: true},
				{Name: "more", Kind: event.Bool, Required: true, Doc: "there is more in that direction"},
			},
			NeedsRoom: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.history,
		},
	}
}

func joinFields() event.Payload {
	return event.Payload{
		{Name: "room", Kind: event.String, Required: true},
		{Name: "epoch", Kind: event.String, Required: true, Doc: "empty for a room without events"},
		{Name: "offset", Kind: event.Int, Required: true, Doc: "the room's newest position"},
		{Name: "unread", Kind: event.Int, Required: true},
		{Name: "read_offset", Kind: event.Int, Required: true},
		{Name: "member", Kind: event.Bool, Required: true, Doc: "the user is a lasting member: the room is there again in every new session"},
		{Name: "recovered", Kind: event.Bool, Doc: "with since: whether all that followed it is replayed"},
		{Name: "reason", Kind: event.String, Doc: "why not: epoch, ahead, trimmed"},
		{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before. If it would be refused by now, epoch and offset are the position of the first, the counts 0, and member is false"},
	}
}
