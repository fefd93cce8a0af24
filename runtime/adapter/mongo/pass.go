package mongo

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/worker"
)

const (
	// passEvery is how far progress may be behind what is kept.
	passEvery = time.Second
	// mostBehind bounds what is collected of a partition.
	mostBehind = 10_000
)

// behind is what is not written yet of a partition: markers of what was sent, and the
// progress that counts them.
type behind struct {
	mu   sync.Mutex // also held while it is written: progress is not to overtake markers
	sent map[string]row
	next worker.Mark
	due  time.Time // zero before the first time
}

func (s *Store) behind(partition int) *behind {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.late[partition]
	if b == nil {
		b = &behind{sent: map[string]row{}}
		s.late[partition] = b
	}
	return b
}

// pass adds to what is written later, and writes it if it is time.
func (s *Store) pass(ctx context.Context, partition int, sent map[string]row, next worker.Mark) error {
	b := s.behind(partition)
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, r := range sent {
		if was, there := b.sent[id]; !there || was.At < r.At {
			b.sent[id] = r
		}
	}
	if b.next.Offset < next.Offset {
		b.next = next
	}
	if len(b.sent) < mostBehind && s.deps.Now().Before(b.due) {
		return nil
	}
	return s.write(ctx, partition, b)
}

// write brings a partition's progress up to date, with its lock held.
func (s *Store) write(ctx context.Context, partition int, b *behind) error {
	if b.next == (worker.Mark{}) {
		return nil
	}
	if err := s.put(ctx, s.markers, fieldRow, b.sent); err != nil {
		return err
	}
	if err := s.advance(ctx, partition, b.next); err != nil {
		return err
	}
	clear(b.sent)
	b.next, b.due = worker.Mark{}, s.deps.Now().Add(passEvery)
	return nil
}

// Flush writes the progress that is behind what was kept here.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	late := maps.Clone(s.late)
	s.mu.Unlock()
	for partition, b := range late {
		if err := s.catchUp(ctx, partition, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) catchUp(ctx context.Context, partition int, b *behind) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return s.write(ctx, partition, b)
}
