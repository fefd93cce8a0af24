package room

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// updated is the data of room:update as it is stored: what has changed, and what
// its projection needs beside. With a name, name and meta are as they are now.
type updated struct {
	Creator string            `json:"creator,omitempty"`
	Created int64             `json:"created_at,omitempty"` // Unix milliseconds
	Add     []string          `json:"add,omitempty"`
	Remove  []string          `json:"remove,omitempty"`
	Roles   map[string]string `json:"roles,omitempty"`     // of new members and old ones
	Joined  map[string]int64  `json:"joined_at,omitempty"` // of the old ones, Unix milliseconds
	Count   *uint64           `json:"count,omitempty"`     // of members, where the type bounds them
	Name    *string           `json:"name,omitempty"`
	Meta    json.RawMessage   `json:"meta,omitempty"`
}

// updating is one room:update between what it asks for and what it does.
type updating struct {
	rooms
	ev   *event.Event
	t    room.TypeConfig
	head event.Head
	role string // of who asks
	info room.Info
	was  map[string]room.Member // of the users named, the members
	*change
	do updated
}

// update changes a room in one durable event, and tells the users concerned. All
// of it rests on the room as it was at head.
func (r rooms) update(ctx context.Context, ev *event.Event) error {
	u := &updating{rooms: r, ev: ev, was: map[string]room.Member{}}
	var err error
	if u.t, err = r.kept(ev); err != nil {
		return err
	}
	if ev.ID == "" {
		return needsID()
	}
	if u.change, err = changeOf(ev); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{u.read, u.decide, u.keepOwner, u.recount} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return u.emit(ctx)
}

// read fetches what the decision rests on, the head first.
func (u *updating) read(ctx context.Context) (err error) {
	if u.head, err = u.History.Head(ctx, u.ev.Tenant, u.ev.Room); err != nil {
		return fault.Wrap("room.update", fault.Unavailable, err)
	}
	if u.role, u.info, err = u.asks(ctx, u.ev); err != nil {
		return err
	}
	switch {
	case u.role != room.RoleOwner && u.role != room.RoleModerator:
		return fault.New(fault.Forbidden, "room", "moderators only")
	case u.role != room.RoleOwner && len(u.roles) > 0:
		return fault.New(fault.Forbidden, "data.roles", "owners only")
	}
	for _, user := range u.users() {
		m, found, err := u.Reader.Member(ctx, u.ev.Tenant, u.ev.Room, user)
		if err != nil {
			return fault.Wrap("room.update", fault.Unavailable, err)
		}
		if found {
			u.was[user] = m
		}
	}
	return nil
}

// decide finds out what changes.
func (u *updating) decide(context.Context) error {
	for _, user := range once(u.add) {
		if _, member := u.was[user]; !member {
			u.do.Add = append(u.do.Add, user)
		}
	}
	for i, user := range u.remove {
		m, member := u.was[user]
		switch {
		case !member:
		case m.Role != room.RoleMember && u.role != room.RoleOwner:
			return fault.New(fault.Forbidden, element("remove", i), "only owners remove owners and moderators")
		default:
			u.do.Remove = append(u.do.Remove, user)
		}
	}
	u.do.Remove = once(u.do.Remove)
	for _, user := range u.users() {
		role, given := u.roles[user]
		m, member := u.was[user]
		switch {
		case !given || member && m.Role == role || !member && role == room.RoleMember && slices.Contains(u.add, user):
			continue
		case !member && !slices.Contains(u.add, user):
			return fault.New(fault.NotFound, "data.roles."+user, "is not a member of this room")
		case member:
			put(&u.do.Joined, user, m.Joined)
		}
		put(&u.do.Roles, user, role)
	}
	if u.name != nil && u.ev.Str("name") != u.info.Name || u.meta != nil && !bytes.Equal(objectOf(u.meta), u.info.Meta) {
		u.do.Creator, u.do.Created = u.info.Creator, u.info.Created
	} else {
		u.name, u.meta = nil, nil
	}
	return nil
}

func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// objectOf is raw, or nothing if that is null.
func objectOf(raw []byte) []byte {
	if len(raw) > 0 && raw[0] == 'n' {
		return nil
	}
	return raw
}

// keepOwner refuses to take a room its last owner. The server may.
func (u *updating) keepOwner(ctx context.Context) error {
	field := ""
	var lost []string
	for i, user := range u.remove {
		if u.was[user].Role == room.RoleOwner {
			lost, field = append(lost, user), element("remove", i)
		}
	}
	for _, user := range u.users() {
		switch role := u.do.Roles[user]; {
		case role == room.RoleOwner:
			return nil
		case role != "" && u.was[user].Role == room.RoleOwner:
			lost, field = append(lost, user), "data.roles."+user
		}
	}
	if len(lost) == 0 || byServer(u.ev) {
		return nil
	}
	owners, err := u.Notes.Rows(ctx, u.ev.Tenant, u.ev.Room, rowOwner, "", len(lost)+1)
	if err != nil {
		return fault.Wrap("room.update", fault.Unavailable, err)
	}
	for _, o := range owners {
		if !slices.Contains(lost, o.Key) {
			return nil
		}
	}
	return u.stands(ctx, u.ev, u.head, fault.New(fault.Conflict, field, "a room keeps its last owner"))
}

// recount holds the number of members to the type's bound.
func (u *updating) recount(ctx context.Context) error {
	if u.t.MaxMembers == 0 || len(u.do.Add)+len(u.do.Remove) == 0 {
		return nil
	}
	n, err := u.count(ctx, u.ev)
	if err != nil {
		return err
	}
	n += uint64(len(u.do.Add))
	n -= min(n, uint64(len(u.do.Remove)))
	if len(u.do.Add) > 0 && n > u.t.MaxMembers {
		return u.stands(ctx, u.ev, u.head, full("data.add", &u.t))
	}
	u.do.Count = &n
	return nil
}

// emit stores the change, also one that comes to nothing: whether it is the first
// time that it is asked for, the committer knows. And it tells all who are named
// how they stand: the first try may have failed behind the change.
func (u *updating) emit(ctx context.Context) error {
	ev := u.ev
	e := about(ev, u.data())
	e.Subject, e.Seen = subjectRoom, u.head.Offset
	ev.Emit(e)
	for _, user := range once(u.add) {
		ev.Emit(told(ev, user, room.ActionAdded, u.head.Position))
	}
	for _, user := range once(u.remove) {
		ev.Emit(told(ev, user, room.ActionRemoved, event.Position{}))
	}
	for _, user := range u.users() {
		if role := u.roles[user]; role != "" {
			ev.Emit(toUser(ev, user, room.ActionChanged, room.RoleChange{Room: ev.Room, Role: role}))
		}
	}
	if u.t.EmptyTTL > 0 && len(u.remove) > 0 && len(u.add) == 0 {
		last, err := u.only(ctx, ev.Tenant, ev.Room, once(u.remove)...)
		if err != nil {
			return err
		}
		if last {
			ev.Emit(emptied(ev.Tenant, ev.Room))
		}
	}
	respond(ev)
	return nil
}

func (u *updating) data() []byte {
	name, meta := u.name, u.meta
	if name == nil && meta == nil {
		return withRaw(u.do, nil, nil)
	}
	if name == nil {
		name, _ = jsontext.AppendQuote(nil, u.info.Name)
	}
	if meta == nil {
		if meta = u.info.Meta; meta == nil {
			meta = []byte("null")
		}
	}
	return withRaw(u.do, name, meta)
}
