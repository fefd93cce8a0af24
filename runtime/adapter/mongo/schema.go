package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// schemaVersion is that of the collections that doc.go describes.
const schemaVersion = 1

const (
	schemaID     = "schema"
	fieldVersion = "version"
)

// Migrate makes the database what this program reads and writes, or refuses one that a
// newer program has made. Several nodes may do so at once: every step can be done twice.
func (s *Store) Migrate(ctx context.Context) error {
	var is struct {
		Version int `bson:"version"`
	}
	if _, err := s.one(ctx, s.meta, schemaID, &is); err != nil {
		return s.explain(err)
	}
	if is.Version > schemaVersion {
		return fmt.Errorf("mongo: database %s has schema %d, and this program knows up to %d: it was written by a newer one", s.cfg.Database, is.Version, schemaVersion)
	}
	steps := [schemaVersion]func(context.Context) error{s.makeIndexes}
	for _, step := range steps[is.Version:] {
		if err := step(ctx); err != nil {
			return s.explain(err)
		}
	}
	return s.explain(s.again(func() error {
		_, err := s.meta.UpdateOne(ctx, byID(schemaID), bson.D{{Key: "$max", Value: bson.D{{Key: fieldVersion, Value: schemaVersion}}}}, options.UpdateOne().SetUpsert(true))
		return err
	}))
}

// makeIndexes makes those by which the sweep finds what was deleted. All else is found
// by id.
func (s *Store) makeIndexes(ctx context.Context) error {
	for _, x := range []struct {
		in    *driver.Collection
		field string
	}{{s.rooms, endedGone}, {s.members, rowGone}, {s.notes, rowGone}, {s.rows, rowGone}} {
		index := driver.IndexModel{Keys: bson.D{{Key: x.field, Value: 1}}, Options: options.Index().SetName("gone").SetSparse(true)}
		if _, err := x.in.Indexes().CreateOne(ctx, index); err != nil {
			return wrap("index", err)
		}
	}
	return nil
}
