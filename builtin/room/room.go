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
	actionLeave   = "room:leave"
	actionMembers = "room:members"
	actionHistory = "room:history"
)

const (
	maxInvited = 100
	maxPage    = 200
	maxMeta    = 4 << 10
	maxBytes   = 256 << 10 // of a page of history
)

type rooms struct{ Deps }

// Actions declares the package's actions.
func Actions(d Deps) []event.Action {
	r := rooms{d}
	position := event.Payload{
		{Name: "epoch", Kind: event.String, Required: true, Max: 32},
		{Name: "offset", Kind: event.Int, Required: true, Max: event.MaxOffset},
	}
	limit := event.Field{Name: "limit", Kind: event.Int, Min: 1, Max: maxPage, Doc: "at most so many; 50 if left out"}
	return []event.Action{
		{
			Name: actionCreate, Doc: "Makes a room of a type with members; the sender becomes its owner.",
			Payload: event.Payload{
				{Name: "members", Kind: event.Array, Max: maxInvited, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: "users who are members from the start"},
				{Name: "name", Kind: event.String, Max: 200, Doc: "for people"},
				{Name: "meta", Kind: event.Object, Max: maxMeta, Doc: "the tenant's own"},
			},
			Reply:     event.Payload{{Name: "room", Kind: event.String, Required: true}},
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
			Reply:     event.Payload{{Name: "room", Kind: event.String, Required: true}},
			NeedsRoom: true, Durable: true, Slow: true, Permission: event.Participant, Rate: event.RateQuery, Handle: r.leave,
		},
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
			Name: actionHistory, Doc: "Reads a page of the room's stream: the newest, or what lies before or after an offset. Events come oldest first.",
			Payload: event.Payload{
				{Name: "before", Kind: event.Int, Min: 1, Max: event.MaxOffset, Doc: "events below this offset"},
				{Name: "after", Kind: event.Int, Max: event.MaxOffset, Doc: "events above this offset; not with before"},
				limit,
			},
			Reply: event.Payload{
				{Name: "events", Kind: event.Array, Required: true, Doc: "envelopes", Elem: &event.Field{Kind: event.Object}},
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
		{Name: "repeat", Kind: event.Bool},
	}
}

// Projections derives rooms and members.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{
		actionCreate: projectCreate,
		actionJoin: func(t room.Tables, r *event.Record) {
			t.PutMember(r.Tenant, r.Room, room.Member{User: r.From.User, Role: room.RoleMember, Joined: r.Timestamp})
		},
		actionLeave: func(t room.Tables, r *event.Record) { t.DeleteMember(r.Tenant, r.Room, r.From.User) },
	}
}
