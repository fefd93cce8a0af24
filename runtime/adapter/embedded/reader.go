package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Room is a room's row (room.Reader).
func (s *Store) Room(ctx context.Context, tenant, id string) (room.Info, bool, error) {
	info := room.Info{Tenant: tenant, ID: id}
	ok, err := s.get(appendKey(nil, tableRoom, tenant, id), func(v []byte) error { return codec.DecodeInfo(v, &info) })
	if err == nil {
		err = s.unsynced.awaitRoom(ctx, name{tenant, id})
	}
	if !ok || err != nil {
		return room.Info{}, false, err
	}
	return info, true, nil
}

// Member is a user's row in a room (room.Reader).
func (s *Store) Member(ctx context.Context, tenant, id, user string) (room.Member, bool, error) {
	m := room.Member{User: user}
	ok, err := s.get(appendKey(nil, tableMember, tenant, id, user), func(v []byte) error { return codec.DecodeMember(v, &m) })
	if err == nil {
		err = s.unsynced.awaitRoom(ctx, name{tenant, id})
	}
	if !ok || err != nil {
		return room.Member{}, false, err
	}
	return m, true, nil
}

// Members pages through a room's members by name (room.Reader).
func (s *Store) Members(ctx context.Context, tenant, id, after string, limit int) ([]room.Member, error) {
	var out []room.Member
	prefix := appendKey(nil, tableMember, tenant, id)
	err := s.scan(ctx, prefix, after, 3, func(user string, v []byte) (bool, error) {
		if user == after || len(out) == limit {
			return user == after && limit > 0, nil
		}
		m := room.Member{User: user}
		if err := codec.DecodeMember(v, &m); err != nil {
			return false, err
		}
		out = append(out, m)
		return true, nil
	})
	if err == nil {
		err = s.unsynced.awaitRoom(ctx, name{tenant, id})
	}
	return out, err
}

// RoomsOf lists a user's rooms by name (room.Reader).
func (s *Store) RoomsOf(ctx context.Context, tenant, user string, limit int) ([]string, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	all, err := s.recent.list(name{tenant, user}, func() (out []string, err error) {
		err = s.scan(ctx, appendKey(nil, tableMemberOf, tenant, user), "", 3, func(id string, _ []byte) (bool, error) {
			out = append(out, id)
			return len(out) < maxRooms, nil
		})
		if err == nil {
			err = s.unsynced.awaitUser(ctx, name{tenant, user})
		}
		return out, err
	})
	return append([]string(nil), all[:min(limit, len(all))]...), err
}

// maxRooms is how many rooms of one user are ever listed.
const maxRooms = 100_000

// scan hands the rows below a prefix to use, from one whose last field is from on,
// until use returns false. fields is how many text fields a key has.
func (s *Store) scan(ctx context.Context, prefix []byte, from string, fields int, use func(last string, value []byte) (bool, error)) error {
	if err := s.alive(); err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendEnd(nil, prefix)})
	if err != nil {
		return fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	defer it.Close()
	seek := prefix
	if from != "" {
		seek = appendField(append([]byte(nil), prefix...), from)
	}
	for ok := it.SeekGE(seek); ok; ok = it.Next() {
		last, readable := lastField(it.Key(), fields)
		value, err := it.ValueAndErr()
		if err != nil {
			break // it.Error tells
		}
		more, err := false, codec.ErrCorrupt
		if readable {
			more, err = use(last, value)
		}
		if err != nil {
			return fault.Wrap("embedded.read", fault.Internal, err)
		}
		if err := ctx.Err(); err != nil {
			return fault.Wrap("embedded.read", fault.Timeout, err)
		}
		if !more {
			return nil
		}
	}
	return fault.Wrap("embedded.read", fault.Unavailable, it.Error())
}

// Marker is the further one of what a user has sent and read (room.Reader). Of two
// lives of the room, the present one counts.
func (s *Store) Marker(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	sent, err := s.marker(tableSent, tenant, user, id)
	if err != nil {
		return room.Marker{}, err
	}
	read, err := s.marker(tableRead, tenant, user, id)
	if err != nil {
		return room.Marker{}, err
	}
	further := sent
	if sent.Epoch == read.Epoch {
		if read.Offset > sent.Offset {
			further = read
		}
	} else if sent.Offset == 0 {
		further = read
	} else if read.Offset > 0 {
		h, err := s.Head(ctx, tenant, id)
		if err != nil {
			return room.Marker{}, err
		}
		if read.Epoch == h.Epoch {
			further = read
		}
	}
	// What was read is told by a record of the user's own room.
	for _, n := range [...]name{{tenant, id}, {tenant, room.OfUser(user)}} {
		if err := s.unsynced.awaitRoom(ctx, n); err != nil {
			return room.Marker{}, err
		}
	}
	return further, nil
}

func (s *Store) marker(table byte, tenant, user, id string) (room.Marker, error) {
	return s.markerAt(appendKey(nil, table, tenant, id, user))
}

func (s *Store) markerAt(key []byte) (m room.Marker, err error) {
	_, err = s.get(key, func(v []byte) error {
		m, err = codec.DecodeMarker(v)
		return err
	})
	return m, err
}
