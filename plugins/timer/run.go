package timer

import (
	"container/heap"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Run fires and changes timers until ctx ends.
func (t *Timers) Run(ctx context.Context) error {
	changing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg, makers sync.WaitGroup
	for range changers {
		makers.Go(func() { t.make(changing) }) // ends with stop
	}
	defer func() { // last: those who fire wait for what they change
		stop()
		makers.Wait()
		t.end()
	}()
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
	for len(t.queue) > 0 {
		now := t.deps.Now()
		if wait := t.queue[0].due - now.UnixMilli(); wait > 0 {
			return nil, time.Duration(min(wait, int64(time.Hour/time.Millisecond))) * time.Millisecond
		}
		if e := t.admit(heap.Pop(&t.queue).(*entry), now); e != nil {
			return e, 0
		}
	}
	return nil, time.Hour
}

// admit is the timer that may fire when the time of one, or of a gate, has come; nil: its
// plugin has to wait. There is a gate in the queue for as long as timers are late. mu is
// held.
func (t *Timers) admit(e *entry, now time.Time) *entry {
	own := t.owners[e.owner]
	switch {
	case own == nil: // the gate of one that is gone
		return nil
	case !e.gate && len(own.late) == 0:
		if t.spend(own, e.tenant, now) {
			return e
		}
		own.late = append(own.late, e)
		t.gate(e.owner, now)
		return nil
	case !e.gate:
		if own.late = append(own.late, e); len(own.late) > 2*own.count+16 { // most were set again
			own.late = slices.DeleteFunc(own.late, t.stale)
		}
		return nil
	}
	for len(own.late) > 0 && t.stale(own.late[0]) {
		own.late = own.late[1:]
	}
	if len(own.late) == 0 {
		own.late = nil
		return nil
	}
	if !t.spend(own, e.tenant, now) {
		t.gate(e.owner, now)
		return nil
	}
	first := own.late[0]
	if own.late = own.late[1:]; len(own.late) > 0 {
		t.gate(e.owner, now)
	}
	return first
}

// stale reports whether a timer was set again, or taken back, with mu held.
func (t *Timers) stale(e *entry) bool { return t.byKey[e.key] != e }

// spend takes a firing out of a plugin's budget, with mu held. A tenth of a second's may
// come at once.
func (t *Timers) spend(own *owned, tenant string, now time.Time) bool {
	if t.deps.Rate == nil {
		return true
	}
	perSecond := t.deps.Rate(tenant)
	burst := max(1, int(perSecond/10))
	switch {
	case own.budget == nil:
		own.budget = rate.NewLimiter(rate.Limit(perSecond), burst)
	case own.budget.Limit() != rate.Limit(perSecond):
		own.budget.SetLimitAt(now, rate.Limit(perSecond))
		own.budget.SetBurstAt(now, burst)
	}
	return own.budget.AllowN(now, 1)
}

// gate has Run look after a plugin's late timers when there is budget for one, with mu
// held.
func (t *Timers) gate(o owner, now time.Time) {
	wait := math.Ceil(1000 / max(1, t.deps.Rate(o.tenant)))
	heap.Push(&t.queue, &entry{key: key{owner: o}, gate: true, due: now.UnixMilli() + int64(wait)})
}

// Times between tries of a timer that fails.
const (
	firstRetry = time.Second
	lastRetry  = 10 * time.Minute
	busyRetry  = time.Minute // at most, of a plugin that was not asked
	maxTries   = 20          // then it is given up
)

// fire calls the plugin, and forgets the timer if it was not set again meanwhile.
func (t *Timers) fire(ctx context.Context, e *entry) {
	if !t.current(e) { // it has waited
		return
	}
	payload, err := t.read(ctx, e)
	if errors.Is(err, errNotNow) {
		return
	}
	if !t.current(e) { // the payload may be the one of another time
		return
	}
	firing := Firing{
		Tenant: e.tenant, Plugin: e.plugin, Name: e.name, ID: strconv.FormatUint(e.id, 36), Payload: payload, Due: time.UnixMilli(e.first),
	}
	busy := err != nil // the store is
	if err == nil {
		if err = t.deps.Fire(ctx, firing); err != nil && t.deps.Busy != nil {
			busy = t.deps.Busy(err)
		}
	}
	if t.over(ctx, e, err, busy) && err != nil {
		t.deps.Log.Error("a plugin's timer is given up", "tenant", e.tenant, "plugin", e.plugin, "timer", e.name, "tries", maxTries, "error", err)
		if t.deps.GivenUp != nil {
			t.deps.GivenUp(firing, maxTries, err)
		}
	}
}

func (t *Timers) current(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.stale(e)
}

// read is the payload of a timer that is about to fire here.
func (t *Timers) read(ctx context.Context, e *entry) ([]byte, error) {
	if t.deps.Nodes != nil {
		return t.take(ctx, e)
	}
	kept, found, err := t.deps.Cells.Cell(ctx, e.tenant, tablePrefix+e.plugin, e.name)
	if err != nil {
		return nil, err
	}
	var as entry
	payload, ok := as.unpack(kept)
	if !found || !ok {
		return nil, errors.New("the timer is not kept any more")
	}
	return payload, nil
}

// over is what becomes of a timer that has fired, and reports whether that was the last
// time.
func (t *Timers) over(ctx context.Context, e *entry, err error, busy bool) (last bool) {
	t.mu.Lock()
	own := t.owners[e.owner]
	t.mu.Unlock()
	if own == nil { // it is gone
		own = &owned{}
	}
	own.writing.Lock()
	defer own.writing.Unlock()
	if last = t.settle(ctx, e, err, busy); last {
		t.forget(e)
	}
	return last
}

// settle is over without the store.
func (t *Timers) settle(ctx context.Context, e *entry, err error, busy bool) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.Failed.Add(1)
	} else {
		t.Fired.Add(1)
	}
	if t.stale(e) {
		return false
	}
	if err != nil && ctx.Err() != nil {
		return false // it is kept, and fires after the restart
	}
	var pause time.Duration
	if busy {
		e.busy++
		pause = min(busyRetry, firstRetry<<min(e.busy-1, 20))
	} else {
		e.busy = 0
		e.failed++
		pause = min(lastRetry, firstRetry<<min(e.failed-1, 20))
	}
	if err != nil && e.failed < maxTries {
		e.due = t.deps.Now().Add(pause).UnixMilli()
		heap.Push(&t.queue, e)
		t.wake(e)
		return false
	}
	t.remove(e)
	return true
}

// forget deletes a timer that is over, unless another node has set it again.
func (t *Timers) forget(e *entry) {
	var err error
	if t.deps.Nodes == nil {
		err = t.deps.Cells.PutCellsSoon(e.tenant, tablePrefix+e.plugin, cell.Cell{Key: e.name})
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), storeTime)
		defer cancel()
		_, err = t.deps.Cells.SwapCells(ctx, e.tenant, tablePrefix+e.plugin, []cell.Cell{{Key: e.name, Value: e.claim}}, []cell.Cell{{Key: e.name}})
	}
	if err != nil {
		t.deps.Log.Error("a plugin's timer that has fired could not be removed: it may fire again after a restart", "tenant", e.tenant, "plugin", e.plugin, "timer", e.name, "error", err)
	}
}
