package sequence

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Known reports whether an event with an id is stored already, in its own room and as
// its sender's. It waits for the committer's answer, not for the disk.
func (s *Stage) Known(ctx context.Context, ev *event.Event) (bool, error) {
	if ev.ID == "" || ev.Room == "" {
		return false, nil
	}
	k := &asked{outcome: make(chan Outcome, 1)}
	k.Probe, k.Done = true, k
	k.Record.Tenant, k.Record.Room, k.Record.From = ev.Tenant, ev.Room, ev.From
	k.Record.Key = doubled(ev.ID) // as keyOf names the first effect
	if err := s.deps.Committer.Submit(ctx, &k.Submission); err != nil {
		return false, err
	}
	select {
	case o := <-k.outcome:
		if fault.Is(o.Err, fault.NotFound) {
			return false, nil
		}
		return o.Err == nil, o.Err
	case <-ctx.Done(): // nobody takes the outcome then
		return false, fault.Wrap("sequence.known", fault.Timeout, ctx.Err())
	}
}

// asked is a probe that somebody waits for.
type asked struct {
	Submission
	outcome chan Outcome
}

// Committed takes what the log knows.
func (a *asked) Committed(o Outcome) { a.outcome <- o }
