package api

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

const (
	defaultRooms = 100
	maxRooms     = 1000
)

// Room is what is known of a room.
type Room struct {
	Room     string          `json:"room"`
	Name     string          `json:"name,omitempty"`
	Meta     json.RawMessage `json:"meta,omitempty"`
	Creator  string          `json:"creator,omitempty"`
	Created  int64           `json:"created_at,omitempty"` // Unix milliseconds
	Epoch    string          `json:"epoch"`                // empty for a room without events
	Offset   uint64          `json:"offset"`
	Messages uint64          `json:"messages"`
}

func (a *API) readRoom(ctx context.Context, c *call) (any, error) {
	n, t, err := a.deps.Rooms.Resolve(c.room)
	if err != nil {
		return nil, err
	}
	out := Room{Room: c.room}
	if t.Members {
		info, err := existing(ctx, a.deps.Reader, c.tenant, n.Base)
		if err != nil {
			return nil, err
		}
		out.Name, out.Meta, out.Creator, out.Created = info.Name, info.Meta, info.Creator, info.Created
	}
	head, err := a.deps.History.Head(ctx, c.tenant, c.room)
	if err != nil {
		return nil, fault.Wrap("api.room", fault.Unavailable, err)
	}
	out.Epoch, out.Offset, out.Messages = head.Epoch, head.Offset, head.Messages
	return out, nil
}

// existing finds a room with members.
func existing(ctx context.Context, r Reader, tenant, name string) (room.Info, error) {
	info, found, err := r.Room(ctx, tenant, name)
	switch {
	case err != nil:
		return info, fault.Wrap("api.room", fault.Unavailable, err)
	case !found:
		return info, fault.New(fault.NotFound, "room", "there is no such room")
	}
	return info, nil
}

// roomsOf lists the rooms that a user is a member of.
func (a *API) roomsOf(ctx context.Context, c *call) (any, error) {
	limit := c.whole("limit", defaultRooms)
	list, err := a.deps.Reader.RoomsOf(ctx, c.tenant, c.str("user"), limit+1)
	if err != nil {
		return nil, fault.Wrap("api.rooms", fault.Unavailable, err)
	}
	return struct {
		Rooms []string `json:"rooms"`
		More  bool     `json:"more"`
	}{append([]string{}, list[:min(len(list), limit)]...), len(list) > limit}, nil
}

func (a *API) createRoom(ctx context.Context, c *call) (any, error) {
	return a.do(ctx, c, "room:create", c.object("members", "name", "meta"))
}

func (a *API) updateRoom(ctx context.Context, c *call) (any, error) {
	return a.do(ctx, c, "room:update", c.object("name", "meta", "add", "remove", "roles"))
}

func (a *API) deleteRoom(ctx context.Context, c *call) (any, error) {
	return a.do(ctx, c, "room:delete", []byte("{}"))
}

func (a *API) members(ctx context.Context, c *call) (any, error) {
	return a.ask(ctx, c, "room:members", c.object("after", "limit"))
}

// change is the data of a room:update that is about members.
type change struct {
	Add    []string          `json:"add,omitempty"`
	Remove []string          `json:"remove,omitempty"`
	Roles  map[string]string `json:"roles,omitempty"`
}

func (a *API) addMembers(ctx context.Context, c *call) (any, error) {
	ch := change{Add: c.list("users")}
	if role := c.str("role"); role != "" {
		ch.Roles = map[string]string{}
		for _, user := range ch.Add {
			ch.Roles[user] = role
		}
	}
	data, err := json.Marshal(ch)
	if err != nil {
		return nil, err
	}
	return a.do(ctx, c, "room:update", data)
}

func (a *API) removeMembers(ctx context.Context, c *call) (any, error) {
	data, err := json.Marshal(change{Remove: c.list("user")})
	if err != nil {
		return nil, err
	}
	return a.do(ctx, c, "room:update", data)
}

func (a *API) history(ctx context.Context, c *call) (any, error) {
	return a.ask(ctx, c, actionHistory, c.object("before", "after", "limit"))
}

func (a *API) direct(ctx context.Context, c *call) (any, error) {
	return a.do(ctx, c, actionDirect, c.object("to", "device", "text", "body", "meta", "ttl_ms"))
}
