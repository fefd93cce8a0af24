package api

import (
	"net/http"

	"github.com/heddle-rt/heddle/runtime/event"
)

// statusFields are the members of Status.
func statusFields() event.Payload {
	return event.Payload{
		{Name: "user", Kind: event.String, Required: true},
		{Name: "status", Kind: event.String, Required: true, Enum: []string{"online", "away", "dnd", "offline"}, Doc: "offline also of who is invisible"},
		{Name: "text", Kind: event.String}, {Name: "emoji", Kind: event.String}, {Name: "data", Kind: event.Object},
		{Name: "since", Kind: event.Int, Doc: "Unix milliseconds: when status, text, emoji and data became so; left out if that is not known"},
		{Name: "devices", Kind: event.Int, Doc: "how many; left out of who is offline"},
	}
}

func statusList(required bool, doc string) event.Field {
	return event.Field{Name: "users", Kind: event.Array, Required: required, Doc: doc, Elem: &event.Field{Kind: event.Object, Fields: statusFields()}}
}

func aboutPresence() []route {
	const doc = "Tells how users are seen by others now; nothing is known of a user without a session but that it is offline."
	reply := event.Payload{statusList(true, "in the order in which they were asked for")}
	return []route{
		{
			method: http.MethodGet, path: Prefix + "presence", scope: ScopePresence, status: http.StatusOK, handle: (*API).presence,
			doc: doc, params: event.Payload{userList("user", "who; may be there several times", true, maxUsers)}, reply: reply,
		},
		{
			method: http.MethodPost, path: Prefix + "presence", scope: ScopePresence, status: http.StatusOK, handle: (*API).presences,
			doc: doc + " For long lists.", body: event.Payload{userList("users", "who", true, maxPresences)}, reply: reply,
		},
		{
			method: http.MethodGet, path: ofRoom + "/presence", scope: ScopePresence, status: http.StatusOK, handle: (*API).present,
			doc: "Pages through the users who are present in a room, in the order of their names, as others see them, and tells how many there are. In rooms whose type tells counts alone there are no names.",
			params: event.Payload{
				{Name: "after", Kind: event.String, Max: event.MaxName, Doc: "the last name of the page before"},
				{Name: "limit", Kind: event.Int, Min: 1, Max: 200, Doc: "at most so many; 50 if left out"},
			},
			reply: event.Payload{
				statusList(false, "left out where only counts are told"),
				{Name: "next", Kind: event.String, Doc: "after for the next page; left out on the last"},
				{Name: "online", Kind: event.Int, Required: true, Doc: "how many are, on all pages"},
				{Name: "away", Kind: event.Int, Required: true, Doc: "likewise"},
				{Name: "dnd", Kind: event.Int, Required: true, Doc: "likewise"},
			},
		},
	}
}

func aboutSessions() []route {
	user := event.Field{Name: "user", Kind: event.String, Format: "user", Doc: "whose"}
	device := event.Field{Name: "device", Kind: event.String, Format: "user", Doc: "only this device of the user"}
	session := event.Field{Name: "session", Kind: event.String, Min: 1, Max: 64, Doc: "id of a session"}
	return []route{
		{
			method: http.MethodGet, path: Prefix + "connections", scope: ScopeConnections, status: http.StatusOK, handle: (*API).connections,
			doc: "Pages through those connections of the tenant's users to this node that have an open session, in the order of the sessions' ids. Without user or session, the node looks through all of its connections, and every 2,000 of them cost the key as much as a request.",
			params: event.Payload{
				user, device, session,
				{Name: "after", Kind: event.String, Max: 64, Doc: "next of the page before"},
				{Name: "limit", Kind: event.Int, Min: 1, Max: maxConnections, Doc: "at most so many; 100 if left out"},
			},
			reply: event.Payload{
				{Name: "connections", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.Object, Fields: connectionFields()}},
				{Name: "next", Kind: event.String, Doc: "after for the next page; left out on the last"},
			},
		},
		{
			method: http.MethodPost, path: Prefix + "disconnect", scope: ScopeDisconnect, status: http.StatusOK, handle: (*API).disconnect,
			doc: "Ends a user's connections to this node, those of one device, or the one of a session. With reconnect they are closed with 4008, and the clients come back and resume; without, with 4410: the sessions are over, and the clients do not come back by themselves. To keep somebody out, revoke first.",
			body: event.Payload{
				user, device, session,
				{Name: "reconnect", Kind: event.Bool, Doc: "the clients are to come back"},
			},
			reply: event.Payload{{Name: "disconnected", Kind: event.Int, Required: true, Doc: "how many connections were told; 0 if there is no such user, device or session"}},
		},
		{
			method: http.MethodPost, path: Prefix + "revoke", scope: ScopeRevoke, status: http.StatusOK, handle: (*API).revoke,
			doc:   "Makes one token, or all tokens of a user or device that were issued until now, worthless, and closes the sessions that they opened. Tokens without iat count as issued before, also new ones.",
			body:  event.Payload{user, device, {Name: "token_id", Kind: event.String, Min: 1, Max: 128, Doc: "the token's claim jti"}},
			reply: event.Payload{{Name: "revoked", Kind: event.Bool, Required: true}},
		},
	}
}

func connectionFields() event.Payload {
	return event.Payload{
		{Name: "session", Kind: event.String, Required: true}, {Name: "user", Kind: event.String, Required: true},
		{Name: "device", Kind: event.String}, {Name: "state", Kind: event.String, Required: true, Doc: "syncing, active or draining"},
		{Name: "node", Kind: event.String, Required: true}, {Name: "transport", Kind: event.String, Required: true},
		{Name: "remote", Kind: event.String, Required: true, Doc: "address and port"}, {Name: "agent", Kind: event.String, Doc: "the client's User-Agent"},
		{Name: "opened_at", Kind: event.Int, Required: true, Doc: "Unix milliseconds"},
		{Name: "rooms", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.String}},
		{Name: "attributes", Kind: event.Object, Doc: "as the client gave them"},
	}
}
