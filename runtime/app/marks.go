package app

import (
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// marks is what the workers have kept, for who opens a partition (kafka.Base). An older
// mark is as good as the newest one, and costs more to read from: so while MongoDB is away
// partitions are taken over from the last ones that were seen.
type marks struct {
	*mongo.Store

	mu    sync.Mutex
	known map[int]kafka.Mark
}

const (
	markTimeout = time.Second
	marksEvery  = time.Minute
)

// Mark is one that the workers had passed before a time.
func (m *marks) Mark(ctx context.Context, partition int, before time.Time) (kafka.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	said, err := m.Store.Mark(ctx, partition, before)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.known[partition] = kafka.Mark(said)
	} else if _, ok := m.known[partition]; !ok {
		return kafka.Mark{}, err
	}
	return m.known[partition], nil
}

// Head is that of a room as they have kept it.
func (m *marks) Head(ctx context.Context, tenant, room string) (sequence.Head, error) {
	return m.SequenceHead(ctx, tenant, room)
}

// follows asks for the marks of all partitions now and then, until ctx ends.
func (c *clustered) follows(ctx context.Context) error {
	for tick := time.Tick(marksEvery); ; {
		for p := range c.behind {
			_, _ = c.marks.Mark(ctx, p, c.a.now().Add(-c.cfg.Kafka.Window)) // who needs it asks again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}
