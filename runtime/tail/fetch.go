package tail

import (
	"context"
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// use is what read says of a room's entry, which may be there or not.
func (t *Tail) use(n name, read func(e *entry)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.rooms[n]; e != nil {
		t.used.MoveToFront(e.place)
		read(e)
	}
}

// fetch asks the base, once for all who ask the same before the room changes. ask is given
// the room's entry, of which nothing is dropped before it returns.
func fetch[T any](ctx context.Context, t *Tail, n name, what string, ask func(context.Context, *entry) (T, error)) (T, error) {
	t.mu.Lock()
	changed := t.evicted
	if e := t.rooms[n]; e != nil {
		changed = e.changed
	}
	t.mu.Unlock()
	result := t.flights.DoChan(fmt.Sprintf("%q %q %d %s", n.tenant, n.room, changed, what), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.cfg.Timeout)
		defer cancel()
		e := t.pin(n)
		defer t.unpin(e)
		return ask(ctx, e)
	})
	var none T
	select {
	case r := <-result:
		if r.Err != nil {
			return none, baseError(r.Err)
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return none, fault.Wrap("tail.read", fault.Timeout, ctx.Err())
	}
}

// baseError gives an error of the base a kind, if it has none.
func baseError(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, room.ErrTrimmed) {
		return err
	}
	return fault.Wrap("tail.read", fault.Unavailable, err)
}

func (t *Tail) pin(n name) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(n)
	e.pins++
	return e
}

func (t *Tail) unpin(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.pins--
	t.settle(e)
}

// answer is what a read of one thing finds: a nil value if there is none.
type answer struct {
	value any
	known bool
}

func (t *Tail) look(n name, k key) (a answer) {
	t.use(n, func(e *entry) { a.value, a.known = e.known(k) })
	return a
}

// point reads one thing. ask reads it from the base, and says how many bytes it takes.
func (t *Tail) point(ctx context.Context, n name, k key, ask func(context.Context) (any, int, error)) (any, error) {
	if a := t.look(n, k); a.known {
		return a.value, nil
	}
	a, err := fetch(ctx, t, n, k.String(), func(ctx context.Context, e *entry) (answer, error) {
		if a := t.look(n, k); a.known {
			return a, nil
		}
		value, size, err := ask(ctx)
		if err != nil {
			return answer{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		e.learn(k, value, size)
		value, known := e.known(k)
		return answer{value, known}, nil
	})
	return a.value, err
}
