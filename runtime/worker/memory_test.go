package worker_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// memory is a Keeper, and its Streams, that can be made to fail.
type memory struct {
	before  func(ctx context.Context, events []worker.Event) error // nothing is kept if it fails
	between func() error                                           // events are kept then, and progress is not
	refuse  func(e *worker.Event) error

	mu       sync.Mutex
	changed  chan struct{} // closed at the next change
	streams  map[stream]map[uint64]event.Record
	order    map[stream][]uint64 // of offsets, as they came first
	progress map[int][]worker.Mark
	lost     []worker.Loss
	writing  map[int]int // writers of each partition
	shared   bool        // a partition had two at once
}

type stream struct{ tenant, room, epoch string }

func newMemory() *memory {
	return &memory{changed: make(chan struct{}), streams: map[stream]map[uint64]event.Record{}, order: map[stream][]uint64{}, progress: map[int][]worker.Mark{}, writing: map[int]int{}}
}

func (m *memory) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Progress(_ context.Context, partition int) (worker.Mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed(partition), nil
}

func (m *memory) passed(partition int) worker.Mark {
	if p := m.progress[partition]; len(p) > 0 {
		return p[len(p)-1]
	}
	return worker.Mark{}
}

func (m *memory) Mark(_ context.Context, _ int, _ time.Time) (worker.Mark, error) {
	return worker.Mark{}, nil
}

var errConflict = errors.New("another event is there")

func (m *memory) Keep(ctx context.Context, partition int, events []worker.Event, next worker.Mark) error {
	m.write(partition, 1)
	defer m.write(partition, -1)
	if m.before != nil {
		if err := m.before(ctx, events); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.change()
	refused := map[int]error{}
	for i := range events {
		if err := m.put(&events[i]); err != nil {
			refused[i] = err
		}
	}
	if len(refused) > 0 {
		return &worker.Refused{Why: refused}
	}
	if m.between != nil {
		if err := m.between(); err != nil {
			return err
		}
	}
	if next.Offset > m.passed(partition).Offset {
		m.progress[partition] = append(m.progress[partition], next)
	}
	return nil
}

func (m *memory) write(partition, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writing[partition] += n
	m.shared = m.shared || m.writing[partition] > 1
}

func (m *memory) put(e *worker.Event) error {
	if m.refuse != nil {
		if err := m.refuse(e); err != nil {
			return err
		}
	}
	s := stream{e.Tenant, e.Room, e.Epoch}
	if m.streams[s] == nil {
		m.streams[s] = map[uint64]event.Record{}
	}
	was, ok := m.streams[s][e.Offset]
	if ok && !reflect.DeepEqual(was, e.Record) {
		return errConflict
	}
	if !ok {
		m.order[s] = append(m.order[s], e.Offset)
	}
	m.streams[s][e.Offset] = e.Record
	return nil
}

func (m *memory) Head(_ context.Context, tenant, room string) (head event.Head, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := int64(-1)
	for s, records := range m.streams {
		for _, r := range records {
			if s.tenant == tenant && s.room == room && r.Timestamp > newest {
				newest, head = r.Timestamp, event.Head{Position: r.Position, Messages: r.Messages}
			}
		}
	}
	return head, nil
}

func (m *memory) Lost(_ context.Context, l worker.Loss) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.change()
	m.lost = append(m.lost, l)
	return nil
}

// until waits for something that must come to be true.
func (m *memory) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		m.mu.Lock()
		ok, changed := is(), m.changed
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("it has not come: %s", what)
		}
	}
}

// holds checks that exactly these events are there, in this order within a room.
func (m *memory) holds(t testing.TB, want []event.Record) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared {
		t.Error("two have written to a partition at once")
	}
	order := map[stream][]uint64{}
	for i := range want {
		r := &want[i]
		s := stream{r.Tenant, r.Room, r.Epoch}
		order[s] = append(order[s], r.Offset)
		if got, ok := m.streams[s][r.Offset]; !ok || !reflect.DeepEqual(got, *r) {
			t.Errorf("%s %s %d is %+v", s.room, s.epoch, r.Offset, got)
		}
	}
	if !reflect.DeepEqual(order, m.order) {
		t.Errorf("kept\n%s\nand not\n%s", lines(m.order), lines(order))
	}
}

func lines(order map[stream][]uint64) (text string) {
	for s, offsets := range order {
		text += fmt.Sprintf("  %s %s: %v\n", s.room, s.epoch, offsets)
	}
	return text
}
