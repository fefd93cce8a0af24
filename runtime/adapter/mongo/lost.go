package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// mostLost is how long a hole may be that is filled in. Where a longer one is, the
// stream is read as if it began behind it.
const mostLost = 10_000

// Lost puts an event without content in the place of each that is lost, so that the
// stream can be read over them (worker.Streams). One that is found after all takes its
// place again.
func (s *Store) Lost(ctx context.Context, l worker.Loss) error {
	if l.To-l.From >= mostLost {
		return nil
	}
	before, err := s.last(ctx, l.Tenant, l.Room, l.From-1)
	if err != nil {
		return err
	}
	docs := make([]any, 0, l.To-l.From+1)
	for offset := l.From; offset <= l.To; offset++ {
		docs = append(docs, bson.D{
			{Key: "_id", Value: eventID(l.Tenant, l.Room, offset)},
			{Key: fieldAt, Value: before.At},
			{Key: fieldEpoch, Value: l.Epoch},
			{Key: fieldTime, Value: bson.DateTime(before.Timestamp)},
			{Key: fieldType, Value: event.TypeMessage.String()},
			{Key: fieldMessages, Value: int64(before.Messages)},
			{Key: fieldRedacted, Value: true},
			{Key: fieldLost, Value: true},
		})
	}
	done := s.timed(&s.counters.writes)
	_, err = s.events.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	done()
	if isDuplicate(err) {
		return nil // those are told of twice, or there
	}
	return wrap("lost", err)
}

// recover puts an event in its place that had been taken for lost.
func (s *Store) recover(ctx context.Context, e *worker.Event) error {
	id := eventID(e.Tenant, e.Room, e.Offset)
	doc, err := encodeEvent(id, e)
	if err != nil {
		return err
	}
	return s.again(func() error {
		_, err := s.events.ReplaceOne(ctx, append(byID(id), bson.E{Key: fieldLost, Value: true}), doc)
		return err
	})
}
