package session

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// reading is the frame at hand. It belongs to the goroutine that reads the
// connection, or to the worker that it waits for.
type reading struct {
	payload   []byte
	received  int64 // when it came, on the route's clock
	malformed int32 // frames and envelopes until now
	binary    bool
}

// early is what a session needs until it is open.
type early struct {
	pipeline.Task
	s       *Session
	changes []roomChange // of the user's rooms; guarded by Session.mu
}

// Work handles the frame at hand on a worker.
func (e *early) Work() { e.s.envelopes(true) }

// Panicked ends the connection.
func (e *early) Panicked() { e.s.conn.CloseWith(fault.Internal, "") }

// Frame takes one message of the connection, on its reading goroutine; payload
// may be used until it returns. The message is not passed on as arguments: see
// handle.
func (s *Session) Frame(payload []byte, binary bool) {
	s.payload, s.binary = payload, binary
	s.handle()
}

// handle has a worker handle frames that come before the session is open. Most
// connections send little after that: so their own stacks stay as small as they
// began, if what lies below Workers.Do fits into it.
func (s *Session) handle() {
	switch {
	case s.Opened():
		s.envelopes(false)
	case !s.m.deps.Workers.Do(&s.early.Task):
		s.turnAway()
	}
}

// turnAway is apart from handle for the sake of its stack.
func (s *Session) turnAway() { s.conn.CloseWith(fault.Draining, "") }

// envelopes runs each envelope of the frame at hand through the route. The node's
// end does not cut them short: the sockets end before the route does.
func (s *Session) envelopes(deep bool) {
	ctx := context.Background()
	s.received = s.m.deps.Route.Now()
	err := error(nil)
	if s.binary != s.dialect.Binary() {
		err = fault.New(fault.Malformed, "", "the subprotocol "+s.dialect.Name()+" uses the other kind of frame")
	} else {
		err = s.dialect.Split(s.payload, s.m.cfg.Batch, func(raw []byte) error {
			if !deep && s.conn.Queued() > answersWait {
				// A client that asks faster than it reads waits for its answers, but not on a
				// worker, which others need: one that has just opened is closed instead.
				_ = s.conn.Drained(ctx, answersWait) // or its connection is over
			}
			if s.m.deps.Route.Run(ctx, s, raw, s.line.Begin(s.m.cfg.InFlight), s.received, deep) {
				s.line.Wait()
			}
			return nil
		})
	}
	s.payload = nil
	if err != nil {
		s.unreadable(err)
	}
}

// answersWait is how many bytes may wait for a client before its next event is
// run: together with one page of history they fit into its queue.
const answersWait = 256 << 10

// unreadable answers a frame that holds no envelopes.
func (s *Session) unreadable(err error) {
	env := ack.ErrorEnvelope(fault.Of(err))
	env.Timestamp = s.m.deps.Now().UnixMilli()
	s.line.End(s.line.Begin(s.m.cfg.InFlight), s.EncodeAnswer(&env), 0, s)
	s.m.deps.Suspects.Frame(s)
	s.garbled()
}

// garbled counts what could not be read, and at last gives up.
func (s *Session) garbled() {
	s.m.Malformed.Add(1)
	if s.malformed++; int(s.malformed) == s.m.cfg.Malformed {
		s.conn.CloseWith(fault.Malformed, "too many unreadable frames")
	}
}
