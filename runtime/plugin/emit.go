package plugin

import (
	"context"
	"fmt"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// actionMessage is the one action of a builtin that plugins may emit.
const actionMessage = "message:send"

// emitted is the effect of an emit, checked as the server's own event would be.
func (s *Service) emitted(ctx context.Context, tenant string, a *hostapi.Action) (event.Effect, error) {
	name, action := string(a.A), string(a.B)
	e := event.Effect{Envelope: event.Envelope{
		Type: event.TypeEvent, Tenant: tenant, Room: name, Action: action, Data: a.C, Timestamp: s.deps.Now().UnixMilli(),
	}}
	if err := validate.RoomName(name); err != nil {
		return e, fmt.Errorf("%.200q is no room", name)
	}
	_, t, err := s.deps.Rooms.Resolve(name)
	if err != nil {
		return e, err
	}
	if err := s.emittable(action, a.C); err != nil {
		return e, err
	}
	if gone, err := s.deps.Rooms.Deleted(ctx, tenant, name); err != nil {
		return e, err
	} else if gone {
		return e, fmt.Errorf("there is no room %s", name)
	}
	if len(a.D) > 0 {
		return s.direct(e, string(a.D))
	}
	e.Unread = action == actionMessage
	if a.Flags&hostapi.EmitDurable != 0 {
		if !t.Stream {
			return e, fmt.Errorf("rooms of the type of %s keep no stream: the event cannot be durable", name)
		}
		e.Durable, e.Type = true, event.TypeMessage
	}
	return e, nil
}

// emittable refuses actions that builtins speak, but for messages.
func (s *Service) emittable(action string, data []byte) error {
	spec := s.specs[action]
	switch {
	case spec == nil && !s.Taken(action) && event.IsAction(action):
		if !object(data) {
			return fmt.Errorf("the payload of %.200s is not a JSON object", action)
		}
		return nil
	case action != actionMessage:
		return fmt.Errorf("%.200q is no action that a plugin emits: it has a noun of a builtin's, or is not noun:verb", action)
	}
	return validate.Payload(spec.Payload, data, func(int, []byte) {})
}

// direct is an event for one device of a user, at once.
func (s *Service) direct(e event.Effect, device string) (event.Effect, error) {
	if room.TypeOf(e.Room) != room.UserType || room.Base(e.Room) != e.Room {
		return e, fmt.Errorf("a device is named, and %s is no user's own room", e.Room)
	}
	env, user := e.Envelope, e.Room[len(room.UserType)+1:]
	return event.Effect{Kind: event.Perform, Do: func() { s.deps.Direct(&env, user, device) }}, nil
}

// Taken reports whether an action is a builtin's, or has a noun of theirs: a plugin
// cannot own it.
func (s *Service) Taken(action string) bool { return s.nouns[event.Noun(action)] }
