package sequence

import (
	"context"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Second asks whether an event that another stage has refused is a repeat: a
// sender whose ack was lost tries again, and what was permitted the first time may
// not be any more, because it was done (leaving a room). It takes durable actions
// with an id and a room that were refused as Forbidden, NotFound or Conflict, and
// returns false without any effect for other events.
//
// An event that was taken goes on through StageDeps.Continue, effects dropped: as a
// repeat if the log knows its id in its room; with the refusal if it does not; and
// with a retryable error if the log cannot tell, or takes no probe. A repeat is
// answered with the reply that its handler had given before it refused, else with
// what the action's reply requires, as far as the log knows that.
func (s *Stage) Second(ctx context.Context, ev *event.Event, refused error) bool {
	if ev.ID == "" || ev.Room == "" || ev.Spec == nil || !ev.Spec.Durable {
		return false
	}
	switch fault.Of(refused).Kind {
	case fault.Forbidden, fault.NotFound, fault.Conflict:
	default:
		return false
	}
	p := &probe{stage: s, ev: ev, refused: refused}
	p.Probe, p.Done = true, p
	p.Record.Tenant, p.Record.Room, p.Record.From = ev.Tenant, ev.Room, ev.From
	p.Record.Key = doubled(ev.ID) // as keyOf names the first effect
	if err := s.deps.Committer.Submit(ctx, &p.Submission); err != nil {
		p.Committed(Outcome{Err: err}) // the refusal would be final, and may be wrong
	}
	return true
}

// probe is an event's second chance.
type probe struct {
	Submission
	stage   *Stage
	ev      *event.Event
	refused error
}

// Committed takes what the log knows of the event.
func (p *probe) Committed(o Outcome) {
	ev, err := p.ev, o.Err
	ev.Effects = nil
	switch {
	case err == nil:
		ev.Stored, ev.StoredID, ev.Repeat, ev.Timestamp = o.Position, o.ID, true, o.Timestamp
		if ev.Reply == nil {
			ev.Respond(recalled(ev))
		}
	case fault.Is(err, fault.NotFound):
		err = p.refused
	}
	p.stage.deps.Continue(ev, err)
}

// recalled is the reply to a repeat as its action declares it: the room and the
// position of the first, and of what else is required, nothing.
func recalled(ev *event.Event) []byte {
	reply := []byte("{")
	for i := range ev.Spec.Reply {
		f := &ev.Spec.Reply[i]
		if !f.Required {
			continue
		}
		raw := nothing(f.Kind)
		switch f.Name {
		case "room":
			raw, _ = jsontext.AppendQuote(nil, ev.Room)
		case "epoch":
			raw, _ = jsontext.AppendQuote(nil, ev.Stored.Epoch)
		case "offset":
			raw = strconv.AppendUint(nil, ev.Stored.Offset, 10)
		}
		reply = event.AppendMember(reply, f.Name, raw)
	}
	return append(reply, '}')
}

func nothing(k event.Kind) []byte {
	switch k {
	case event.String:
		return []byte(`""`)
	case event.Int:
		return []byte("0")
	case event.Bool:
		return []byte("false")
	case event.Array:
		return []byte("[]")
	case event.Object, event.Map:
		return []byte("{}")
	}
	return []byte("null")
}
