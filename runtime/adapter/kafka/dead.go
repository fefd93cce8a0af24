package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// Dead is a worker.Letters: a topic of one partition beside that of the log. A record's
// key is the letter's id, its value the record of the log as it was, and its headers say
// the rest. A letter that is done has a record without a value behind it: Kafka's own
// mark for what a compacted topic may forget.
type Dead struct {
	log Log // with the other topic
}

// NewDead is of a log that need not be opened.
func NewDead(l *Log) *Dead {
	d := &Dead{log: *l}
	d.log.cfg.Topic += ".dead"
	return d
}

// Ensure makes the topic if it is not there.
func (d *Dead) Ensure(ctx context.Context) error {
	return d.log.ensure(ctx, topic{name: d.log.cfg.Topic, partitions: 1, why: "there has to be", cleanup: "compact"})
}

// maxReason bounds what is kept of a reason, in bytes.
const maxReason = 512

// Put keeps letters; those that are there are replaced.
func (d *Dead) Put(ctx context.Context, letters []worker.Letter) error {
	for i := range letters {
		l := &letters[i]
		text := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
		rec := &kgo.Record{Topic: d.log.cfg.Topic, Key: []byte(l.ID()), Value: l.Raw, Headers: []kgo.RecordHeader{
			text("partition", strconv.Itoa(l.Partition)),
			text("log_offset", strconv.FormatInt(l.At, 10)),
			text("time", strconv.FormatInt(l.Time, 10)),
			text("reason", l.Reason[:min(len(l.Reason), maxReason)]),
			text("tenant", l.Tenant),
			text("room", l.Room),
			text("epoch", l.Epoch),
			text("offset", strconv.FormatUint(l.Offset, 10)),
		}}
		if err := d.log.produce(ctx, rec); err != nil {
			return fmt.Errorf("kafka: put dead letter %s: %w", l.ID(), err)
		}
	}
	return nil
}

// Done takes a letter off.
func (d *Dead) Done(ctx context.Context, id string) error {
	if err := d.log.produce(ctx, &kgo.Record{Topic: d.log.cfg.Topic, Key: []byte(id)}); err != nil {
		return fmt.Errorf("kafka: take dead letter %s off: %w", id, err)
	}
	return nil
}

// All hands out the letters that are not done, the oldest first.
func (d *Dead) All(ctx context.Context, use func(*worker.Letter) error) error {
	first, end, err := d.log.bounds(ctx, 0)
	if err != nil {
		return err
	}
	open := map[string]int64{} // offset of each letter's record
	err = d.log.read(ctx, 0, first, end, func(rec *kgo.Record) error {
		if delete(open, string(rec.Key)); rec.Value != nil {
			open[string(rec.Key)] = rec.Offset
		}
		return nil
	})
	if err != nil || len(open) == 0 {
		return err
	}
	return d.log.read(ctx, 0, first, end, func(rec *kgo.Record) error {
		if at, ok := open[string(rec.Key)]; !ok || at != rec.Offset {
			return nil
		}
		l, err := letter(rec)
		if err != nil {
			d.log.deps.Logger.Warn("a record of the dead letters is not one", "topic", rec.Topic, "offset", rec.Offset, "error", err)
			return nil
		}
		return use(l)
	})
}

// letter reads one.
func letter(rec *kgo.Record) (*worker.Letter, error) {
	l := &worker.Letter{}
	l.Raw = rec.Value
	var wrong [3]error
	for _, h := range rec.Headers {
		switch value := string(h.Value); h.Key {
		case "partition":
			l.Partition, wrong[0] = strconv.Atoi(value)
		case "log_offset":
			l.At, wrong[1] = strconv.ParseInt(value, 10, 64)
		case "time":
			l.Time, wrong[2] = strconv.ParseInt(value, 10, 64)
		case "reason":
			l.Reason = value
		}
	}
	if err := errors.Join(wrong[:]...); err != nil {
		return nil, err
	}
	if l.ID() != string(rec.Key) {
		return nil, fmt.Errorf("its key is %q, and it is of record %s", rec.Key, l.ID())
	}
	m, err := parse(rec.Value)
	if err == nil {
		l.Record, err = m.event()
	}
	return l, err
}
