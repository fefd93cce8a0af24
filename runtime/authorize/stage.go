package authorize

import (
	"context"

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
	if perm == event.AnyUser {
		if ev.Room != "" && !ev.Origin.Identity().Grants(ev.Room) {
			return pipeline.Reject, fault.New(fault.Forbidden, "room", "the token does not grant this room")
		}
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
