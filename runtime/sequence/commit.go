package sequence

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
)

// waiter is a caller that waits for one outcome.
type waiter chan Outcome

func (w waiter) Committed(o Outcome) { w <- o }

// Commit stores one durable effect of the node itself, and waits. It returns the
// *fault.Error that refuses it.
func (c *Committer) Commit(ctx context.Context, e event.Effect) error {
	done := make(waiter, 1)
	s := &Submission{Done: done}
	s.take(&e)
	if err := c.Submit(ctx, s); err != nil {
		return err
	}
	return (<-done).Err // every submission that was taken has an outcome
}
