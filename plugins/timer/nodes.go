package timer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Nodes are those of a cluster. One of them has a plugin's timers: it alone changes and
// fires them.
type Nodes interface {
	// Mine reports whether that is this one.
	Mine(tenant, plugin string) bool
	// Hand brings changes to the Take of the node that has them, and waits for its answer. A
	// retryable error says that it is not known whether they were made.
	Hand(ctx context.Context, tenant, plugin string, changes []byte) (answer []byte, err error)
}

// Times that nodes wait for each other.
const (
	handTime  = 5 * time.Second // for changes to be made
	handPause = 50 * time.Millisecond
	claimTime = 30 * time.Second // for who fires a timer, before another one does that has it by then
	storeTime = 10 * time.Second
)

func (t *Timers) mine(o owner) bool {
	return t.deps.Nodes == nil || t.deps.Nodes.Mine(o.tenant, o.plugin)
}

// Settle has the timers of a plugin be here if this node has them, and not if it has not.
// again: also those that another node may have set since.
func (t *Timers) Settle(ctx context.Context, tenant, plugin string, again bool) error {
	o := owner{tenant, plugin}
	t.mu.Lock()
	loaded := t.loaded[o]
	t.mu.Unlock()
	switch mine := t.mine(o); {
	case !mine && loaded:
		t.Unload(func(of, name string) bool { return of == tenant && name == plugin })
	case mine && (again || !loaded):
		return t.Load(ctx, tenant, plugin)
	}
	return nil
}

// handed are changes on their way to another node.
type handed struct {
	Tenant string `json:"tenant"`
	Plugin string `json:"plugin"`
	At     int64  `json:"at"` // Unix milliseconds
	Limit  int    `json:"limit"`
	List   []one  `json:"list"`
}

type one struct {
	Name    string `json:"name"`
	Cancel  bool   `json:"cancel,omitempty"`
	Delay   int64  `json:"delay,omitempty"` // milliseconds
	Payload []byte `json:"payload,omitempty"`
	ID      uint64 `json:"id,omitempty"` // the same however often it is handed over
}

func (c *changes) hand() []byte {
	h := handed{Tenant: c.tenant, Plugin: c.plugin, At: c.at.UnixMilli(), Limit: c.limit}
	for i := range c.list {
		l := &c.list[i]
		h.List = append(h.List, one{l.Name, l.Cancel, l.Delay.Milliseconds(), l.Payload, rand.Uint64()})
	}
	b, _ := json.Marshal(&h) // of which all can be
	return b
}

// have makes changes where the plugin's timers are.
func (t *Timers) have(ctx context.Context, c *changes) error {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	for b := []byte(nil); ; {
		switch {
		case t.mine(c.owner):
			return t.changeLoaded(ctx, c)
		case !t.there(c.owner):
			return ErrGone
		case b == nil:
			b = c.hand()
		}
		said, err := t.deps.Nodes.Hand(ctx, c.tenant, c.plugin, b)
		switch {
		case err == nil && len(said) == 0:
			return nil
		case err == nil:
			return errors.New(string(said))
		case ctx.Err() != nil || !fault.Of(err).Kind.Retryable():
			return err
		}
		pause := time.NewTimer(handPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// changeLoaded is change, with all timers of the plugin here.
func (t *Timers) changeLoaded(ctx context.Context, c *changes) error {
	if t.deps.Nodes != nil {
		if err := t.Settle(ctx, c.tenant, c.plugin, false); err != nil {
			return err
		}
	}
	return t.change(c)
}

var errElsewhere = fault.New(fault.Unavailable, "", "another node has the plugin's timers")

// Take makes changes that another node has handed over. The answer is why some could not
// be made.
func (t *Timers) Take(ctx context.Context, b []byte) (answer []byte, err error) {
	var h handed
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, fault.Wrap("timer.take", fault.Internal, err)
	}
	c := &changes{owner: owner{h.Tenant, h.Plugin}, at: time.UnixMilli(h.At), limit: h.Limit}
	for _, l := range h.List {
		c.list = append(c.list, Change{Name: l.Name, Cancel: l.Cancel, Delay: time.Duration(l.Delay) * time.Millisecond, Payload: l.Payload, id: l.ID})
	}
	if !t.mine(c.owner) {
		return nil, errElsewhere
	}
	switch err := t.changeLoaded(ctx, c); {
	case errors.Is(err, ErrGone): // or it comes
		return nil, errElsewhere
	case err != nil:
		return []byte(err.Error()), nil
	}
	return nil, nil
}

// errNotNow says that a timer does not fire here, or not yet.
var errNotNow = errors.New("timer: it is not to fire now")

// take has nobody else fire a timer for a while, and returns its payload. What others have
// made of it is taken over.
func (t *Timers) take(ctx context.Context, e *entry) (payload []byte, err error) {
	table := tablePrefix + e.plugin
	kept, _, err := t.deps.Cells.Cell(ctx, e.tenant, table, e.name)
	if err != nil {
		return nil, err
	}
	is := &entry{key: e.key}
	payload, ok := is.unpack(kept)
	now := t.deps.Now()
	switch {
	case !t.mine(e.owner):
		t.instead(e, nil)
	case !ok:
		t.instead(e, nil) // it has fired, or was taken back
	case is.id != e.id || is.due > now.UnixMilli() && !bytes.Equal(kept, e.claim):
		t.instead(e, is)
	default:
		claim := pack(now.Add(claimTime).UnixMilli(), e.id, payload)
		ok, err := t.deps.Cells.SwapCells(ctx, e.tenant, table, []cell.Cell{{Key: e.name, Value: kept}}, []cell.Cell{{Key: e.name, Value: claim}})
		if err != nil {
			return nil, err
		}
		if ok {
			e.claim = claim
			return payload, nil
		}
		is.due = now.Add(firstRetry).UnixMilli() // then it is looked at again
		t.instead(e, is)
	}
	return nil, errNotNow
}

// instead puts another timer, or none, in the place of one.
func (t *Timers) instead(e, other *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale(e) {
		return
	}
	t.remove(e)
	if other != nil {
		t.add(other)
	}
}
