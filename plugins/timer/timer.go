package timer

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/heddle-rt/heddle/plugins/fair"
	"github.com/heddle-rt/heddle/runtime/cell"
)

// Bounds of a timer.
const (
	MaxName    = 128     // bytes
	MaxPayload = 8 << 10 // bytes
	MaxDelay   = 366 * 24 * time.Hour
)

const tablePrefix = "timer/"

// Firing is a timer whose time has come.
type Firing struct {
	Tenant, Plugin, Name string
	// ID is the same however often the timer is tried, also after a restart, and another
	// one once it is set again.
	ID      string
	Payload []byte
	Due     time.Time // when it was to fire first
}

// Deps is what timers need.
type Deps struct {
	Cells cell.Store
	// Fire calls the plugin. After an error the timer fires again, later.
	Fire func(ctx context.Context, f Firing) error
	// There reports whether there is such a plugin: one that is gone sets no timers.
	// nil: all are there.
	There func(tenant, plugin string) bool
	// Busy reports whether an error of Fire says that the plugin was not asked: that is
	// none of its tries. nil: never.
	Busy func(err error) bool
	// GivenUp is told of a timer that has failed too often; nil: nobody is.
	GivenUp func(f Firing, tries int, err error)
	// Rate is how many timers of a tenant's plugin may fire a second; nil: no bound.
	Rate func(tenant string) float64
	// Writes takes bytes out of what a tenant's plugins may write, for Pay; false: there are
	// not so many left. nil: no bound.
	Writes func(tenant string, bytes int64) bool
	// Heavy reports whether a tenant's plugins have lately used more than their part; nil:
	// none has.
	Heavy func(tenant string) bool
	// Nodes are those of a cluster; nil: this one has all timers.
	Nodes Nodes
	Log   *slog.Logger
	Now   func() time.Time
}

// Timers are those of all plugins. It is safe for concurrent use.
type Timers struct {
	deps Deps

	mu     sync.Mutex
	queue  queue
	byKey  map[key]*entry
	owners map[owner]*owned
	loaded map[owner]bool      // whose timers are here
	stir   chan struct{}       // holds one if there is an earlier timer than before
	due    *fair.Queue[*entry] // as many as there are timers

	ending sync.RWMutex // held to read by who puts something into soon
	ended  bool         // nobody takes anything out of it any more
	soon   *fair.Queue[*changes]

	Fired, Failed atomic.Uint64
}

type owner struct{ tenant, plugin string }

type key struct {
	owner
	name string
}

// owned is what one plugin has set.
type owned struct {
	writing sync.Mutex // held while what is kept is changed, and byKey with it; before Timers.mu

	count  int
	budget *rate.Limiter
	late   []*entry // whose time has come, and that wait for the budget
}

// entry is one timer. Its payload is where it is kept, and read when it fires.
type entry struct {
	key
	id     uint64 // of the firing
	first  int64  // when it is to fire, Unix milliseconds
	due    int64  // when it is tried next
	index  int    // in the queue; -1 while it fires
	busy   int    // tries in a row that found the plugin busy
	failed int    // the others
	claim  []byte // as it is kept while this node fires it, which others see; nil: it was not yet
	gate   bool   // no timer: it lets one of those go on that wait for the budget
}

// firers is how many timers fire at once, a quarter of them of one tenant; one is kept for
// tenants of which none fires.
const firers = 8

// New makes them; Load brings those that are kept.
func New(deps Deps) *Timers {
	return &Timers{
		deps: deps, byKey: map[key]*entry{}, owners: map[owner]*owned{}, loaded: map[owner]bool{}, stir: make(chan struct{}, 1),
		due: fair.New[*entry](fair.Config{Running: firers / 4, Workers: firers, Heavy: deps.Heavy}, nil),
		// One at a time of a tenant: they are made in the order in which they were wanted.
		soon: fair.New(fair.Config{Bytes: soonBytes, Running: 1, Workers: changers, Heavy: deps.Heavy}, func(c *changes) { c.done(ErrBusy) }),
	}
}

// ErrTooMany says that the plugin has as many timers as it may.
var ErrTooMany = errors.New("timer: the plugin has as many timers as it may")

// ErrInvalid says that a name, payload or delay is none.
var ErrInvalid = errors.New("timer: want a name of 1 to 128 bytes, a payload of at most 8 KiB and a delay of at most a year")

// ErrWrites says that there is nothing left of what the tenant's plugins may write.
var ErrWrites = errors.New("timer: the tenant's plugins write more bytes a second than they may")

// ErrGone says that there is no such plugin any more.
var ErrGone = errors.New("timer: the plugin is not there any more")

// Cost is how many bytes a timer writes: also what takes it away again, which is never
// refused.
func Cost(name string, payload []byte) int64 {
	return cell.Cost(name, payload) + packed + cell.Cost(name, nil)
}

// Pay takes the cost of timers out of what the tenant's plugins may write; false: there is
// not so much left, and they are not to be set.
func (t *Timers) Pay(tenant string, bytes int64) bool {
	return t.deps.Writes == nil || t.deps.Writes(tenant, bytes)
}

func (t *Timers) there(o owner) bool {
	return t.deps.There == nil || t.deps.There(o.tenant, o.plugin)
}

// Drop removes all timers of a plugin that is not there any more, also those that were
// not loaded.
func (t *Timers) Drop(ctx context.Context, tenant, plugin string) error {
	t.Unload(func(of, name string) bool { return of == tenant && name == plugin })
	for {
		list, err := t.deps.Cells.Cells(ctx, tenant, tablePrefix+plugin, "", page)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			list[i].Value = nil
		}
		if err := t.deps.Cells.PutCells(ctx, tenant, tablePrefix+plugin, list...); err != nil {
			return err
		}
	}
}

// Unload forgets the timers of plugins that are gone, and leaves what is kept of them.
func (t *Timers) Unload(gone func(tenant, plugin string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := map[owner]bool{}
	for o := range t.owners {
		if gone(o.tenant, o.plugin) {
			left[o] = true
		}
	}
	if len(left) > 0 {
		for _, e := range t.byKey {
			if left[e.owner] {
				t.remove(e)
			}
		}
	}
	maps.DeleteFunc(t.owners, func(o owner, _ *owned) bool { return left[o] })
	maps.DeleteFunc(t.loaded, func(o owner, _ bool) bool { return gone(o.tenant, o.plugin) })
}

// Count is how many timers are set.
func (t *Timers) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byKey)
}

// Load brings the timers of a plugin that are kept, if this node has them.
func (t *Timers) Load(ctx context.Context, tenant, plugin string) error {
	o := owner{tenant, plugin}
	if !t.mine(o) {
		return nil
	}
	for after := ""; ; {
		list, err := t.deps.Cells.Cells(ctx, tenant, tablePrefix+plugin, after, page)
		if err != nil {
			return err
		}
		t.load(o, list)
		if len(list) < page {
			break
		}
		after = list[len(list)-1].Key
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.there(o) && t.mine(o) {
		t.loaded[o] = true
	}
	return nil
}

func (t *Timers) load(o owner, list []cell.Cell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.there(o) || !t.mine(o) {
		return
	}
	for _, c := range list {
		e := &entry{key: key{o, c.Key}}
		_, ok := e.unpack(c.Value)
		switch had := t.byKey[e.key]; {
		case !ok:
		case had == nil:
			t.add(e)
		case had.id != e.id: // the node that had them before has set it late
			t.remove(had)
			t.add(e)
		}
	}
}

// page is how many timers are read or removed at once.
const page = 500

// A timer is kept as the time when it is to fire, the id of its firing, and its payload.
const packed = 16

func pack(due int64, id uint64, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, packed+len(payload)), uint64(due))
	return append(binary.LittleEndian.AppendUint64(b, id), payload...)
}

// unpack makes it the timer that is kept so.
func (e *entry) unpack(b []byte) (payload []byte, ok bool) {
	if len(b) < packed {
		return nil, false
	}
	e.first, e.id = int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])
	e.due = e.first
	return b[packed:], true
}

// add puts a timer into the queue, with mu held.
func (t *Timers) add(e *entry) {
	t.byKey[e.key] = e
	t.own(e.owner).count++
	heap.Push(&t.queue, e)
	t.wake(e)
}

// own is what a plugin has set, with mu held.
func (t *Timers) own(o owner) *owned {
	own := t.owners[o]
	if own == nil {
		own = &owned{}
		t.owners[o] = own
	}
	return own
}

// wake has Run look again, if a timer is the first now, with mu held.
func (t *Timers) wake(e *entry) {
	if e.index == 0 {
		select {
		case t.stir <- struct{}{}:
		default:
		}
	}
}

// remove takes a timer out, with mu held. One that fires at this moment does so; one that
// waits for that does not.
func (t *Timers) remove(e *entry) {
	if e == nil {
		return
	}
	delete(t.byKey, e.key)
	t.owners[e.owner].count-- // at 0, too, it is remembered what it has used of its budget
	if e.index >= 0 {
		heap.Remove(&t.queue, e.index)
	}
}

// queue is a heap by due.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}
