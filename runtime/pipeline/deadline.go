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

	once   sync.Once
	timed  context.Context
	cancel context.CancelFunc
}

func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

func (d *deadline) Done() <-chan struct{} {
	d.once.Do(func() { d.timed, d.cancel = context.WithDeadline(d.Context, d.at) })
	return d.timed.Done()
}

// end lets go of the timer. Nobody waits any more.
func (d *deadline) end() {
	if d.cancel != nil {
		d.cancel()
	}
}
