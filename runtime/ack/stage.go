package ack

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Answerer is a connection that takes the answer to one of its events.
type Answerer interface {
	EncodeAnswer(env *event.Envelope) *frame.Frame
	// Answer sends f, which may be nil, when the ticket's turn has come.
	Answer(ticket uint64, f *frame.Frame, then Then)
}

// Noter is told of events that were refused.
type Noter interface {
	Event(ev *event.Event, kind fault.Kind)
}

// Stage answers events: with an ack those that ask for one, with an error all
// that were refused.
type Stage struct {
	refused Noter
	log     *slog.Logger
	now     func() time.Time
	counts  counts
}

// NewStage makes the stage for these actions, which it counts.
func NewStage(log *slog.Logger, now func() time.Time, actions []event.Action, refused Noter) *Stage {
	return &Stage{refused: refused, log: log, now: now, counts: newCounts(actions)}
}

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "ack" }

// Process sends the answer and counts how the event ended.
func (s *Stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	to := ev.Origin.(Answerer)
	if ev.Dropped {
		to.Answer(ev.Ticket, nil, 0) // its place in the line
		return pipeline.Pass, nil
	}
	if ev.Err != nil {
		f := fault.Of(ev.Err)
		s.counts.refused(ev, f.Kind)
		s.refused.Event(ev, f.Kind)
		if f.Err != nil {
			level := slog.LevelDebug // the client's own fault, or that of a plugin, whose developer is told
			if f.Kind.Status() >= 500 && f.Kind != fault.PluginFailed {
				level = slog.LevelWarn
			}
			s.log.Log(ctx, level, "an event failed", "action", ev.Action, "tenant", ev.Tenant, "room", ev.Room, "error", ev.Err)
		}
		env := ErrorEnvelope(f)
		env.Ref, env.Call, env.Action, env.Tenant = ev.ID, ev.Call, ev.Action, ev.Tenant
		if ev.Spec != nil && (f.Kind != fault.Invalid || f.Field != "room") {
			env.Room = ev.Room // otherwise it may be the name of no room
		}
		env.Timestamp = s.now().UnixMilli()
		to.Answer(ev.Ticket, to.EncodeAnswer(&env), 0)
		return pipeline.Pass, nil
	}
	s.counts.done(ev)
	var then Then
	for i := range ev.Effects {
		switch ev.Effects[i].Kind {
		case event.Join:
			then |= StartRooms
		case event.End:
			then |= Hangup
		}
	}
	var f *frame.Frame
	if ev.ID != "" || ev.Call != 0 {
		f = to.EncodeAnswer(s.ack(ev))
	}
	to.Answer(ev.Ticket, f, then)
	return pipeline.Pass, nil
}

func (s *Stage) ack(ev *event.Event) *event.Envelope {
	env := event.Envelope{
		Type: event.TypeAck, ID: ev.StoredID, Ref: ev.ID, Call: ev.Call, Tenant: ev.Tenant, Room: ev.Room,
		Position: ev.Stored, Action: ev.Action, Data: ev.Reply, Timestamp: ev.Timestamp,
	}
	for i := range ev.Effects {
		if e := &ev.Effects[i]; e.Durable {
			if e.Room != ev.Room { // a position of another room would mislead
				env.Position = event.Position{}
			}
			break
		}
	}
	if env.Timestamp == 0 {
		env.Timestamp = s.now().UnixMilli()
	}
	if ev.Repeat {
		env.Data = withRepeat(ev.Reply)
	}
	if env.Data == nil {
		env.Data = []byte("{}")
	}
	return &env
}

// withRepeat adds "repeat":true to an object.
func withRepeat(data []byte) []byte {
	if len(data) <= len("{}") {
		return []byte(`{"repeat":true}`)
	}
	return append([]byte(`{"repeat":true,`), data[1:]...)
}

// ErrorEnvelope is the wire form of a failure (docs/PROTOCOL.md).
func ErrorEnvelope(f *fault.Error) event.Envelope {
	b := append(make([]byte, 0, 192), `{"code":`...)
	b = jsonscan.AppendQuotedString(b, f.Kind.Code())
	b = jsonscan.AppendQuotedString(append(b, `,"message":`...), f.Message())
	if f.Field != "" {
		b = jsonscan.AppendQuotedString(append(b, `,"field":`...), f.Field)
	}
	b = strconv.AppendBool(append(b, `,"retryable":`...), f.Kind.Retryable())
	if after := f.After.Milliseconds(); after != 0 {
		b = strconv.AppendInt(append(b, `,"retry_after_ms":`...), after, 10)
	}
	return event.Envelope{Type: event.TypeError, Data: append(b, '}')}
}

// Counts are the events of one action by how they ended.
type Counts struct {
	Action string
	Done   uint64
	Repeat uint64
	Failed map[string]uint64 // by fault code
}

// Stats reads the counters of all actions.
func (s *Stage) Stats() []Counts { return s.counts.read() }
