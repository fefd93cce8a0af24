package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// Keep writes events, what their projections derive from them, and then the progress
// (worker.Keeper), which may follow a moment later. Where another worker has passed next
// already, all of that is there, and nothing is written: what retention has removed
// meanwhile must not come back.
func (s *Store) Keep(ctx context.Context, partition int, events []worker.Event, next worker.Mark) error {
	moves := next != (worker.Mark{})
	if moves {
		at, err := s.Progress(ctx, partition)
		if err != nil || at.Offset > next.Offset {
			return err
		}
	}
	refused, err := s.insert(ctx, events)
	if err != nil {
		return err
	}
	t := s.project(events, refused)
	if err := s.flush(ctx, t); err != nil {
		return err
	}
	if moves && len(refused) == 0 {
		return s.pass(ctx, partition, t.sent, next)
	}
	if err := s.put(ctx, s.markers, fieldRow, t.sent); err != nil {
		return err
	}
	if len(refused) > 0 {
		return &worker.Refused{Why: refused}
	}
	return nil
}

// insert writes events, and says why some cannot be, by their index.
func (s *Store) insert(ctx context.Context, events []worker.Event) (refused map[int]error, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	refused = map[int]error{}
	docs, index := make([]any, 0, len(events)), make([]int, 0, len(events))
	for i := range events {
		e := &events[i]
		doc, err := encodeEvent(eventID(e.Tenant, e.Room, e.Offset), e)
		if err != nil {
			refused[i] = err
			continue
		}
		docs, index = append(docs, doc), append(index, i)
	}
	if len(docs) == 0 {
		return refused, nil
	}
	done := s.timed(&s.counters.writes)
	_, err = s.events.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	done()
	there := map[string]int{} // ids that are taken, with the index of the event
	if written, ok := errors.AsType[driver.BulkWriteException](err); ok && written.WriteConcernError == nil {
		err = nil
		for _, e := range written.WriteErrors {
			i := index[e.Index]
			if e.Code == codeDuplicateKey {
				there[eventID(events[i].Tenant, events[i].Room, events[i].Offset)] = i
			} else {
				refused[i] = e
			}
		}
	}
	if err != nil {
		return nil, wrap("insert", err)
	}
	s.counters.kept.Add(uint64(len(docs) - len(there) - len(refused)))
	return refused, s.compare(ctx, events, there, refused)
}

// compare refuses events in whose place others are.
func (s *Store) compare(ctx context.Context, events []worker.Event, there map[string]int, refused map[int]error) error {
	if len(there) == 0 {
		return nil
	}
	ids := make([]string, 0, len(there))
	for id := range there {
		ids = append(ids, id)
	}
	var found []int // events that were given up as lost
	err := s.each(ctx, s.events, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, func(raw bson.Raw) (bool, error) {
		i := there[raw.Lookup("_id").StringValue()]
		e := &events[i]
		is, err := decodeEvent(raw, e.Tenant, e.Room)
		switch {
		case err != nil:
			return false, err
		case is.lost:
			found = append(found, i)
		case !is.same(e):
			s.counters.conflicts.Add(1)
			refused[i] = fmt.Errorf("event %d of %s of %s, from %d in the log, is another one in the store: %s of epoch %s, from %d in the log",
				e.Offset, e.Room, e.Tenant, e.At, is.ID, is.Epoch, is.At)
		}
		return true, nil
	})
	for _, i := range found {
		if err == nil {
			err = s.recover(ctx, &events[i])
		}
	}
	return err
}
