package timer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Change sets a timer in the place of one with the same name, or takes one back; there
// may be none.
type Change struct {
	Name    string
	Cancel  bool
	Delay   time.Duration
	Payload []byte

	id uint64 // of the firing, where another node has chosen it; 0: none has
}

// ErrBusy says that too many changes of timers wait.
var ErrBusy = errors.New("timer: too many changes of timers wait")

// Bounds of changes that wait.
const (
	soonBytes = 32 << 20 // a tenant's half of it is as much as a policy has written at once
	changers  = 8        // some may wait for a node that has just died
)

// changes are those that one call wants.
type changes struct {
	owner
	at    time.Time // when they were wanted
	limit int
	list  []Change
	done  func(error)
}

// size is about what they hold, in bytes.
func (c *changes) size() (n int64) {
	for i := range c.list {
		n += cell.Cost(c.list[i].Name, c.list[i].Payload) + packed
	}
	return n
}

// Soon makes changes of a plugin's timers, which are paid for, behind all that its tenant
// has wanted before. It does not wait for the store, nor for others' changes: who
// completes events is not to be held up. done is called once, by whoever makes them, or
// sees that it cannot be done: then nobody makes them, or some are none that can be made,
// and the others are. limit bounds the plugin's timers.
func (t *Timers) Soon(tenant, plugin string, limit int, list []Change, done func(error)) {
	c := &changes{owner{tenant, plugin}, t.deps.Now(), limit, list, done}
	t.ending.RLock()
	defer t.ending.RUnlock()
	switch {
	case t.ended:
		c.done(t.have(context.Background(), c))
	case !t.soon.PutSized(tenant, c, c.size()):
		c.done(ErrBusy)
	}
}

// make makes changes until ctx ends.
func (t *Timers) make(ctx context.Context) {
	for {
		c, done, ok := t.soon.Take(ctx)
		if !ok {
			return
		}
		c.done(t.have(context.Background(), c))
		done()
	}
}

// end makes what waits. Whatever comes later is made at once by who wants it: the events
// of a node that ends are completed to the last one.
func (t *Timers) end() {
	t.ending.Lock()
	defer t.ending.Unlock()
	t.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), handTime) // for all of them
	defer cancel()
	for _, c := range t.soon.Rest() {
		c.done(t.have(ctx, c))
	}
}

// change makes them with one write, all that can be. The error is that of the first that
// can not.
func (t *Timers) change(c *changes) error {
	t.mu.Lock()
	if !t.there(c.owner) { // or else Drop has been there already
		t.mu.Unlock()
		return ErrGone
	}
	own := t.own(c.owner)
	t.mu.Unlock()
	own.writing.Lock()
	defer own.writing.Unlock()
	t.mu.Lock()
	cells, next, refused := t.plan(c)
	t.mu.Unlock()
	if len(cells) > 0 {
		if err := t.deps.Cells.PutCellsSoon(c.tenant, tablePrefix+c.plugin, cells...); err != nil {
			return fmt.Errorf("%d timers are not set, or not taken back: %w", len(cells), err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.there(c.owner) || !t.mine(c.owner) { // they are where they are kept
		return refused
	}
	for name, e := range next {
		t.remove(t.byKey[key{c.owner, name}])
		if e != nil {
			t.add(e)
		}
	}
	return refused
}

// plan is what is to be written, and by its name what stands behind the changes, nil if
// nothing does; with mu held.
func (t *Timers) plan(c *changes) (cells []cell.Cell, next map[string]*entry, refused error) {
	next = make(map[string]*entry, len(c.list))
	count, others := 0, 0
	if own := t.owners[c.owner]; own != nil {
		count = own.count
	}
	for i := range c.list {
		one := &c.list[i]
		k := key{c.owner, one.Name}
		was, changed := next[one.Name]
		if !changed {
			was = t.byKey[k]
		}
		switch err := one.may(was != nil, count, c.limit); {
		case err != nil && refused != nil:
			others++
		case err != nil:
			refused = fmt.Errorf("set_timer %.200q: %w", one.Name, err)
		case !one.Cancel:
			e, value := &entry{key: k}, pack(c.at.Add(one.Delay).UnixMilli(), cmp.Or(one.id, rand.Uint64()), one.Payload)
			e.unpack(value)
			cells = append(cells, cell.Cell{Key: one.Name, Value: value})
			if next[one.Name] = e; was == nil {
				count++
			}
		case was != nil:
			cells = append(cells, cell.Cell{Key: one.Name})
			next[one.Name] = nil
			count--
		}
	}
	if others > 0 {
		refused = fmt.Errorf("%w; and %d other timers of this call are not set", refused, others)
	}
	return cells, next, refused
}

// may reports why a change can not be made. was says that there is a timer of that name.
func (c *Change) may(was bool, count, limit int) error {
	switch {
	case c.Cancel:
		return nil
	case c.Name == "" || len(c.Name) > MaxName || len(c.Payload) > MaxPayload || c.Delay < 0 || c.Delay > MaxDelay:
		return ErrInvalid
	case !was && count >= limit:
		return ErrTooMany
	}
	return nil
}
