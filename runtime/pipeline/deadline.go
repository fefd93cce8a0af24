package pipeline

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that makes its timer only when somebody waits for it:
// nearly all slow actions are done long before, and a timer for each would cost a
// tenth of opening a session.
type deadline struct {
	context.Context
	at time.Time

	mu     sync.Mutex
	ended  bool
	timed  context.Context
	cancel context.CancelFunc
}

func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Err is set whenever Done is closed: contexts made of this one rely on that.
func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return context.Canceled
	}
	return nil
}

func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.ended {
			d.cancel()
		}
	}
	return d.timed.Done()
}

// end lets go of the timer. Who waits all the same is told that it is over.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel() // under the lock: whoever is woken asks Err
	}
}
