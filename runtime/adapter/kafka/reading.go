package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/planted"
)

// Mark is a place in a partition of the topic, and what a reader has to know there to
// tell which of the events behind it count.
type Mark struct {
	Offset int64  // of the next record
	Term   uint64 // the last one that has begun before; 0 for none
	Seq    uint64 // how many of its events count
}

// Take moves the mark behind the next record of the partition, and returns the event if
// the record is one that counts. An error is of a record that cannot be read: it is not
// an event then, for nobody, and the mark is behind it; unless it is ErrNewer, where who
// reads must stop.
func (m *Mark) Take(rec *kgo.Record) (r event.Record, counts bool, err error) {
	msg, err := parse(rec.Value)
	switch {
	case errors.Is(err, ErrNewer):
		return r, false, recordError(rec, err)
	case err != nil:
		m.Offset = rec.Offset + 1
		return r, false, recordError(rec, err)
	}
	m.Offset = rec.Offset + 1
	switch {
	case msg.kind == kindTerm:
		m.Term, m.Seq = termAt(rec.Offset), 0
		return r, false, nil
	case (msg.term != m.Term || msg.seq != m.Seq+1) && !planted.VoidCounted:
		return r, false, nil
	}
	m.Seq++
	if r, err = msg.event(); err != nil {
		return r, false, recordError(rec, err)
	}
	return r, true, nil
}

func recordError(rec *kgo.Record, err error) error {
	return fmt.Errorf("kafka: record %d of partition %d: %w", rec.Offset, rec.Partition, err)
}

// termAt is the number of the term that begins with the record at an offset.
func termAt(offset int64) uint64 { return uint64(offset) + 1 }

// errTruncated is of a log whose records are gone where a reader has to begin.
var errTruncated = errors.New("the topic does not have the records any more that follow what the workers have kept")

// read hands the records of a partition from one offset to another, the latter left out,
// to a function. There must be a record at or behind the last of them.
func (l *Log) read(ctx context.Context, partition int32, from, to int64, take func(*kgo.Record) error) error {
	if from >= to {
		return nil
	}
	client, err := kgo.NewClient(append(l.options[:len(l.options):len(l.options)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.cfg.Topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(fetchWait),
	)...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("kafka: read partition %d: %w", partition, err)
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("kafka: read partition %d: %w", partition, e.Err)
		}
		for iter := fetches.RecordIter(); !iter.Done(); {
			rec := iter.Next()
			if rec.Offset < to {
				if err := take(rec); err != nil {
					return err
				}
			}
			if rec.Offset >= to-1 {
				return nil
			}
		}
	}
}
