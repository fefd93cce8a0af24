package notification

import (
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
)

// backlog are the messages that nobody has looked at yet. When it is full, a
// further one takes the place of the oldest (drop_oldest).
type backlog struct {
	wake  chan struct{} // there is something
	most  int
	bytes int64
	count *counters

	mu      sync.Mutex
	records []event.Record
	first   int // of records; those before it are gone
	size    int64
}

func newBacklog(most int, bytes int64, c *counters) backlog {
	return backlog{wake: make(chan struct{}, 1), most: most, bytes: bytes, count: c}
}

// overhead is about what a record takes beside its data.
const overhead = 512

func sizeOf(r *event.Record) int64 { return overhead + int64(len(r.Data)) }

func (b *backlog) push(r *event.Record) {
	b.mu.Lock()
	b.records = append(b.records, *r)
	b.size += sizeOf(r)
	for n := len(b.records) - b.first; n > b.most || n > 1 && b.size > b.bytes; n-- {
		b.drop()
		b.count.dropped.Add(1)
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // it is on its way
	}
}

func (b *backlog) pop() (r event.Record, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first == len(b.records) {
		return r, false
	}
	return b.drop(), true
}

// drop takes the oldest out, with the lock held.
func (b *backlog) drop() event.Record {
	r := b.records[b.first]
	b.records[b.first] = event.Record{}
	b.size -= sizeOf(&r)
	if b.first++; b.first == len(b.records) || b.first >= b.most {
		b.records = b.records[:copy(b.records, b.records[b.first:])]
		b.first = 0
	}
	return r
}

func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.records) - b.first
}
