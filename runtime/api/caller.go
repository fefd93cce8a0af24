package api

import (
	"context"
	"sync"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/limit"
)

// caller is the origin of one event that comes over no connection. Without a user
// the server itself speaks.
type caller struct {
	id     *event.Identity
	decode func(raw []byte, env *event.Envelope) error

	account limit.Account // new for each event: keys have budgets of their own
	room    string        // of the event
	member  event.Membership
	joined  bool

	said  event.Envelope // the answer, once it is made
	over  sync.Once
	ready chan struct{} // closed when there is an answer
}

func (c *caller) Identity() *event.Identity { return c.id }

// Opened is true: there is nothing to open.
func (c *caller) Opened() bool { return true }

// Member answers for the event's own room, which handlers ask about.
func (c *caller) Member(room string) (event.Membership, bool) {
	if room != c.room {
		return event.Membership{}, false
	}
	return c.member, c.joined
}

func (c *caller) DecodeEnvelope(raw []byte, env *event.Envelope) error { return c.decode(raw, env) }

func (c *caller) Account() *limit.Account { return &c.account }

// CloseFor is called where a connection would end: there is none. If the route has
// failed so that no answer will come, this is it.
func (c *caller) CloseFor(kind fault.Kind, _ string) {
	if kind == fault.Internal {
		c.finish(ack.ErrorEnvelope(fault.New(kind, "", "")))
	}
}

// JoinRoom and LeaveRoom do nothing: nothing is received here. A user's sessions
// follow what the user's own room is told.
func (c *caller) JoinRoom(context.Context, string, event.Position, event.Membership, bool) error {
	return nil
}

func (c *caller) LeaveRoom(context.Context, string) {}

// EncodeAnswer takes the answer as it is.
func (c *caller) EncodeAnswer(env *event.Envelope) *frame.Frame {
	c.said = *env
	return nil
}

// Answer ends the wait.
func (c *caller) Answer(uint64, *frame.Frame, ack.Then) { c.finish(c.said) }

func (c *caller) finish(env event.Envelope) {
	c.over.Do(func() {
		c.said = env
		close(c.ready)
	})
}
