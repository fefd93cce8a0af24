package authorize

import (
	"context"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Stage refuses what is not permitted.
type Stage struct{}

// New makes the stage.
func New() *Stage { return &Stage{} }

// Name is the stage's name in metrics.
func (*Stage) Name() string { return "authorize" }

// Process checks the action's permission.
func (*Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	opened, perm := ev.Origin.Opened(), ev.Spec.Permission
	switch {
	case perm == event.BeforeSession && opened:
		return pipeline.Reject, fault.New(fault.Conflict, "payload.action", "the session is open already")
	case perm == event.BeforeSession:
		return pipeline.Pass, nil
	case !opened:
		return pipeline.Reject, fault.New(fault.SessionRequired, "payload.action", "")
	}
	if ev.Room != "" && !Granted(ev.Origin.Identity().Rooms, ev.Room) {
		return pipeline.Reject, fault.New(fault.Forbidden, "room", "the token does not grant this room")
	}
	if perm == event.AnyUser {
		return pipeline.Pass, nil
	}
	m, joined := ev.Origin.Member(ev.Room)
	switch {
	case !joined:
		return pipeline.Reject, fault.New(fault.Forbidden, "room", "the session has not joined this room")
	case perm == event.Publisher && !m.Publish:
		return pipeline.Reject, fault.New(fault.Forbidden, "room", "this room is read-only for this user")
	case perm == event.Moderator && !m.Moderate:
		return pipeline.Reject, fault.New(fault.Forbidden, "room", "moderators only")
	}
	return pipeline.Pass, nil
}

// Granted reports whether one of the patterns names the room. A pattern is a
// room's name, or the beginning of one followed by "*". No patterns at all grant
// every room.
func Granted(patterns []string, room string) bool {
	if patterns == nil {
		return true
	}
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(room, prefix) || p == room {
			return true
		}
	}
	return false
}
