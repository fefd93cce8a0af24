package deliver

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Joiner is a session whose rooms an event may change.
type Joiner interface {
	// JoinRoom makes the session a subscriber, standing at a position. Durable events
	// flow once the answer to the event has been queued. A room joined already stays
	// where it stands, unless it is to go back and get what followed again.
	JoinRoom(ctx context.Context, room string, at event.Position, m event.Membership, again bool) error
	LeaveRoom(ctx context.Context, room string)
}

// Emitter brings ephemeral events to the sessions of their room.
type Emitter interface {
	// Emit delivers an event. Of two with the same merge key, only the newer stays in a slow
	// client's queue.
	Emit(env *event.Envelope, merge string)
}

// Stage carries out an event's ephemeral effects.
type Stage struct{ emit Emitter }

// NewStage delivers through the hub, or what brings events to those of all nodes.
func NewStage(e Emitter) *Stage { return &Stage{emit: e} }

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "deliver" }

// Process publishes ephemeral effects, makes joins and leaves, and performs. An event that
// was a repeat does none of it: its first run did, and what it brought about then
// may have been taken back since.
func (s *Stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	for i := range ev.Effects {
		e := &ev.Effects[i]
		switch {
		case ev.Repeat:
		case e.Kind == event.Join:
			if err := ev.Origin.(Joiner).JoinRoom(ctx, e.Room, e.Position, e.Member, e.Again); err != nil {
				return pipeline.Reject, err
			}
		case e.Kind == event.Perform:
			e.Do()
		case e.Kind == event.Leave:
			ev.Origin.(Joiner).LeaveRoom(ctx, e.Room)
		case e.Kind == event.Publish && !e.Durable:
			s.emit.Emit(&e.Envelope, e.Merge)
		}
	}
	return pipeline.Pass, nil
}
