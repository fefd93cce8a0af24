package timer

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Run fires timers until ctx ends.
func (t *Timers) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range firers {
		wg.Go(func() { // ends with ctx
			for {
				e, done, ok := t.due.Take(ctx)
				if !ok {
					return
				}
				t.fire(ctx, e)
				done()
			}
		})
	}
	defer wg.Wait()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		e, wait := t.next()
		if e != nil {
			t.due.Put(e.tenant, e)
			continue
		}
		alarm.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-t.stir:
		case <-alarm.C:
		}
	}
}

// next takes the timer whose time has come, or says how long to wait for the next.
func (t *Timers) next() (*entry, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Hour
	}
	if wait := t.queue[0].due - t.deps.Now().UnixMilli(); wait > 0 {
		return nil, time.Duration(min(wait, int64(time.Hour/time.Millisecond))) * time.Millisecond
	}
	return heap.Pop(&t.queue).(*entry), 0
}

// Times between tries of a timer that fails.
const (
	firstRetry = time.Second
	lastRetry  = 10 * time.Minute
	maxTries   = 20 // then it is given up
)

// fire calls the plugin, and forgets the timer if it was not set again meanwhile.
func (t *Timers) fire(ctx context.Context, e *entry) {
	t.mu.Lock()
	gone := t.byKey[e.key] != e // it has waited
	t.mu.Unlock()
	if gone {
		return
	}
	err := t.deps.Fire(ctx, Firing{Tenant: e.tenant, Plugin: e.plugin, Name: e.name, Payload: e.payload, Due: time.UnixMilli(e.due)})
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.Failed.Add(1)
	} else {
		t.Fired.Add(1)
	}
	if t.byKey[e.key] != e { // it was set again, or taken back
		return
	}
	if err != nil && ctx.Err() != nil {
		return // it is kept, and fires after the restart
	}
	if e.tries++; err != nil && e.tries < maxTries {
		pause := min(lastRetry, firstRetry<<min(e.tries-1, 20))
		e.due = t.deps.Now().Add(pause).UnixMilli()
		heap.Push(&t.queue, e)
		t.wake(e)
		return
	}
	if err != nil {
		t.deps.Log.Error("a plugin's timer is given up", "tenant", e.tenant, "plugin", e.plugin, "timer", e.name, "tries", e.tries, "error", err)
	}
	t.remove(e)
	if err := t.deps.Cells.PutCellsSoon(e.tenant, tablePrefix+e.plugin, cell.Cell{Key: e.name}); err != nil {
		t.deps.Log.Error("a plugin's timer that has fired could not be removed: it may fire again after a restart", "tenant", e.tenant, "plugin", e.plugin, "timer", e.name, "error", err)
	}
}
