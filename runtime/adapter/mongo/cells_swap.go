package mongo

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// SwapCells changes cells if others are as they were (cell.Store).
func (s *Store) SwapCells(ctx context.Context, tenant, name string, was, put []cell.Cell) (ok bool, err error) {
	c, err := s.change(ctx, tenant, name, put)
	if err != nil {
		return false, err
	}
	const tries = 10
	for range tries {
		filter, as, err := s.as(ctx, tenant, name, was)
		if err != nil || !as || len(c.update) == 0 {
			return as, errors.Join(err, s.forget(ctx, c.blobs))
		}
		found, err := s.swap(ctx, filter, c, fresh(was))
		if found || err != nil && !isDuplicate(err) {
			return found, wrap("cells", err)
		}
		s.counters.retries.Add(1) // the table has changed since, perhaps in other cells
	}
	return false, s.forget(ctx, c.blobs)
}

// fresh reports whether cells may be those of a table that is not there yet.
func fresh(was []cell.Cell) bool {
	return !slices.ContainsFunc(was, func(c cell.Cell) bool { return c.Value != nil })
}

// swap makes a change, if its filter finds the table; first: or if there is none.
func (s *Store) swap(ctx context.Context, filter bson.D, c *change, first bool) (found bool, err error) {
	defer s.timed(&s.counters.writes)()
	var had table
	err = s.cells.FindOneAndUpdate(ctx, filter, c.update, options.FindOneAndUpdate().SetUpsert(first)).Decode(&had)
	switch {
	case errors.Is(err, driver.ErrNoDocuments):
		return first, nil
	case err != nil:
		return false, err
	}
	return true, s.forget(ctx, c.replaces(&had))
}

// there is the condition that a field is there, or not.
func there(is bool) bson.D { return bson.D{{Key: "$exists", Value: is}} }

// as is what a table is found by whose cells are as was says; false: they are not.
func (s *Store) as(ctx context.Context, tenant, name string, was []cell.Cell) (filter bson.D, ok bool, err error) {
	filter = byID(key(tenant, name))
	if len(was) == 0 {
		return filter, true, nil
	}
	fields := bson.D{}
	for _, c := range was {
		fields = append(fields, bson.E{Key: fieldCells + "." + cellName(c.Key), Value: 1})
	}
	var t table
	err = s.each(ctx, s.cells, filter, func(raw bson.Raw) (bool, error) {
		return false, bson.Unmarshal(raw, &t)
	}, options.Find().SetProjection(fields))
	if err != nil {
		return nil, false, err
	}
	for i, c := range was {
		v, found := t.Cells[cellName(c.Key)]
		if found != (c.Value != nil) {
			return nil, false, nil
		}
		if !found {
			filter = append(filter, bson.E{Key: fields[i].Key, Value: there(false)})
			continue
		}
		if is, err := s.is(ctx, &t, c); !is {
			return nil, false, err
		}
		filter = append(filter, v.condition(fields[i].Key)...)
	}
	return filter, true, nil
}

// is reports whether a cell that is there has a value.
func (s *Store) is(ctx context.Context, t *table, c cell.Cell) (bool, error) {
	list, err := s.load(ctx, t, []string{c.Key})
	return len(list) == 1 && bytes.Equal(list[0].Value, c.Value), err
}

// condition is that a field has the value.
func (v *value) condition(field string) bson.D {
	switch {
	case v.There != "":
		return bson.D{{Key: field + ".there", Value: v.There}}
	case len(v.Here) == 0:
		return bson.D{{Key: field, Value: there(true)}, {Key: field + ".here", Value: there(false)}, {Key: field + ".there", Value: there(false)}}
	}
	return bson.D{{Key: field + ".here", Value: v.Here}}
}
