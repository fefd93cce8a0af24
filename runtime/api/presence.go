package api

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

const (
	maxUsers     = 100  // of a query, and of what changes a room
	maxPresences = 1000 // of a body
	defaultPage  = 50
)

func (a *API) presence(ctx context.Context, c *call) (any, error) { return a.statuses(ctx, c, "user") }

func (a *API) presences(ctx context.Context, c *call) (any, error) {
	return a.statuses(ctx, c, "users")
}

func (a *API) statuses(ctx context.Context, c *call, argument string) (any, error) {
	if a.deps.Presence == nil {
		return nil, missing("presence")
	}
	list, err := a.deps.Presence.Presence(ctx, c.tenant, c.list(argument))
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []Status{}
	}
	return map[string][]Status{"users": list}, nil
}

// present tells who is in a room. Rooms that sessions could not watch have nobody.
func (a *API) present(ctx context.Context, c *call) (any, error) {
	if a.deps.Presence == nil {
		return nil, missing("presence")
	}
	n, t, err := a.deps.Rooms.Resolve(c.room)
	if err != nil {
		return nil, err
	}
	if n.Part != room.Whole || n.Type == room.UserType {
		return nil, fault.New(fault.Invalid, "room", "must be a room, not a part of one; users are asked for by their names")
	}
	if _, _, err := a.deps.Rooms.Resolve(c.room + "/" + room.FeaturePresence); err != nil {
		return nil, fault.New(fault.NotFound, "room", "rooms of this type have no presence")
	}
	if t.Members {
		if _, err := existing(ctx, a.deps.Reader, c.tenant, c.room); err != nil {
			return nil, err
		}
	}
	return a.deps.Presence.Present(ctx, c.tenant, c.room, c.str("after"), c.whole("limit", defaultPage))
}
