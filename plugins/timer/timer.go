// Package timer keeps the timers that plugins set. They are in a cell.Store, and so
// survive a restart: one that was due meanwhile fires when the node is back. A timer
// fires at least once: if the node dies while it fires, it fires again.
//
// Run owns the goroutine that waits, and the few that fire.
package timer

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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
	Payload              []byte
	Due                  time.Time
}

// Deps is what timers need.
type Deps struct {
	Cells cell.Store
	// Fire calls the plugin. After an error the timer fires again, later.
	Fire func(ctx context.Context, f Firing) error
	Log  *slog.Logger
	Now  func() time.Time
}

// Timers are those of all plugins. It is safe for concurrent use.
type Timers struct {
	deps Deps

	mu     sync.Mutex
	queue  queue
	byKey  map[key]*entry
	counts map[owner]int
	stir   chan struct{}       // holds one if there is an earlier timer than before
	due    *fair.Queue[*entry] // as many as there are timers

	Fired, Failed atomic.Uint64
}

type owner struct{ tenant, plugin string }

type key struct {
	owner
	name string
}

// entry is one timer.
type entry struct {
	key
	due     int64 // Unix milliseconds
	index   int   // in the queue; -1 while it fires
	tries   int
	payload []byte
}

// firers is how many timers fire at once, a quarter of them of one tenant.
const firers = 8

// New makes them; Load brings those that are kept.
func New(deps Deps) *Timers {
	return &Timers{deps: deps, byKey: map[key]*entry{}, counts: map[owner]int{}, stir: make(chan struct{}, 1), due: fair.New[*entry](fair.Config{Running: firers / 4})}
}

// ErrTooMany says that the plugin has as many timers as it may.
var ErrTooMany = errors.New("timer: the plugin has as many timers as it may")

// ErrInvalid says that a name, payload or delay is none.
var ErrInvalid = errors.New("timer: want a name of 1 to 128 bytes, a payload of at most 8 KiB and a delay of at most a year")

// Set sets a timer in the place of one with the same name. limit bounds the plugin's.
func (t *Timers) Set(tenant, plugin, name string, delay time.Duration, payload []byte, limit int) error {
	if name == "" || len(name) > MaxName || len(payload) > MaxPayload || delay < 0 || delay > MaxDelay {
		return ErrInvalid
	}
	o := owner{tenant, plugin}
	k := key{o, name}
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.byKey[k]
	if was == nil && t.counts[o] >= limit {
		return ErrTooMany
	}
	e := &entry{key: k, due: t.deps.Now().Add(delay).UnixMilli(), payload: append([]byte(nil), payload...)}
	if err := t.deps.Cells.PutCellsSoon(tenant, tablePrefix+plugin, cell.Cell{Key: name, Value: e.pack()}); err != nil {
		return err
	}
	t.remove(was)
	t.add(e)
	return nil
}

// Cancel takes a timer back; there may be none.
func (t *Timers) Cancel(tenant, plugin, name string) error {
	k := key{owner{tenant, plugin}, name}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byKey[k]
	if e == nil {
		return nil
	}
	t.remove(e)
	return t.deps.Cells.PutCellsSoon(tenant, tablePrefix+plugin, cell.Cell{Key: name})
}

// Drop forgets all timers of a plugin.
func (t *Timers) Drop(tenant, plugin string) error {
	t.mu.Lock()
	var names []string
	for k := range t.byKey {
		if k.tenant == tenant && k.plugin == plugin {
			names = append(names, k.name)
		}
	}
	t.mu.Unlock()
	var err error
	for _, n := range names {
		err = errors.Join(err, t.Cancel(tenant, plugin, n))
	}
	return err
}

// Count is how many timers are set.
func (t *Timers) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byKey)
}

// Load brings the timers of a plugin that are kept.
func (t *Timers) Load(ctx context.Context, tenant, plugin string) error {
	for after := ""; ; {
		list, err := t.deps.Cells.Cells(ctx, tenant, tablePrefix+plugin, after, 500)
		if err != nil {
			return err
		}
		t.mu.Lock()
		for _, c := range list {
			e := &entry{key: key{owner{tenant, plugin}, c.Key}}
			if e.unpack(c.Value) && t.byKey[e.key] == nil {
				t.add(e)
			}
		}
		t.mu.Unlock()
		if len(list) < 500 {
			return nil
		}
		after = list[len(list)-1].Key
	}
}

func (e *entry) pack() []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(e.due)), e.payload...)
}

func (e *entry) unpack(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	e.due, e.payload = int64(binary.LittleEndian.Uint64(b)), b[8:]
	return true
}

// add puts a timer into the queue, with mu held.
func (t *Timers) add(e *entry) {
	t.byKey[e.key] = e
	t.counts[e.owner]++
	heap.Push(&t.queue, e)
	t.wake(e)
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
	if t.counts[e.owner]--; t.counts[e.owner] == 0 {
		delete(t.counts, e.owner)
	}
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
