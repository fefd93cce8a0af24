package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/heddle-rt/heddle/runtime/room"
)

// Room is a room's row (room.Reader).
func (s *Store) Room(ctx context.Context, tenant, id string) (room.Info, bool, error) {
	var d document
	if _, err := s.one(ctx, s.rooms, key(tenant, id), &d); err != nil || !d.counts(d.end()) {
		return room.Info{}, false, err
	}
	r := d.Row
	return room.Info{Tenant: tenant, ID: id, Created: int64(r.Created), Creator: r.Creator, Name: r.Name, Meta: r.Meta}, true, nil
}

// end is where a room was deleted last.
func (d *document) end() int64 {
	if d.Ended == nil {
		return never
	}
	return d.Ended.At
}

// ended is the same of a room that was not read.
func (s *Store) ended(ctx context.Context, tenant, id string) (int64, error) {
	var d document
	_, err := s.one(ctx, s.rooms, key(tenant, id), &d)
	return d.end(), err
}

// row reads a row about a room.
func (s *Store) row(ctx context.Context, c *driver.Collection, tenant, id string, fields ...string) (row, bool, error) {
	var d document
	if found, err := s.one(ctx, c, key(append([]string{tenant, id}, fields...)...), &d); err != nil || !found {
		return row{}, false, err
	}
	end, err := s.ended(ctx, tenant, id)
	if err != nil || !d.counts(end) {
		return row{}, false, err
	}
	return *d.Row, true, nil
}

// list hands the rows of a span about a room to a function, in their order.
func (s *Store) list(ctx context.Context, c *driver.Collection, tenant, id string, of span, limit int, use func(*document) error) error {
	end, err := s.ended(ctx, tenant, id)
	if err != nil {
		return err
	}
	there := of.filter(
		bson.E{Key: rowAt, Value: bson.D{{Key: "$gt", Value: end}}},
		bson.E{Key: rowGone, Value: bson.D{{Key: "$exists", Value: false}}})
	return s.each(ctx, c, there, func(raw bson.Raw) (bool, error) {
		var d document
		if err := bson.Unmarshal(raw, &d); err != nil {
			return false, err
		}
		return true, use(&d)
	}, ascending(limit))
}

// Member is a user's row in a room (room.Reader).
func (s *Store) Member(ctx context.Context, tenant, id, user string) (room.Member, bool, error) {
	r, found, err := s.row(ctx, s.members, tenant, id, user)
	if !found || err != nil {
		return room.Member{}, false, err
	}
	return r.member(user), true, nil
}

func (r *row) member(user string) room.Member {
	return room.Member{User: user, Role: r.Role, Joined: int64(r.Joined)}
}

// Members pages through a room's members by name (room.Reader).
func (s *Store) Members(ctx context.Context, tenant, id, after string, limit int) (out []room.Member, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = s.list(ctx, s.members, tenant, id, under(tenant, id).behind(after), limit, func(d *document) error {
		user, err := lastField(d.ID)
		out = append(out, d.Row.member(user))
		return err
	})
	return out, err
}

// rowRoom is the kind of the rows of a user's own room that say which rooms the user is
// a member of; their keys are the rooms.
const rowRoom = "room"

// RoomsOf lists a user's rooms by name (room.Reader).
func (s *Store) RoomsOf(ctx context.Context, tenant, user string, limit int) (out []string, err error) {
	rows, err := s.Rows(ctx, tenant, room.OfUser(user), rowRoom, "", limit)
	for i := range rows {
		out = append(out, rows[i].Key)
	}
	return out, err
}

// Sent is how far a user has sent in a room.
func (s *Store) Sent(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	return s.marker(ctx, key(tenant, id, user, markerSent))
}

// Read is how far a user says to have read in a room.
func (s *Store) Read(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	return s.marker(ctx, key(tenant, id, user, markerRead))
}

func (s *Store) marker(ctx context.Context, id string) (room.Marker, error) {
	var d document
	if found, err := s.one(ctx, s.markers, id, &d); err != nil || !found || d.Row == nil {
		return room.Marker{}, err
	}
	return d.Row.marker(), nil
}

// Marker is the further one of what a user has sent and read (room.Reader). Of two lives
// of the room, the present one counts.
func (s *Store) Marker(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	sent, err := s.Sent(ctx, tenant, user, id)
	if err != nil {
		return room.Marker{}, err
	}
	read, err := s.Read(ctx, tenant, user, id)
	switch {
	case err != nil:
		return room.Marker{}, err
	case read.Offset == 0, sent.Epoch == read.Epoch && read.Offset <= sent.Offset:
		return sent, nil
	case sent.Offset == 0, sent.Epoch == read.Epoch:
		return read, nil
	}
	h, err := s.Head(ctx, tenant, id)
	if err != nil {
		return room.Marker{}, err
	}
	if read.Epoch == h.Epoch {
		return read, nil
	}
	return sent, nil
}
