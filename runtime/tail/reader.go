package tail

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/room"
)

// Room is a room's row (room.Reader).
func (t *Tail) Room(ctx context.Context, tenant, id string) (room.Info, bool, error) {
	v, err := t.point(ctx, name{tenant, id}, key{table: tableInfo}, func(ctx context.Context) (any, int, error) {
		i, found, err := t.base.Room(ctx, tenant, id)
		return ifAny(i, found), len(i.Creator) + len(i.Name) + len(i.Meta), err
	})
	i, found := v.(room.Info)
	return i, found, err
}

// ifAny is nil for what was not found.
func ifAny(v any, found bool) any {
	if !found {
		return nil
	}
	return v
}

// Member is a user's row in a room (room.Reader).
func (t *Tail) Member(ctx context.Context, tenant, id, user string) (room.Member, bool, error) {
	n, k := name{tenant, id}, memberKey(user)
	if a := t.look(n, k); !a.known { // the others will be asked for too
		if err := t.learnWhole(ctx, n, listing{table: tableMember}, t.members(n)); err != nil {
			return room.Member{}, false, err
		}
	}
	v, err := t.point(ctx, n, k, func(ctx context.Context) (any, int, error) {
		m, found, err := t.base.Member(ctx, tenant, id, user)
		return ifAny(m, found), len(m.Role), err
	})
	m, found := v.(room.Member)
	return m, found, err
}

// Members pages through a room's members by name (room.Reader).
func (t *Tail) Members(ctx context.Context, tenant, id, after string, limit int) ([]room.Member, error) {
	n := name{tenant, id}
	items, err := t.page(ctx, n, listing{table: tableMember}, after, limit, t.members(n))
	out := make([]room.Member, len(items))
	for i := range items {
		out[i] = items[i].value.(room.Member)
	}
	return out, err
}

func (t *Tail) members(n name) lister {
	return func(ctx context.Context, after string, limit int) ([]item, error) {
		members, err := t.base.Members(ctx, n.tenant, n.room, after, limit)
		out := make([]item, len(members))
		for i, m := range members {
			out[i] = item{memberKey(m.User), m, len(m.Role)}
		}
		return out, err
	}
}

// RoomsOf lists a user's rooms by name (room.Reader), as the user's own room tells them.
func (t *Tail) RoomsOf(ctx context.Context, tenant, user string, limit int) ([]string, error) {
	rows, err := t.Rows(ctx, tenant, room.OfUser(user), rowRoom, "", limit)
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].Key
	}
	return out, err
}

// Marker is the further one of what a user has sent and read (room.Reader). Of two
// lives of the room, the present one counts. The user's own room and the other are both
// to be of this partition.
func (t *Tail) Marker(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	sent, err := t.Sent(ctx, tenant, user, id)
	if err != nil {
		return room.Marker{}, err
	}
	read, err := t.Read(ctx, tenant, user, id)
	switch {
	case err != nil:
		return room.Marker{}, err
	case sent.Epoch == read.Epoch:
		if read.Offset > sent.Offset {
			return read, nil
		}
	case sent.Offset == 0:
		return read, nil
	case read.Offset > 0:
		h, err := t.Head(ctx, tenant, id)
		if err != nil {
			return room.Marker{}, err
		}
		if read.Epoch == h.Epoch {
			return read, nil
		}
	}
	return sent, nil
}

// Sent is how far a user has sent in a room of this partition.
func (t *Tail) Sent(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	v, err := t.point(ctx, name{tenant, id}, key{table: tableSent, name: user}, func(ctx context.Context) (any, int, error) {
		m, err := t.base.Sent(ctx, tenant, user, id)
		return m, len(m.Epoch), err
	})
	m, _ := v.(room.Marker)
	return m, err
}

// Read is how far a user says to have read in a room, where the user's own room is of this
// partition.
func (t *Tail) Read(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	v, err := t.point(ctx, name{tenant, room.OfUser(user)}, key{table: tableRead, name: id}, func(ctx context.Context) (any, int, error) {
		m, err := t.base.Read(ctx, tenant, user, id)
		return readMark{Marker: m}, len(m.Epoch), err
	})
	m, _ := v.(readMark)
	return m.Marker, err
}

// Notes of a range of records (room.Notes).
func (t *Tail) Notes(ctx context.Context, tenant, id string, from, to uint64, limit int) ([]room.Note, error) {
	items, err := t.notes(ctx, name{tenant, id}, from, to, limit)
	out := make([]room.Note, len(items))
	for i := range items {
		n := &items[i]
		out[i] = room.Note{Offset: n.offset, Kind: n.kind, Key: n.name, Value: n.value.([]byte)}
	}
	return out, err
}

// Row is one row of a room (room.Notes).
func (t *Tail) Row(ctx context.Context, tenant, id, kind, key string) ([]byte, bool, error) {
	v, err := t.point(ctx, name{tenant, id}, rowKey(kind, key), func(ctx context.Context) (any, int, error) {
		value, found, err := t.base.Row(ctx, tenant, id, kind, key)
		return ifAny(value, found), len(value), err
	})
	value, found := v.([]byte)
	return value, found, err
}

// Rows pages through the rows of one kind (room.Notes).
func (t *Tail) Rows(ctx context.Context, tenant, id, kind, after string, limit int) ([]room.Row, error) {
	items, err := t.page(ctx, name{tenant, id}, listing{tableRow, kind}, after, limit, func(ctx context.Context, after string, limit int) ([]item, error) {
		rows, err := t.base.Rows(ctx, tenant, id, kind, after, limit)
		out := make([]item, len(rows))
		for i, r := range rows {
			out[i] = item{rowKey(r.Kind, r.Key), r.Value, len(r.Value)}
		}
		return out, err
	})
	out := make([]room.Row, len(items))
	for i := range items {
		out[i] = room.Row{Kind: kind, Key: items[i].name, Value: items[i].value.([]byte)}
	}
	return out, err
}
