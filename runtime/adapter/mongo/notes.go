package mongo

import (
	"context"
	"fmt"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Notes of a range of records (room.Notes).
func (s *Store) Notes(ctx context.Context, tenant, id string, from, to uint64, limit int) (out []room.Note, err error) {
	if from > min(to, event.MaxOffset) {
		return nil, nil
	}
	err = s.list(ctx, s.notes, tenant, id, under(tenant, id).offsets(from, to), max(limit, 0), func(d *document) error {
		n, err := readNote(d)
		out = append(out, n)
		return err
	})
	return out, err
}

func readNote(d *document) (n room.Note, err error) {
	fields := fieldsOf(d.ID)
	if len(fields) != 5 {
		return n, fmt.Errorf("a note that is none: %q", d.ID)
	}
	n.Kind, n.Key, n.Value = fields[3], fields[4], d.Row.Value
	n.Offset, err = strconv.ParseUint(fields[2], 10, 64)
	return n, err
}

// Row is one row of a room (room.Notes).
func (s *Store) Row(ctx context.Context, tenant, id, kind, key string) ([]byte, bool, error) {
	r, found, err := s.row(ctx, s.rows, tenant, id, kind, key)
	return r.Value, found, err
}

// Rows pages through the rows of one kind (room.Notes).
func (s *Store) Rows(ctx context.Context, tenant, id, kind, after string, limit int) (out []room.Row, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = s.list(ctx, s.rows, tenant, id, under(tenant, id, kind).behind(after), limit, func(d *document) error {
		key, err := lastField(d.ID)
		out = append(out, room.Row{Kind: kind, Key: key, Value: d.Row.Value})
		return err
	})
	return out, err
}
