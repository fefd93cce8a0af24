package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// row is one of any of the tables: each has some of the fields behind the first two. At
// comes first: by it $max tells the newer row.
type row struct {
	At   int64         `bson:"at"`             // where in the log of its partition it was written
	Gone bson.DateTime `bson:"gone,omitempty"` // when it was deleted; 0: it is there

	Created bson.DateTime `bson:"created,omitempty"` // rooms
	Creator string        `bson:"creator,omitempty"`
	Name    string        `bson:"name,omitempty"`
	Meta    []byte        `bson:"meta,omitempty"`

	Role   string        `bson:"role,omitempty"` // members
	Joined bson.DateTime `bson:"joined,omitempty"`

	Epoch    string `bson:"epoch,omitempty"` // markers
	Offset   uint64 `bson:"offset,omitempty"`
	Messages uint64 `bson:"messages,omitempty"`

	Value []byte `bson:"value,omitempty"` // notes and rows
}

// document is what a table has under an id.
type document struct {
	ID    string `bson:"_id"`
	Row   *row   `bson:"row"`
	Ended *row   `bson:"ended"` // of a room
}

// The fields of a document.
const (
	fieldRow   = "row"
	fieldEnded = "ended"
	rowAt      = "row.at"
	rowGone    = "row.gone"
	rowEpoch   = "row.epoch"
	endedGone  = "ended.gone"
)

// never is before every place in a log.
const never = -1

// counts reports whether a row is there, in a room that has ended at a place, or never.
func (d *document) counts(ended int64) bool {
	return d.Row != nil && d.Row.Gone == 0 && d.Row.At > ended
}

func (r *row) marker() room.Marker {
	return room.Marker{Position: event.Position{Epoch: r.Epoch, Offset: r.Offset}, Messages: r.Messages}
}

// newest is the update that leaves the newer one of a row that may be there and this.
func newest(field string, r *row) bson.D {
	return bson.D{{Key: "$max", Value: bson.D{{Key: field, Value: r}}}}
}

// put writes rows of one table, by their ids.
func (s *Store) put(ctx context.Context, c *driver.Collection, field string, rows map[string]row) error {
	if len(rows) == 0 {
		return nil
	}
	models := make([]driver.WriteModel, 0, len(rows))
	for id, r := range rows {
		models = append(models, driver.NewUpdateOneModel().SetFilter(byID(id)).SetUpdate(newest(field, &r)).SetUpsert(true))
	}
	return s.again(func() error {
		_, err := c.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		return err
	})
}

// again repeats a write that somebody else was in the way of, who has inserted the same
// documents: the next time they are there.
func (s *Store) again(write func() error) error {
	const tries = 5
	for try := 1; ; try++ {
		done := s.timed(&s.counters.writes)
		err := write()
		done()
		if try == tries || !isDuplicate(err) {
			return wrap("write", err)
		}
		s.counters.retries.Add(1)
	}
}

func isDuplicate(err error) bool {
	refusal, ok := errors.AsType[driver.ServerError](err)
	return ok && refusal.HasErrorCode(codeDuplicateKey)
}
