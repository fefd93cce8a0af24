package mongo

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/worker"
)

const (
	markEvery  = time.Minute
	markKept   = 25 * time.Hour // beside the newest one that is older
	refreshing = time.Second
	fieldMark  = "mark"
)

// mark is a place in a partition. Offset comes first: by it $max tells the newer one.
type mark struct {
	Offset int64         `bson:"offset"`
	Term   uint64        `bson:"term"`
	Seq    uint64        `bson:"seq"`
	Time   bson.DateTime `bson:"time"` // when it was passed
}

type markDocument struct {
	ID   string `bson:"_id"`
	Mark mark   `bson:"mark"`
}

func (m *mark) place() worker.Mark { return worker.Mark{Offset: m.Offset, Term: m.Term, Seq: m.Seq} }

func partitionID(partition int) string { return strconv.Itoa(partition) }

// Progress is up to where a partition is kept (worker.Keeper).
func (s *Store) Progress(ctx context.Context, partition int) (worker.Mark, error) {
	var d markDocument
	_, err := s.one(ctx, s.progress, partitionID(partition), &d)
	return d.Mark.place(), err
}

// Mark is what progress was before a time (worker.Keeper).
func (s *Store) Mark(ctx context.Context, partition int, before time.Time) (worker.Mark, error) {
	var d markDocument
	found, err := s.one(ctx, s.progress, partitionID(partition), &d)
	if err != nil || found && d.Mark.Time.Time().Before(before) {
		return d.Mark.place(), err
	}
	m, _, err := s.markBefore(ctx, partition, before)
	return m.Mark.place(), err
}

// markBefore is the newest mark that was made before a time.
func (s *Store) markBefore(ctx context.Context, partition int, before time.Time) (m markDocument, found bool, err error) {
	all := under(partitionID(partition))
	all.to = all.from + number(uint64(max(before.UnixMilli(), 0)))
	err = s.each(ctx, s.marks, all.filter(), func(raw bson.Raw) (bool, error) {
		found = true
		return false, bson.Unmarshal(raw, &m)
	}, descending(1))
	return m, found, err
}

// advance moves the progress, which never goes back.
func (s *Store) advance(ctx context.Context, partition int, to worker.Mark) error {
	now := s.deps.Now()
	m := mark{Offset: to.Offset, Term: to.Term, Seq: to.Seq, Time: bson.NewDateTimeFromTime(now)}
	err := s.again(func() error {
		_, err := s.progress.UpdateOne(ctx, byID(partitionID(partition)), bson.D{{Key: "$max", Value: bson.D{{Key: fieldMark, Value: m}}}}, options.UpdateOne().SetUpsert(true))
		return err
	})
	if err != nil || !s.markDue(partition, now) {
		return err
	}
	if err := s.remember(ctx, partition, &m); err != nil {
		return err
	}
	s.mu.Lock()
	s.marked[partition] = now
	s.mu.Unlock()
	return nil
}

func (s *Store) markDue(partition int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.marked[partition]
	return !ok || now.Sub(last) >= markEvery
}

// remember makes a mark, and forgets those that are too old to be asked for. Two workers
// that make one in the same millisecond leave one of them.
func (s *Store) remember(ctx context.Context, partition int, m *mark) error {
	id := under(partitionID(partition)).from + number(uint64(max(m.Time, 0)))
	err := s.again(func() error {
		_, err := s.marks.ReplaceOne(ctx, byID(id), markDocument{id, *m}, options.Replace().SetUpsert(true))
		return err
	})
	if err != nil {
		return err
	}
	newest, found, err := s.markBefore(ctx, partition, m.Time.Time().Add(-markKept))
	if err != nil || !found {
		return err
	}
	old := under(partitionID(partition))
	old.to = newest.ID
	return s.drop(ctx, s.marks, old.filter())
}

// drop deletes what matches.
func (s *Store) drop(ctx context.Context, c *driver.Collection, filter bson.D) error {
	defer s.timed(&s.counters.writes)()
	_, err := c.DeleteMany(ctx, filter)
	return wrap("delete", err)
}

// Passed is the offset up to which a partition was kept when it was looked at last.
func (s *Store) Passed(partition int) int64 { return (*s.passed.Load())[partitionID(partition)] }

// Run writes the progress that is behind, and looks at that of all partitions, for Passed,
// every second until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshing)
	defer tick.Stop()
	away := false
	for {
		err := errors.Join(s.Flush(ctx), s.refresh(ctx))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !away:
			s.log.Error("it is not known how far MongoDB has kept the log", "error", s.explain(err))
		case err == nil && away:
			s.log.Info("it is known again how far MongoDB has kept the log")
		}
		away = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Store) refresh(ctx context.Context) error {
	passed := map[string]int64{}
	err := s.each(ctx, s.progress, bson.D{}, func(raw bson.Raw) (bool, error) {
		var d markDocument
		err := bson.Unmarshal(raw, &d)
		passed[d.ID] = d.Mark.Offset
		return true, err
	})
	if err == nil {
		s.passed.Store(&passed)
	}
	return err
}
