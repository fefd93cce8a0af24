package notification

import (
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
)

// backlog are the messages that nobody has looked at yet: a line for each tenant,
// of which one after the other is served. When it is full, the oldest message of
// the longest line goes (drop_oldest), so that a tenant's flood costs no other
// tenant's messages.
type backlog struct {
	wake  chan struct{} // there is something
	most  int
	bytes int64
	count *counters

	mu    sync.Mutex
	lines map[string]*line // by tenant; operators make tenants, and few
	turns []*line          // those with something, in the order in which they got it
	at    int              // of turns: whose turn it is
	n     int
	size  int64
}

// line is one tenant's messages.
type line struct {
	records []event.Record
	first   int // of records; those before it are gone
	size    int64
}

func newBacklog(most int, bytes int64, c *counters) backlog {
	return backlog{wake: make(chan struct{}, 1), most: most, bytes: bytes, count: c, lines: map[string]*line{}}
}

// overhead is about what a record takes beside its data.
const overhead = 512

func sizeOf(r *event.Record) int64 { return overhead + int64(len(r.Data)) }

func (b *backlog) push(r *event.Record) {
	b.mu.Lock()
	l := b.lines[r.Tenant]
	if l == nil {
		l = &line{}
		b.lines[r.Tenant] = l
	}
	if l.len() == 0 {
		b.turns = append(b.turns, l)
	}
	l.records = append(l.records, *r)
	l.size += sizeOf(r)
	b.n, b.size = b.n+1, b.size+sizeOf(r)
	for b.n > b.most || b.n > 1 && b.size > b.bytes {
		b.drop(b.longest())
		b.count.dropped.Add(1)
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // it is on its way
	}
}

// longest is the index of the line that has most of what there is too much of; of
// several, the one that has had something for longest.
func (b *backlog) longest() (most int) {
	for i, l := range b.turns {
		if o := b.turns[most]; b.n > b.most && l.len() > o.len() || b.n <= b.most && l.size > o.size {
			most = i
		}
	}
	return most
}

func (b *backlog) pop() (r event.Record, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n == 0 {
		return r, false
	}
	if b.at >= len(b.turns) {
		b.at = 0
	}
	l := b.turns[b.at]
	r = b.drop(b.at)
	if l.len() > 0 { // otherwise the next one has moved to its place
		b.at++
	}
	return r, true
}

// drop takes the oldest out of a line, with the lock held.
func (b *backlog) drop(i int) event.Record {
	l := b.turns[i]
	r := l.take()
	b.n, b.size = b.n-1, b.size-sizeOf(&r)
	if l.len() == 0 {
		b.turns = slices.Delete(b.turns, i, i+1)
		if i < b.at {
			b.at--
		}
	}
	return r
}

func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (l *line) len() int { return len(l.records) - l.first }

// kept is how many messages' space an empty line keeps.
const kept = 64

// take takes the oldest out.
func (l *line) take() event.Record {
	r := l.records[l.first]
	l.records[l.first] = event.Record{}
	l.size -= sizeOf(&r)
	switch l.first++; {
	case l.len() == 0 && cap(l.records) > kept:
		l.records, l.first = nil, 0
	case l.first >= kept && l.first >= l.len() || l.len() == 0:
		l.records, l.first = slices.Delete(l.records, 0, l.first), 0
	}
	return r
}
