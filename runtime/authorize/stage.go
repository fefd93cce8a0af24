package authorize

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Rules are conditions beside the permissions.
type Rules interface {
	// Check is the reason why an event that is permitted so far may not happen; nil
	// if it may.
	Check(ev *event.Event) error
}

// Stage refuses what is not permitted.
type Stage struct{ rules []Rules }

// New makes the stage. All of rules have to agree.
func New(rules ...Rules) *Stage { return &Stage{rules} }

// Name is the stage's name in metrics.
func (*Stage) Name() string { return "authorize" }

// Process checks the action's permission, then the rules.
func (s *Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	if err := permitted(ev); err != nil {
		return pipeline.Reject, err
	}
	for _, r := range s.rules {
		if err := r.Check(ev); err != nil {
			return pipeline.Reject, err
		}
	}
	return pipeline.Pass, nil
}

// follower is an Origin that joins rooms by itself when its user is added to them.
type follower interface {
	// Following reports whether it is about to.
	Following() bool
}

// permitted holds the event to its action's declaration.
func permitted(ev *event.Event) error {
	opened, perm := ev.Origin.Opened(), ev.Spec.Permission
	switch {
	case perm == event.BeforeSession && opened:
		return fault.New(fault.Conflict, "payload.action", "the session is open already")
	case perm == event.BeforeSession:
		return nil
	case !opened:
		return fault.New(fault.SessionRequired, "payload.action", "")
	}
	if err := granted(ev); err != nil || perm == event.AnyUser {
		return err
	}
	m, joined := ev.Origin.Member(ev.Room)
	switch {
	case !joined && !(perm == event.Publisher && m.Publish):
		if f, ok := ev.Origin.(follower); ok && f.Following() {
			return fault.New(fault.Changed, "room", "the session is joining rooms")
		}
		return fault.New(fault.Forbidden, "room", "the session has not joined this room")
	case perm == event.Publisher && !m.Publish:
		return fault.New(fault.Forbidden, "room", "this room is read-only for this user")
	case perm == event.Moderator && !m.Moderate:
		return fault.New(fault.Forbidden, "room", "moderators only")
	}
	return nil
}

// granted holds the event to the token: what limits actions leaves reading. A room that the session has joined without
// a grant is one that everybody has: the user's own.
func granted(ev *event.Event) error {
	id := ev.Origin.Identity()
	switch {
	case ev.Room == "" || id.Allows(ev.Room, ev.Spec.Name):
		return nil
	case id.Grants(ev.Room):
		if Reading(ev.Spec.Name) {
			return nil
		}
		return fault.New(fault.Forbidden, "payload.action", "the token does not grant this action in this room")
	case ev.Spec.Permission == event.AnyUser:
		return fault.New(fault.Forbidden, "room", "the token does not grant this room")
	}
	return nil
}
