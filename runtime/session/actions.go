package session

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Actions declares the actions of the session itself. Their handlers find the
// session, and through it its Manager, as the event's Origin.
func Actions() []event.Action {
	common := event.Payload{
		{Name: "token", Secret: true, Kind: event.String, Max: 8192, Doc: "token, if the handshake brought none: a JWT, or what the tenant's authenticator knows"},
		{Name: "device", Kind: event.String, Min: 1, Max: 128, Format: "user", Doc: "name of the device, unless the token has one"},
		{Name: "acks", Kind: event.Bool, Doc: "the client will acknowledge what it handles"},
		{Name: "attributes", Kind: event.Object, Max: 2048, Doc: "anything about the client, for operators"},
		{
			Name: "namespaces", Kind: event.Array, Max: maxNamespaces, Elem: &event.Field{Kind: event.String, Enum: spaces[:]},
			Doc: "what the session takes part in; `/` alone if left out, an empty list is none of them. A session that goes on keeps what it has",
		},
	}
	with := func(more ...event.Field) event.Payload { return append(append(event.Payload{}, common...), more...) }
	position := event.Field{Kind: event.Object, Max: 256, Fields: positionFields()}
	rooms := event.Field{Name: "rooms", Kind: event.Array, Max: 100, Elem: &event.Field{Kind: event.String, Format: "room"}}
	opening, resuming := rooms, rooms
	opening.Doc = "more rooms to join, of types without members; only with the namespace `/`"
	resuming.Doc = "as in session:open, if a new session comes of it; a session that goes on keeps what it has"
	return []event.Action{
		{
			Name: "session:open", Doc: "Opens a session; the first envelope of a connection.",
			Payload: with(opening),
			Reply:   welcomeFields(), Permission: event.BeforeSession, Rate: event.RateControl, Slow: true, Handle: open,
		},
		{
			Name: "session:resume", Doc: "Continues a session after a drop; instead of session:open.",
			Payload: with(
				event.Field{Name: "session", Kind: event.String, Required: true, Min: 1, Max: 64, Doc: "id of the session"},
				event.Field{Name: "resume_token", Secret: true, Kind: event.String, Required: true, Min: 1, Max: 128, Doc: "as the session was given"},
				event.Field{Name: "offset", Kind: event.String, Max: 64, Doc: "of clients of Socket.IO, in the place of positions: what stood behind the last durable event; empty before the first"},
				resuming,
				event.Field{Name: "positions", Kind: event.Map, Max: 1000, Format: "room", Elem: &position, Doc: "by room, the last event that was handled"}),
			Reply: append(welcomeFields(), resumeFields()...), Permission: event.BeforeSession, Rate: event.RateControl, Slow: true, Handle: resume,
		},
		{
			Name: "session:ack", Doc: "What an envelope of type ack runs as: everything up to its position was handled.",
			NeedsRoom: true, Permission: event.Participant, Rate: event.RateControl, Handle: acknowledge,
		},
		{
			Name: "session:ping", Doc: "Does nothing but being answered.",
			Permission: event.AnyUser, Rate: event.RateControl, Handle: func(context.Context, *event.Event) error { return nil },
		},
		{
			Name: "session:close", Doc: "Ends the session for good; the server then closes the connection with 1000.",
			Permission: event.AnyUser, Rate: event.RateControl, Slow: true, Handle: goodbye,
		},
		{
			Name: "session:devices", Doc: "Lists the user's devices: those connected, and those with a session that can be resumed; at most 100.",
			Reply: devicesFields(), Permission: event.AnyUser, Rate: event.RateQuery, Slow: true, Handle: listDevices,
		},
		{
			Name: "session:locate", Doc: "Tells which node commits a room's events. A client that is connected there spares them a hop; where the load balancer can choose by it, the name goes into the URL that the client connects to.",
			Reply:     event.Payload{{Name: "node", Kind: event.String, Required: true, Doc: "its name; empty while the room has none"}},
			NeedsRoom: true, Permission: event.AnyUser, Rate: event.RateQuery, Handle: locate,
		},
		{
			Name: "auth:refresh", Doc: "Gives the session a fresh token of the same user. Rooms that this one does not grant are left; rooms that it grants newly can be joined.",
			Payload: event.Payload{{Name: "token", Secret: true, Kind: event.String, Required: true, Min: 1, Max: 8192, Doc: "JWT of the same tenant and user; of the same device, if it names one"}},
			Reply: event.Payload{
				{Name: "expires_at", Kind: event.Int, Required: true, Doc: "Unix milliseconds when the token ends; 0: never"},
				{Name: "left", Kind: event.Array, Doc: "rooms that the session has left, because the token does not grant them", Elem: &event.Field{Kind: event.String}},
			},
			Permission: event.AnyUser, Rate: event.RateControl, Slow: true, Handle: refresh,
		},
	}
}

// locate tells where a room's events are committed.
func locate(_ context.Context, ev *event.Event) error {
	m := ev.Origin.(*Session).m
	node := m.deps.Node
	if m.deps.Locate != nil {
		node = m.deps.Locate(ev.Tenant, ev.Room)
	}
	data, _ := json.Marshal(map[string]string{"node": node})
	ev.Respond(data)
	return nil
}

func positionFields() event.Payload {
	return event.Payload{
		{Name: "epoch", Kind: event.String, Required: true, Max: 32},
		{Name: "offset", Kind: event.Int, Required: true, Max: event.MaxOffset},
	}
}

func welcomeFields() event.Payload {
	return event.Payload{
		{Name: "session", Kind: event.String, Required: true, Doc: "id of the session"},
		{Name: "node", Kind: event.String, Required: true, Doc: "name of the node"},
		{Name: "resume_token", Kind: event.String, Required: true, Doc: "secret that session:resume needs"},
		{Name: "resume_ttl_ms", Kind: event.Int, Required: true, Doc: "how long after a drop it may be resumed"},
		{Name: "user", Kind: event.String, Required: true, Doc: "who the token speaks for"},
		{Name: "device", Kind: event.String, Required: true, Doc: "may be empty"},
		{Name: "heartbeat_ms", Kind: event.Int, Required: true, Doc: "interval of the server's pings"},
		{Name: "max_frame_bytes", Kind: event.Int, Required: true, Doc: "longest frame that the server reads"},
		{Name: "rooms", Kind: event.Array, Required: true, Doc: "rooms joined: room, epoch, offset, unread, read_offset, member (a lasting one)", Elem: &event.Field{Kind: event.Object}},
		{Name: "refused", Kind: event.Array, Doc: "rooms not joined: room, code", Elem: &event.Field{Kind: event.Object}},
	}
}

func devicesFields() event.Payload {
	device := event.Payload{
		{Name: "device", Kind: event.String, Required: true, Doc: "empty for a session without one, each of which is listed by itself"},
		{Name: "sessions", Kind: event.Array, Required: true, Elem: &event.Field{Kind: event.String}, Doc: "ids"},
		{Name: "connected", Kind: event.Bool, Required: true},
		{Name: "active", Kind: event.Bool, Required: true, Doc: "of the user's connected devices it is the one that sent the last event, other than acks, pings and this one"},
		{Name: "since", Kind: event.Int, Required: true, Doc: "Unix milliseconds: connected since; else when its oldest session was opened"},
		{Name: "last_seen", Kind: event.Int, Required: true, Doc: "Unix milliseconds of its last event; if it is not connected, of a time when it was, at most 10 minutes before the end"},
		{Name: "transport", Kind: event.String, Required: true},
		{Name: "agent", Kind: event.String, Doc: "the client's User-Agent, at most 128 bytes"},
	}
	return event.Payload{{Name: "devices", Kind: event.Array, Required: true, Doc: "the one used last comes first", Elem: &event.Field{Kind: event.Object, Fields: device}}}
}

func resumeFields() event.Payload {
	return event.Payload{
		{Name: "recovered", Kind: event.Bool, Required: true, Doc: "the session goes on and nothing is lost"},
		{Name: "reason", Kind: event.String, Doc: "why not: session_unknown, session_mismatch, positions_lost"},
		{Name: "lost", Kind: event.Array, Doc: "rooms not replayed whole: room, reason (epoch, ahead, trimmed, uncertain)", Elem: &event.Field{Kind: event.Object}},
	}
}

// acknowledge notes how far the client has come in a room.
func acknowledge(_ context.Context, ev *event.Event) error {
	ev.Origin.(*Session).acknowledged(ev.Room, ev.Position)
	return nil
}

// goodbye deletes the record; the connection closes behind the answer.
func goodbye(ctx context.Context, ev *event.Event) error {
	if err := ev.Origin.(*Session).forget(ctx); err != nil {
		return err
	}
	ev.Emit(event.Effect{Kind: event.End})
	return nil
}
