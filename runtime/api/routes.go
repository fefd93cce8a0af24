package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// route is declared once; dispatch, checks and the document follow from it.
type route struct {
	method, path string
	scope        string // that the key needs; "" if it depends on the action
	doc          string // one sentence
	params       event.Payload
	body         event.Payload
	batch        bool // the body is an item or a list of them, which the handler reads
	upload       bool // the body is an archive
	status       int
	longer       time.Duration // than Deps.Timeout, that the answer may take
	action       string        // whose Result is answered
	reply        event.Payload // or this
	archive      bool          // or an archive
	handle       func(a *API, ctx context.Context, c *call) (any, error)
}

func (r *route) room() bool { return strings.Contains(r.path, "{room}") }

func (r *route) takesBody() bool { return r.body != nil || r.batch }

// name is the route's in the document: "POST /v1/api/rooms/{room}" is
// "post_rooms_room".
func (r *route) name() string {
	path := strings.NewReplacer("{", "", "}", "", "/", "_").Replace(strings.TrimPrefix(r.path, Prefix))
	return strings.ToLower(r.method) + "_" + path
}

const ofRoom = Prefix + "rooms/{room}"

// routes lists them all.
func routes() []route {
	return slices.Concat(sending(), aboutRooms(), insideRooms(), aboutPresence(), aboutSessions(), deploying(), aboutPlugins())
}

func userList(name, doc string, required bool, most int64) event.Field {
	return event.Field{Name: name, Kind: event.Array, Min: 1, Max: most, Required: required, Elem: &event.Field{Kind: event.String, Format: "user"}, Doc: doc}
}

func meta(kind event.Kind, doc string) event.Field {
	return event.Field{Name: "meta", Kind: kind, Max: 4 << 10, Doc: doc}
}

func sending() []route {
	return []route{
		{
			method: http.MethodPost, path: Prefix + "publish", batch: true, status: http.StatusOK, handle: (*API).publish,
			doc: "Runs an action in a room, or a batch of up to 100 in their order, each with an outcome of its own. The key needs the scope of the action: direct for direct:send, history for room:history, rooms for other actions of rooms, publish for all else.",
		},
		{
			method: http.MethodPost, path: Prefix + "direct", scope: ScopeDirect, status: http.StatusOK, action: actionDirect, handle: (*API).direct,
			doc: "Sends a message to a user, or to a device of a user. With as_user a copy of what goes to a user is in that one's own room too.",
			body: event.Payload{
				{Name: "to", Kind: event.String, Required: true, Format: "user", Doc: "who gets it"},
				{Name: "device", Kind: event.String, Format: "user", Doc: "only this device of the user, and only if it is there now"},
				{Name: "text", Kind: event.String, Max: 8 << 10, Doc: "for people"},
				{Name: "body", Kind: event.Any, Max: 32 << 10, Doc: "any JSON, for programs"},
				meta(event.Object, "passed on"),
				{Name: "ttl_ms", Kind: event.Int, Min: 1, Max: 7 * 24 * 3600 * 1000, Doc: "not delivered when this time is over"},
				idField(), asUser(),
			},
		},
	}
}

func aboutRooms() []route {
	name := event.Field{Name: "name", Kind: event.String, Max: 200, Doc: "for people"}
	role := roleField()
	return []route{
		{
			method: http.MethodGet, path: Prefix + "rooms", scope: ScopeRooms, status: http.StatusOK, handle: (*API).roomsOf,
			doc: "Lists the rooms that a user is a member of, in the order of their names.",
			params: event.Payload{
				{Name: "user", Kind: event.String, Required: true, Format: "user", Doc: "whose"},
				{Name: "limit", Kind: event.Int, Min: 1, Max: maxRooms, Doc: "at most so many; 100 if left out"},
			},
			reply: event.Payload{
				{Name: "rooms", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.String}},
				{Name: "more", Kind: event.Bool, Required: true, Doc: "there are others"},
			},
		},
		{
			method: http.MethodGet, path: ofRoom, scope: ScopeRooms, status: http.StatusOK, handle: (*API).readRoom,
			doc: "Tells what a room is called, and where its stream is.",
			reply: event.Payload{
				{Name: "room", Kind: event.String, Required: true},
				name, meta(event.Object, "the tenant's own"),
				{Name: "creator", Kind: event.String, Doc: "left out if the server made the room"},
				{Name: "created_at", Kind: event.Int, Doc: "Unix milliseconds"},
				{Name: "epoch", Kind: event.String, Required: true, Doc: "empty for a room without events"},
				{Name: "offset", Kind: event.Int, Required: true, Doc: "the newest position"},
				{Name: "messages", Kind: event.Int, Required: true, Doc: "messages that it has had in this epoch"},
			},
		},
		{
			method: http.MethodPost, path: ofRoom, scope: ScopeRooms, status: http.StatusCreated, action: "room:create", handle: (*API).createRoom,
			doc:  "Makes a room of a type with members. With as_user that user is its owner, without it has none.",
			body: event.Payload{userList("members", "users who are members from the start", false, maxUsers), name, meta(event.Object, "the tenant's own"), idField(), asUser()},
		},
		{
			method: http.MethodPatch, path: ofRoom, scope: ScopeRooms, status: http.StatusOK, action: "room:update", handle: (*API).updateRoom,
			doc: "Changes what a room is called and who is in it, all of it or nothing.",
			body: event.Payload{
				name, meta(event.Any, "an object, in place of the one before; null for none"),
				userList("add", "users who become members", false, maxUsers), userList("remove", "users who are members no longer", false, maxUsers),
				{Name: "roles", Kind: event.Map, Max: maxUsers, Format: "user", Elem: &role, Doc: "by user"},
				idField(), asUser(),
			},
		},
		{
			method: http.MethodDelete, path: ofRoom, scope: ScopeRooms, status: http.StatusOK, action: "room:delete", handle: (*API).deleteRoom,
			doc: "Deletes a room with members, and all that was said in it.", params: event.Payload{idField(), asUser()},
		},
	}
}

func roleField() event.Field {
	return event.Field{Kind: event.String, Enum: []string{"owner", "moderator", "member"}}
}

func insideRooms() []route {
	role := roleField()
	role.Name, role.Doc = "role", "of all of them; member if left out, and then who is a member stays as it is"
	limit := event.Field{Name: "limit", Kind: event.Int, Min: 1, Max: 200, Doc: "at most so many; 50 if left out"}
	return []route{
		{
			method: http.MethodGet, path: ofRoom + "/members", scope: ScopeRooms, status: http.StatusOK, handle: (*API).members,
			doc: "Pages through a room's members, in the order of their names.",
			params: event.Payload{
				{Name: "after", Kind: event.String, Max: 128, Doc: "the last name of the page before"}, limit, asUser(),
			},
			reply: event.Payload{
				{Name: "members", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.Object, Fields: event.Payload{
					{Name: "user", Kind: event.String, Required: true}, {Name: "role", Kind: event.String, Required: true},
					{Name: "joined_at", Kind: event.Int, Required: true, Doc: "Unix milliseconds"},
				}}},
				{Name: "next", Kind: event.String, Doc: "after for the next page; left out on the last"},
			},
		},
		{
			method: http.MethodPost, path: ofRoom + "/members", scope: ScopeRooms, status: http.StatusOK, action: "room:update", handle: (*API).addMembers,
			doc: "Makes users members.", body: event.Payload{userList("users", "who", true, maxUsers), role, idField(), asUser()},
		},
		{
			method: http.MethodDelete, path: ofRoom + "/members", scope: ScopeRooms, status: http.StatusOK, action: "room:update", handle: (*API).removeMembers,
			doc: "Ends memberships.", params: event.Payload{userList("user", "who; may be there several times", true, maxUsers), idField(), asUser()},
		},
		{
			method: http.MethodGet, path: ofRoom + "/history", scope: ScopeHistory, status: http.StatusOK, handle: (*API).history,
			doc: "Reads a page of a room's stream, oldest event first: the newest, or what lies before or after an offset.",
			params: event.Payload{
				{Name: "before", Kind: event.Int, Min: 1, Max: event.MaxOffset, Doc: "events below this offset"},
				{Name: "after", Kind: event.Int, Max: event.MaxOffset, Doc: "events above this offset; not with before"},
				limit, asUser(),
			},
			reply: event.Payload{
				{Name: "events", Kind: event.Array, Required: true, Doc: "envelopes of the protocol", Elem: &event.Field{Kind: event.Object}},
				{Name: "epoch", Kind: event.String, Required: true},
				{Name: "more", Kind: event.Bool, Required: true, Doc: "there is more in that direction"},
			},
		},
	}
}
