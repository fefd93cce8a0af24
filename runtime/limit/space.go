package limit

import (
	"context"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Space is a stage of its own behind the handlers, where it is known what of an event
// will be stored: it refuses what the tenant has no space for.
type Space struct{ quotas *Quotas }

// NewSpace makes the stage. A nil *Quotas refuses nothing.
func NewSpace(q *Quotas) *Space { return &Space{q} }

// Name is the stage's name in metrics.
func (*Space) Name() string { return "space" }

// smallEvent is how many bytes may be stored also when there is no space: a read
// marker, a membership.
const smallEvent = 512

// Process asks for the space that the event's durable effects take. What makes space
// is always let through, and so is what is small and no message: who is in a room,
// and how far it was read, has to go on.
func (s *Space) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	bytes, stores := 0, false
	for i := range ev.Effects {
		if ev.Effects[i].Durable {
			bytes, stores = bytes+len(ev.Effects[i].Data), true
		}
	}
	name := ev.Spec.Name
	small := bytes <= smallEvent && ev.Spec.Rate != event.RateMessage && name != createRoom
	if !stores || small || strings.HasSuffix(name, ":delete") {
		return pipeline.Pass, nil
	}
	if err := s.quotas.Store(ev.Tenant); err != nil {
		return pipeline.Reject, err
	}
	return pipeline.Pass, nil
}
