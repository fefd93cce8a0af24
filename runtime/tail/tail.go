package tail

import (
	"container/list"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Tail is what the owner of one partition knows. Its readers may be many.
type Tail struct {
	cfg         Config
	base        Base
	projections map[string]room.Projection
	now         func() time.Time
	flights     singleflight.Group
	limits      limits

	mu      sync.Mutex
	rooms   map[name]*entry
	used    list.List // of *entry, the one that was used last in front
	bytes   int64
	dirty   int64 // bytes of unkept
	unkept  []logged
	passed  int64  // in the log: the base has what was before
	applied uint64 // records
	evicted uint64 // the largest entry.changed of an entry that was dropped
}

// limits of what is kept of one room that the base has.
type limits struct {
	records int // beside those that it does not have
	whole   int // members, or rows of a kind, or notes of a page
}

// logged is a record that the base may not have.
type logged struct {
	at    int64
	e     *entry
	bytes int64
}

// New makes the Tail of a partition that nothing was logged in yet: what was, and the base
// may not have, is to be applied before the first read.
func New(cfg Config, deps Deps) *Tail {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	t := &Tail{cfg: cfg, base: deps.Base, now: deps.Now, projections: Memberships(), limits: limits{records: 256, whole: 1024}, rooms: map[name]*entry{}}
	maps.Copy(t.projections, deps.Projections)
	return t
}

// Apply takes records that count, in their order, with the offset in the log of each. It
// keeps nothing of the slices. One caller at a time.
func (t *Tail) Apply(records []event.Record, at []int64) {
	for i := range records {
		t.apply(&records[i], at[i])
	}
}

func (t *Tail) apply(r *event.Record, at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(name{r.Tenant, r.Room})
	if r.Offset == 1 {
		e.begin(at)
	}
	k := e.add(r, at)
	w := writer{e: e, at: at, offset: r.Offset, bytes: k.size + entrySize + cellSize}
	if project := t.projections[r.Action]; project != nil {
		project(&w, &k.Record)
	}
	t.applied++
	e.changed = t.applied
	if at >= t.passed {
		e.dirty++
		t.dirty += w.bytes
		t.unkept = append(t.unkept, logged{at, e, w.bytes})
	}
	if e.pins == 0 {
		e.shorten(t.passed, t.limits.records)
	}
	t.settle(e)
}

// Trim says that the base holds all that was logged before passed.
func (t *Tail) Trim(passed int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passed = max(t.passed, passed)
	n := 0
	for ; n < len(t.unkept) && t.unkept[n].at < t.passed; n++ {
		l := &t.unkept[n]
		l.e.dirty--
		t.dirty -= l.bytes
		t.settle(l.e)
	}
	clear(t.unkept[:n])
	t.unkept = t.unkept[n:]
}

// Dirty is about how many bytes the base may not hold yet. Who applies refuses new events
// above a limit.
func (t *Tail) Dirty() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dirty
}

// entry is that of a room, which is the one used last from now on.
func (t *Tail) entry(n name) *entry {
	e := t.rooms[n]
	if e == nil {
		e = newEntry(n)
		e.changed = t.evicted
		e.place = t.used.PushFront(e)
		t.rooms[e.name] = e
	}
	t.used.MoveToFront(e.place)
	return e
}

// settle follows a change of an entry.
func (t *Tail) settle(e *entry) {
	t.bytes += e.bytes - e.counted
	e.counted = e.bytes
	if e.pins == 0 && e.over() {
		t.drop(e)
	}
	// Of what is counted as dirty, some was overwritten; so there are at least so many
	// bytes to drop, but for entries in use.
	for n := t.used.Len(); n > 0 && t.bytes-t.dirty > int64(t.cfg.Bytes); n-- {
		t.shrink(t.used.Back().Value.(*entry))
	}
}

// shrink drops of an entry what may be dropped.
func (t *Tail) shrink(e *entry) {
	switch {
	case e.pins > 0:
		t.used.MoveToFront(e.place)
	case e.dirty == 0:
		t.drop(e)
	default:
		e.strip(t.passed)
		t.bytes += e.bytes - e.counted
		e.counted = e.bytes
		t.used.MoveToFront(e.place)
	}
}

func (t *Tail) drop(e *entry) {
	t.evicted = max(t.evicted, e.changed)
	t.bytes -= e.counted
	t.used.Remove(e.place)
	delete(t.rooms, e.name)
}
