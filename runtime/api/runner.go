package api

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Route is the pipeline.
type Route interface {
	Run(ctx context.Context, origin event.Origin, raw []byte, ticket uint64, received int64, deep bool) (wait bool)
	Now() int64
}

// Rooms knows the types of rooms and who may what in them.
type Rooms interface {
	Resolve(room string) (room.Name, room.TypeConfig, error)
	Admit(ctx context.Context, id *event.Identity, room string) (room.Admission, error)
	Direct(room string) (base string, ok bool)
}

// Reader finds rooms.
type Reader interface {
	Room(ctx context.Context, tenant, room string) (room.Info, bool, error)
	// RoomsOf lists the rooms that a user is a member of, at most limit.
	RoomsOf(ctx context.Context, tenant, user string, limit int) ([]string, error)
}

// RunnerDeps is what a Runner needs; all of it.
type RunnerDeps struct {
	Route  Route
	Rooms  Rooms
	Reader Reader
	// Decode reads an envelope from a client, in JSON.
	Decode func(raw []byte, env *event.Envelope) error
}

// Runner runs envelopes that come over no connection.
type Runner struct{ deps RunnerDeps }

// NewRunner makes a runner.
func NewRunner(d RunnerDeps) *Runner { return &Runner{d} }

// Speaker is who an envelope is from: a user, who may do there what the user may do
// in a session that has joined the room, or without a user the server itself.
type Speaker struct {
	Tenant, User, Device string
}

// Run takes one envelope through the route and waits for its answer. The answer's
// failure, and the end of ctx, is a *fault.Error, as a client would get it.
func (r *Runner) Run(ctx context.Context, who Speaker, room string, raw []byte) (event.Envelope, error) {
	p, _, err := r.begin(ctx, who, room, raw)
	if err != nil {
		return event.Envelope{}, err
	}
	return p.wait(ctx)
}

// pending is an envelope on its way.
type pending struct {
	*caller
	why error // why the speaker is not in the room; nil if it is
}

// begin starts an envelope. With wait true the next one must not begin before this
// one is answered.
func (r *Runner) begin(ctx context.Context, who Speaker, room string, raw []byte) (p *pending, wait bool, err error) {
	p = &pending{caller: &caller{
		id:     &event.Identity{Tenant: who.Tenant, User: who.User, Device: who.Device},
		decode: r.deps.Decode, room: room, ready: make(chan struct{}),
	}}
	if room != "" {
		if p.why = r.place(ctx, p.caller); fault.Is(p.why, fault.Unavailable) {
			return nil, false, p.why
		}
	}
	// Whoever asks may go away, and the event goes on.
	wait = r.deps.Route.Run(context.WithoutCancel(ctx), p.caller, raw, 0, r.deps.Route.Now(), false)
	return p, wait, nil
}

// place finds out what the caller may do in the event's room.
func (r *Runner) place(ctx context.Context, c *caller) error {
	if c.id.User == "" {
		return r.server(ctx, c)
	}
	adm, err := r.deps.Rooms.Admit(ctx, c.id, c.room)
	if err == nil && !adm.Enroll {
		c.member, c.joined = adm.Member, true
		return nil
	}
	if base, ok := r.deps.Rooms.Direct(c.room); ok {
		if in, failed := r.deps.Rooms.Admit(ctx, c.id, base); failed == nil && !in.Enroll {
			c.member = event.Membership{Publish: true, Durable: in.Member.Durable}
		}
	}
	if err == nil {
		err = fault.New(fault.Forbidden, "room", "the user is not a member of this room")
	}
	return err
}

// server lets the server itself into every room that is there.
func (r *Runner) server(ctx context.Context, c *caller) error {
	n, t, err := r.deps.Rooms.Resolve(c.room)
	if err != nil {
		return err
	}
	if t.Members {
		if _, err := existing(ctx, r.deps.Reader, c.id.Tenant, n.Base); err != nil {
			return err
		}
	}
	c.joined = true
	c.member = event.Membership{Publish: true, Moderate: true, Durable: t.Stream}
	if n.Feature == room.FeaturePresence { // presence itself speaks there
		c.member.Publish, c.member.Durable = false, false
	}
	return nil
}

// wait waits for the answer.
func (p *pending) wait(ctx context.Context) (event.Envelope, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		select {
		case <-p.ready: // all the same
		default:
			return event.Envelope{}, fault.Wrap("api.wait", fault.Timeout, ctx.Err())
		}
	}
	if p.said.Type != event.TypeError {
		return p.said, nil
	}
	bad := readFailure(p.said.Data)
	if p.why != nil && bad.Kind == fault.Forbidden && bad.Field == "room" {
		return p.said, p.why // which says more
	}
	return p.said, bad
}

// envelope writes a request as a client would.
func envelope(action, room, id string, data []byte) []byte {
	b := append(make([]byte, 0, 128+len(action)+len(room)+len(id)+len(data)), `{"type":"event"`...)
	if id != "" {
		b = jsonscan.AppendQuotedString(append(b, `,"id":`...), id)
	}
	if room != "" {
		b = jsonscan.AppendQuotedString(append(b, `,"room":`...), room)
	}
	b = jsonscan.AppendQuotedString(append(b, `,"payload":{"action":`...), action)
	if len(data) > 0 {
		b = append(append(b, `,"data":`...), data...)
	}
	return append(b, `}}`...)
}
