package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Forget deletes the records of a partition before an offset.
func (g *Group) Forget(ctx context.Context, partition int, before int64) error {
	l := g.log
	first, _, err := l.bounds(ctx, partition)
	if err != nil || before <= first {
		return err
	}
	var offsets kadm.Offsets
	offsets.AddOffset(l.cfg.Topic, int32(partition), before, -1)
	deleted, err := kadm.NewClient(l.client).DeleteRecords(ctx, offsets)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: delete records of partition %d before %d: %w", partition, before, err)
	}
	return nil
}

// bounds are the offsets of a partition's first record, and of the next one to be
// written.
func (l *Log) bounds(ctx context.Context, partition int) (first, end int64, err error) {
	adm := kadm.NewClient(l.client)
	starts, err := adm.ListStartOffsets(ctx, l.cfg.Topic)
	if err != nil {
		return 0, 0, fmt.Errorf("kafka: beginning of partition %d: %w", partition, err)
	}
	ends, err := adm.ListEndOffsets(ctx, l.cfg.Topic)
	if err != nil {
		return 0, 0, fmt.Errorf("kafka: end of partition %d: %w", partition, err)
	}
	s, _ := starts.Lookup(l.cfg.Topic, int32(partition))
	e, ok := ends.Lookup(l.cfg.Topic, int32(partition))
	switch {
	case !ok:
		return 0, 0, fmt.Errorf("kafka: topic %s has no partition %d", l.cfg.Topic, partition)
	case s.Err != nil:
		return 0, 0, fmt.Errorf("kafka: beginning of partition %d: %w", partition, s.Err)
	case e.Err != nil:
		return 0, 0, fmt.Errorf("kafka: end of partition %d: %w", partition, e.Err)
	}
	return s.Offset, e.Offset, nil
}
