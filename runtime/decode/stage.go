package decode

import (
	"context"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Source is a connection that knows its dialect.
type Source interface {
	// DecodeEnvelope fills env from raw, as far as it can even when it fails; nothing
	// in env refers to raw afterwards.
	DecodeEnvelope(raw []byte, env *event.Envelope) error
}

// AckAction is the action that a client's cumulative acknowledgement runs as.
const AckAction = "session:ack"

// Stage decodes.
type Stage struct {
	actions map[string]*event.Action
	owned   Owned
	unknown event.Action // stands for all others, so that they too are limited and authorized
}

// Owned finds the declaration of an action that a tenant has of its own; nil: it has
// none of that name. id may be nil.
type Owned func(id *event.Identity, action string) *event.Action

// New makes the stage for these actions, and those that owned finds, which may be nil.
func New(actions []event.Action, owned Owned) *Stage {
	s := &Stage{
		owned:   owned,
		actions: make(map[string]*event.Action, len(actions)),
		unknown: event.Action{Name: "unknown", Permission: event.AnyUser, Rate: event.RateControl, Handle: refuse},
	}
	for i := range actions {
		s.actions[actions[i].Name] = &actions[i]
	}
	return s
}

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "decode" }

// Process fills the envelope and the declaration.
func (s *Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	err := ev.Origin.(Source).DecodeEnvelope(ev.Raw, &ev.Envelope)
	ev.Raw = nil
	if err != nil {
		return pipeline.Reject, err
	}
	switch ev.Type {
	case event.TypeAck:
		ev.Action = AckAction
	case event.TypeError:
		return pipeline.Reject, fault.New(fault.Invalid, "type", "clients send event, message or ack")
	}
	ev.Spec = s.actions[ev.Action]
	if ev.Spec == nil && s.owned != nil {
		ev.Spec = s.owned(ev.Origin.Identity(), ev.Action)
	}
	if ev.Spec == nil || ev.Action == AckAction && ev.Type != event.TypeAck {
		ev.Spec = &s.unknown
	}
	return pipeline.Pass, nil
}

// refuse is the handler of actions that nobody handles.
func refuse(_ context.Context, ev *event.Event) error {
	return fault.New(fault.UnknownAction, "payload.action", "no action is called "+quote(ev.Action))
}

// quote shows a client its own word, shortened.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return "\"" + s + "\""
}
