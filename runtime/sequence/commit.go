package sequence

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// waiter is a caller that waits for one outcome.
type waiter chan Outcome

func (w waiter) Committed(o Outcome) { w <- o }

// Direct stores what the node itself says.
type Direct struct{ Submitter }

// Commit stores one durable effect, and waits. It returns the *fault.Error that refuses
// it. When ctx ends first, that is a Timeout, and whether the effect is, or will be,
// stored is not known.
func (d Direct) Commit(ctx context.Context, e event.Effect) error {
	done := make(waiter, 1)
	s := &Submission{Done: done}
	s.take(&e)
	if err := d.Submit(ctx, s); err != nil {
		return err
	}
	select {
	case o := <-done:
		return o.Err
	case <-ctx.Done(): // the outcome comes all the same, and nobody takes it
		return fault.Wrap("sequence.commit", fault.Timeout, ctx.Err())
	}
}
