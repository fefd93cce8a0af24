package sequence

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Second asks whether an event that another stage has refused is a repeat: a
// sender whose ack was lost tries again, and what was permitted the first time may
// not be any more, because it was done (leaving a room). It takes durable actions
// with an id and a room that were refused as Forbidden, NotFound or Conflict, and
// returns false without any effect for other events, and if the partition takes
// no probe.
//
// An event that was taken goes on through StageDeps.Continue, effects and reply dropped:
// as a repeat if the log knows its id in its room; with the refusal if it does not;
// and with a retryable error if the log cannot tell. Like a Submit, a probe waits
// at most SubmitTimeout for a place in the queue.
func (s *Stage) Second(ctx context.Context, ev *event.Event, refused error) bool {
	if ev.ID == "" || ev.Room == "" || ev.Spec == nil || !ev.Spec.Durable {
		return false
	}
	switch fault.Of(refused).Kind {
	case fault.Forbidden, fault.NotFound, fault.Conflict:
	default:
		return false
	}
	p := &probe{stage: s, ev: ev, refused: refused}
	p.Probe, p.Done = true, p
	p.Record.Tenant, p.Record.Room, p.Record.From = ev.Tenant, ev.Room, ev.From
	p.Record.Key = doubled(ev.ID) // as keyOf names the first effect
	return s.deps.Committer.Submit(ctx, &p.Submission) == nil
}

// probe is an event's second chance.
type probe struct {
	Submission
	stage   *Stage
	ev      *event.Event
	refused error
}

// Committed takes what the log knows of the event.
func (p *probe) Committed(o Outcome) {
	ev, err := p.ev, o.Err
	ev.Effects, ev.Reply = nil, nil
	switch {
	case err == nil:
		ev.Stored, ev.StoredID, ev.Repeat, ev.Timestamp = o.Position, o.ID, true, o.Timestamp
	case fault.Is(err, fault.NotFound):
		err = p.refused
	}
	p.stage.deps.Continue(ev, err)
}
