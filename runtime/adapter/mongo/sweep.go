package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	sweepID     = "sweep"
	sweepLease  = 30 * time.Second
	sweepAtOnce = 5000 // tombstones of a table
	// tombstoneKept is longer than any worker is late.
	tombstoneKept = time.Hour
)

// sweeper is who sweeps, and how far the pass over the rooms has come. Should two sweep
// at once, whose clocks differ much, no harm is done.
type sweeper struct {
	ID     string        `bson:"_id"`
	Holder string        `bson:"holder"`
	Until  bson.DateTime `bson:"until"`
	Next   string        `bson:"next"`  // id of events where to go on; "": at the beginning
	Rests  bson.DateTime `bson:"rests"` // when the next pass begins
}

// RunSweep removes what is not to be kept any more, until ctx ends. All workers run it,
// and one at a time sweeps.
func (s *Store) RunSweep(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.SweepInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			s.log.Error("MongoDB cannot be swept", "error", err)
		case err == nil && failing:
			s.log.Info("MongoDB is swept again")
		}
		failing = err != nil
	}
}

// Sweep does one bounded slice of the work, unless another node does.
func (s *Store) Sweep(ctx context.Context) error {
	w, mine, err := s.lease(ctx)
	if err != nil || !mine || w.Rests.Time().After(s.deps.Now()) {
		return err
	}
	if err := s.dropTombstones(ctx); err != nil {
		return err
	}
	for range s.cfg.SweepRooms {
		if w.Next, err = s.sweepRoom(ctx, w.Next); err != nil {
			return err
		}
		if w.Next == "" {
			w.Rests = bson.NewDateTimeFromTime(s.deps.Now().Add(s.cfg.SweepRest))
			break
		}
	}
	return s.again(func() error {
		_, err := s.meta.UpdateOne(ctx, append(byID(sweepID), bson.E{Key: "holder", Value: s.self}),
			bson.D{{Key: "$set", Value: bson.D{{Key: "next", Value: w.Next}, {Key: "rests", Value: w.Rests}}}})
		return err
	})
}

// lease makes this node the sweeper, or leaves it so.
func (s *Store) lease(ctx context.Context) (w sweeper, mine bool, err error) {
	now := s.deps.Now()
	free := append(byID(sweepID), bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "holder", Value: s.self}},
		bson.D{{Key: "until", Value: bson.D{{Key: "$lt", Value: bson.NewDateTimeFromTime(now)}}}},
	}})
	take := bson.D{{Key: "$set", Value: bson.D{{Key: "holder", Value: s.self}, {Key: "until", Value: bson.NewDateTimeFromTime(now.Add(sweepLease))}}}}
	defer s.timed(&s.counters.writes)()
	err = s.meta.FindOneAndUpdate(ctx, free, take, options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)).Decode(&w)
	if isDuplicate(err) {
		return w, false, nil // it is there, and not free
	}
	return w, err == nil, wrap("sweep", err)
}

// dropTombstones removes rows that were deleted long enough ago, and those of rooms that
// were.
func (s *Store) dropTombstones(ctx context.Context) error {
	old := bson.D{{Key: "$lt", Value: bson.NewDateTimeFromTime(s.deps.Now().Add(-tombstoneKept))}}
	for _, c := range [...]*driver.Collection{s.members, s.notes, s.rows} {
		filter := bson.D{{Key: rowGone, Value: old}}
		var ids []string
		if err := s.each(ctx, c, filter, func(raw bson.Raw) (bool, error) {
			ids = append(ids, raw.Lookup("_id").StringValue())
			return true, nil
		}, options.Find().SetLimit(sweepAtOnce).SetProjection(bson.D{{Key: "_id", Value: 1}})); err != nil {
			return err
		}
		if len(ids) == 0 {
			continue
		}
		// It may have been written again since.
		if err := s.drop(ctx, c, append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}})); err != nil {
			return err
		}
		s.counters.tombstones.Add(uint64(len(ids)))
	}
	return s.dropRooms(ctx, old)
}

// dropRooms removes what is kept about rooms that were deleted. Where one ended is
// forgotten last, when nothing is left that must not count.
func (s *Store) dropRooms(ctx context.Context, old bson.D) error {
	var rooms []document
	if err := s.each(ctx, s.rooms, bson.D{{Key: endedGone, Value: old}}, func(raw bson.Raw) (bool, error) {
		var d document
		err := bson.Unmarshal(raw, &d)
		rooms = append(rooms, d)
		return true, err
	}, options.Find().SetLimit(sweepAtOnce)); err != nil {
		return err
	}
	for i := range rooms {
		d := &rooms[i]
		gone := bson.D{{Key: "$lte", Value: d.Ended.At}}
		of := span{d.ID + string(separator), d.ID + string(afterField)}
		for _, c := range [...]*driver.Collection{s.members, s.notes, s.rows} {
			if err := s.drop(ctx, c, of.filter(bson.E{Key: rowAt, Value: gone})); err != nil {
				return err
			}
		}
		if err := s.dropRoom(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// dropRoom removes a room's own document, or from that of a room which has begun again
// where the one before it ended.
func (s *Store) dropRoom(ctx context.Context, d *document) error {
	ended := append(byID(d.ID), bson.E{Key: fieldEnded + "." + fieldAt, Value: d.Ended.At})
	if !d.counts(d.Ended.At) {
		of := bson.A{bson.D{{Key: fieldRow, Value: bson.D{{Key: "$exists", Value: false}}}}, bson.D{{Key: rowAt, Value: bson.D{{Key: "$lte", Value: d.Ended.At}}}}}
		return s.drop(ctx, s.rooms, append(ended, bson.E{Key: "$or", Value: of}))
	}
	return s.again(func() error {
		_, err := s.rooms.UpdateOne(ctx, ended, bson.D{{Key: "$unset", Value: bson.D{{Key: fieldEnded, Value: ""}}}})
		return err
	})
}
