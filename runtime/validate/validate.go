package validate

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Stage checks events.
type Stage struct{}

// New is the stage.
func New() Stage { return Stage{} }

// Name is what the stage is called in metrics.
func (Stage) Name() string { return "validate" }

// Process rejects an event whose envelope or payload does not match its action's
// declaration, and stores the raw members of a payload that does.
func (Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	if err := Envelope(&ev.Envelope, ev.Spec); err != nil {
		return pipeline.Reject, err
	}
	if ev.Type == event.TypeAck {
		return pipeline.Pass, nil
	}
	if err := Payload(ev.Spec.Payload, ev.Data, ev.SetArg); err != nil {
		return pipeline.Reject, err
	}
	return pipeline.Pass, nil
}

// Envelope checks what is around the payload: id, room, and in a client's ack the
// epoch. spec is nil in an ack.
func Envelope(env *event.Envelope, spec *event.Action) error {
	ack := env.Type == event.TypeAck
	switch {
	case !ack && spec == nil:
		return fault.New(fault.UnknownAction, "payload.action", "")
	case env.ID != "" && !isID(env.ID):
		return fault.New(fault.Invalid, "id", badID)
	case ack && !event.IsEpoch(env.Epoch):
		return fault.New(fault.Invalid, "epoch", badEpoch)
	case env.Room != "":
		return RoomName(env.Room)
	case ack || spec.NeedsRoom:
		return fault.New(fault.Invalid, "room", "is missing")
	}
	return nil
}
