package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/decode"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	stage "github.com/heddle-rt/heddle/runtime/plugin"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// addedGoal is how many nanoseconds a plugin may add to an event.
const addedGoal = 1000

// passenger is a plugin in the route.
type passenger struct {
	name, file, mode, action, more string
}

func passengers() []passenger {
	const meta = "payload: none\n"
	return []passenger{
		{"C, no-op", "c/bench", manifest.Pooled, "bench:noop", ""},
		{"C, metadata only", "c/bench", manifest.Pooled, "bench:meta", meta},
		{"Go, no-op", "go/heddle", manifest.Pooled, "bench:noop", ""},
		{"Go, metadata only", "go/heddle", manifest.Pooled, "bench:meta", meta},
		{"C, no-op", "c/bench", manifest.Stateless, "bench:noop", ""},
		{"C, metadata only", "c/bench", manifest.Stateless, "bench:meta", meta},
		{"Go, no-op", "go/heddle", manifest.Stateless, "bench:noop", ""},
		{"Go, metadata only", "go/heddle", manifest.Stateless, "bench:meta", meta},
	}
}

// route measures what a plugin adds to an event in the whole route, with the stages of a
// node for an ephemeral event in a room where nobody else is.
func (b *Bench) route(ctx context.Context) (*Report, error) {
	r := &Report{}
	base, err := b.newRoute(nil)
	if err != nil {
		return nil, err
	}
	list := []contestant{{"no plugin", base.events("bench:noop")}}
	var asked []passenger
	for _, p := range passengers() {
		code, err := b.guest(ctx, p.file)
		if err != nil {
			r.leave(p.name+", "+p.mode, err)
			continue
		}
		h, err := newHost(b.engine, newCells(), nil)
		if err != nil {
			return nil, err
		}
		defer h.Close()
		if _, err := deployed(ctx, h, "passenger", p.mode, code, p.more); err != nil {
			return nil, err
		}
		route, err := b.newRoute(h)
		if err != nil {
			return nil, err
		}
		list, asked = append(list, contestant{p.name + ", " + p.mode, route.events(p.action)}), append(asked, p)
	}
	times, err := b.inTurns(ctx, list)
	if err != nil {
		return nil, err
	}
	t := r.table("An event of 256 bytes through the route", "plugin", "mode", "ns", "from–to", "added ns", "added, fastest rounds", "Go allocations")
	t.row("none", "", times[0].median, times[0].spread(), "", "", times[0].allocs)
	for i, p := range asked {
		more := added(&times[i+1], &times[0])
		t.row(p.name, p.mode, times[i+1].median, times[i+1].spread(), more, times[i+1].low-times[0].low, times[i+1].allocs)
		if p.mode == manifest.Pooled {
			r.below(fmt.Sprintf("added to an event by a plugin (%s, %s)", p.name, p.mode), more, "ns", addedGoal)
		}
	}
	r.note("The route is decode (JSON), authenticate, limit, validate, authorize, plugins, builtin (a handler that emits to its room), deliver, ack: all that an ephemeral event meets in a node but the socket. Batches of one.")
	r.note("stateless puts the guest's memory back after each event, which is part of the figure and has goals of its own (`instances`); keyed modes cost what pooled does.")
	r.note("What else runs on a machine makes rounds longer and never shorter: where it is busy, the fastest rounds say more.")
	return r, nil
}

// route is one, with who sends.
type route struct {
	pipeline *pipeline.Pipeline
	sender   *sender
}

func (b *Bench) newRoute(h *host.Host) (*route, error) {
	if h == nil {
		var err error
		if h, err = newHost(b.engine, newCells(), nil); err != nil {
			return nil, err
		}
	}
	limits, err := defaults[limit.Config]()
	if err != nil {
		return nil, err
	}
	limits.MessageRate, limits.MessageBurst, limits.User = 1e6, 1e6, limit.Budget{Rate: 1e6, Burst: 1e6}
	log := slog.New(slog.DiscardHandler)
	hub := deliver.New(deliver.Config{Readers: 1}, deliver.Deps{Log: log})
	var actions []event.Action
	for _, name := range []string{"bench:noop", "bench:meta"} {
		actions = append(actions, event.Action{
			Name: name, NeedsRoom: true, Permission: event.Publisher, Rate: event.RateMessage,
			Payload: event.Payload{{Name: "text", Kind: event.String, Required: true, Max: 1000}}, Handle: tell,
		})
	}
	s := &sender{id: event.Identity{Tenant: tenant, User: "ann", Device: "phone"}}
	service := stage.New(stage.Deps{Host: h, Actions: actions, Log: log, Now: time.Now})
	p := pipeline.New(pipeline.Deps{Log: log}, pipeline.NewWorkers(1, log),
		decode.New(actions, service.Action), authenticate.NewStage(nil, time.Now), limit.New(limits), validate.New(), authorize.New(), service,
		builtin.NewStage(), deliver.NewStage(hub), ack.NewStage(log, time.Now, actions, s),
	)
	return &route{p, s}, nil
}

// tell is a handler: everybody in the room gets the event.
func tell(_ context.Context, ev *event.Event) error {
	ev.Emit(event.Effect{Envelope: event.Envelope{
		Type: event.TypeMessage, ID: ev.ID, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: ev.Action, Data: ev.Data,
	}})
	return nil
}

// events brings n events to the route.
func (r *route) events(action string) func(n int) error {
	raw := []byte(`{"v":1,"type":"message","id":"01JB000000000000","room":"conv:42","payload":{"action":"` + action + `","data":{"text":"` + strings.Repeat("x", 256-11) + `"}}}`)
	return func(n int) error {
		for range n {
			r.pipeline.Run(context.Background(), r.sender, raw, 0, r.pipeline.Now(), true)
		}
		if r.sender.refused != nil {
			return fmt.Errorf("refused: %w", r.sender.refused)
		}
		return nil
	}
}

// sender is a connection with a session; nobody reads its answers.
type sender struct {
	id      event.Identity
	account limit.Account
	refused error
}

func (s *sender) Identity() *event.Identity { return &s.id }
func (s *sender) Account() *limit.Account   { return &s.account }
func (s *sender) Opened() bool              { return true }
func (s *sender) Member(string) (event.Membership, bool) {
	return event.Membership{Publish: true}, true
}

func (s *sender) DecodeEnvelope(raw []byte, env *event.Envelope) error {
	return native.JSON{}.Decode(raw, env)
}

func (s *sender) EncodeAnswer(env *event.Envelope) *frame.Frame {
	return native.JSON{}.Encode(env, 0, "")
}

func (s *sender) Answer(uint64, *frame.Frame, ack.Then) {}

func (s *sender) CloseFor(_ fault.Kind, text string) { s.refused = errors.New(text) }

// Event is told of events that were refused.
func (s *sender) Event(ev *event.Event, _ fault.Kind) { s.refused = ev.Err }
