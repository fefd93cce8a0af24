package builtin

import (
	"context"

	"github.com/heddle-rt/heddle/builtin/chat"
	"github.com/heddle-rt/heddle/builtin/direct"
	"github.com/heddle-rt/heddle/builtin/presence"
	"github.com/heddle-rt/heddle/builtin/room"
	"github.com/heddle-rt/heddle/builtin/typing"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	rooms "github.com/heddle-rt/heddle/runtime/room"
)

// Deps is what handlers read.
type Deps struct {
	Rooms    *rooms.Rooms
	Reader   rooms.Reader
	History  rooms.History
	Notes    rooms.Notes
	JSON     room.Encoder // of envelopes inside payloads
	Typing   *typing.Typing
	Presence *presence.Presence
	Devices  direct.Devices
}

// All lists the actions of all builtins.
func All(d Deps) []event.Action {
	var all []event.Action
	all = append(all, chat.Actions(chat.Deps{Reader: d.Reader, History: d.History, Notes: d.Notes})...)
	all = append(all, room.Actions(room.Deps{
		Rooms: d.Rooms, Reader: d.Reader, History: d.History, Notes: d.Notes, Fold: chat.NewFolder(d.History, d.Notes), JSON: d.JSON,
	})...)
	all = append(all, direct.Actions(direct.Deps{Devices: d.Devices})...)
	all = append(all, d.Presence.Actions()...)
	return append(all, d.Typing.Actions()...)
}

// Projections lists, by action, how durable records become rows of tables.
func Projections() map[string]rooms.Projection {
	all := map[string]rooms.Projection{}
	for _, p := range []map[string]rooms.Projection{chat.Projections(), presence.Projections(), room.Projections()} {
		for action, project := range p {
			all[action] = project
		}
	}
	return all
}

// Stage calls handlers.
type Stage struct{}

// NewStage makes the stage.
func NewStage() *Stage { return &Stage{} }

// Name is the stage's name in metrics.
func (*Stage) Name() string { return "builtin" }

// Process runs the handler of the event's action, and puts what plugins want behind
// what that does.
func (*Stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	if !ev.Settled {
		if err := ev.Spec.Handle(ctx, ev); err != nil {
			return pipeline.Reject, err
		}
	}
	for i := range ev.Later {
		ev.Emit(ev.Later[i])
	}
	return pipeline.Pass, nil
}
