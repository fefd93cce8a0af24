package mongo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// A table of cells is one document, so that cells change together. A value that is large
// is kept beside it, in a blob that never changes. So a table may have some ten thousand
// cells, which the registry of plugins is far from.

// inline is how large a value may be that is kept in the table, in bytes.
const inline = 1 << 10

const fieldCells = "cells"

// table is a table of cells, or one of them, by the names of their fields.
type table struct {
	Cells map[string]value `bson:"cells"`
}

// value is one cell's: here, or there.
type value struct {
	Here  []byte `bson:"here,omitempty"`
	There string `bson:"there,omitempty"` // id of a blob; "": Here is it
}

type blob struct {
	ID    string `bson:"_id"`
	Value []byte `bson:"value"`
}

// cellName is the field of a cell. It begins with a letter, or else a key might be taken
// for an index.
func cellName(key string) string { return "k" + hex.EncodeToString([]byte(key)) }

// Cell is one cell (cell.Store).
func (s *Store) Cell(ctx context.Context, tenant, name, key string) ([]byte, bool, error) {
	list, err := s.readCells(ctx, tenant, name, fieldCells+"."+cellName(key), func(t *table) []string {
		if _, found := t.Cells[cellName(key)]; found {
			return []string{key}
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	return list[0].Value, true, nil
}

// Cells pages through a table (cell.Store).
func (s *Store) Cells(ctx context.Context, tenant, name, after string, limit int) ([]cell.Cell, error) {
	return s.readCells(ctx, tenant, name, fieldCells, func(t *table) (keys []string) {
		for field := range t.Cells {
			key, err := hex.DecodeString(field[1:])
			if err == nil && (after == "" || string(key) > after) {
				keys = append(keys, string(key))
			}
		}
		slices.Sort(keys)
		return keys[:min(len(keys), max(limit, 0))]
	})
}

// readCells reads a field of a table, and the cells that are chosen. A blob that is gone
// was replaced since: then the table is read again.
func (s *Store) readCells(ctx context.Context, tenant, name, field string, choose func(*table) []string) ([]cell.Cell, error) {
	const tries = 10
	for range tries {
		var t table
		err := s.each(ctx, s.cells, byID(key(tenant, name)), func(raw bson.Raw) (bool, error) {
			return false, bson.Unmarshal(raw, &t)
		}, options.Find().SetProjection(bson.D{{Key: field, Value: 1}}))
		if err != nil {
			return nil, err
		}
		keys := choose(&t)
		if out, err := s.load(ctx, &t, keys); err != nil || len(out) == len(keys) {
			return out, err
		}
	}
	return nil, fault.Wrap("mongo.cells", fault.Unavailable, fmt.Errorf("table %s of %s changes faster than it is read", name, tenant))
}

// load reads the values of cells, up to one that was replaced.
func (s *Store) load(ctx context.Context, t *table, keys []string) (out []cell.Cell, err error) {
	for _, key := range keys {
		v := t.Cells[cellName(key)]
		b := blob{Value: append([]byte{}, v.Here...)}
		if v.There != "" {
			if found, err := s.one(ctx, s.blobs, v.There, &b); err != nil || !found {
				return out, err
			}
		}
		out = append(out, cell.Cell{Key: key, Value: b.Value})
	}
	return out, nil
}

// PutCells changes cells of one table, all or none (cell.Store). What a node leaves that
// dies meanwhile is a blob that nobody asks for.
func (s *Store) PutCells(ctx context.Context, tenant, name string, cells ...cell.Cell) error {
	c, err := s.change(ctx, tenant, name, cells)
	if err != nil || len(c.update) == 0 {
		return err
	}
	var was table
	err = s.again(func() error {
		found := s.cells.FindOneAndUpdate(ctx, byID(key(tenant, name)), c.update, options.FindOneAndUpdate().SetUpsert(true))
		if err := found.Decode(&was); !errors.Is(err, driver.ErrNoDocuments) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.forget(ctx, c.replaces(&was))
}

// change is one of a table.
type change struct {
	cells  map[string]cell.Cell // by key
	update bson.D
	blobs  []string // that were made for it
}

// change has the large values of a change kept.
func (s *Store) change(ctx context.Context, tenant, name string, cells []cell.Cell) (*change, error) {
	out := &change{cells: map[string]cell.Cell{}}
	for _, c := range cells {
		out.cells[c.Key] = c
	}
	set, unset := bson.D{}, bson.D{}
	for _, c := range out.cells {
		field := fieldCells + "." + cellName(c.Key)
		if c.Value == nil {
			unset = append(unset, bson.E{Key: field, Value: ""})
			continue
		}
		v, err := s.save(ctx, tenant, name, c)
		if err != nil {
			return nil, err
		}
		if v.There != "" {
			out.blobs = append(out.blobs, v.There)
		}
		set = append(set, bson.E{Key: field, Value: v})
	}
	if len(set) > 0 {
		out.update = append(out.update, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		out.update = append(out.update, bson.E{Key: "$unset", Value: unset})
	}
	return out, nil
}

// replaces are the blobs that a change has left without a cell.
func (c *change) replaces(was *table) (gone []string) {
	for k := range c.cells {
		if v := was.Cells[cellName(k)]; v.There != "" {
			gone = append(gone, v.There)
		}
	}
	return gone
}

// PutCellsSoon does the same (cell.Store).
func (s *Store) PutCellsSoon(tenant, name string, cells ...cell.Cell) error {
	return s.PutCells(context.Background(), tenant, name, cells...)
}

// save says where a value is, and puts it there if that is not in the table.
func (s *Store) save(ctx context.Context, tenant, name string, c cell.Cell) (value, error) {
	if len(c.Value) <= inline {
		return value{Here: c.Value}, nil
	}
	b := blob{ID: key(tenant, name, c.Key, rand.Text()), Value: c.Value}
	defer s.timed(&s.counters.writes)()
	_, err := s.blobs.InsertOne(ctx, b)
	return value{There: b.ID}, wrap("cells", err)
}

// forget deletes blobs.
func (s *Store) forget(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.drop(ctx, s.blobs, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
}
