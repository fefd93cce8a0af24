package plugin

import (
	"context"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

var permissions = map[string]event.Permission{
	"any": event.AnyUser, "participant": event.Participant, "publisher": event.Publisher, "moderator": event.Moderator,
}

// Action is the declaration of an action that a plugin of the tenant owns; nil: none
// does.
func (s *Service) Action(id *event.Identity, name string) *event.Action {
	if id == nil {
		return nil
	}
	p := s.deps.Host.For(id.Tenant).Owner(name)
	if p == nil {
		return nil
	}
	a := p.Owned(name)
	if a == nil {
		return nil
	}
	return &event.Action{
		Name: name, Doc: a.Doc, NeedsRoom: !a.NoRoom, Durable: a.Durable, Permission: permissions[a.Permission], Rate: event.RateMessage,
		Handle: s.handle,
	}
}

// handle asks the plugin that owns the event's action, and brings the event to its
// room if the plugin lets it pass.
func (s *Service) handle(ctx context.Context, ev *event.Event) error {
	p := s.deps.Host.For(ev.Origin.Identity().Tenant).Owner(ev.Action)
	if p == nil {
		return fault.New(fault.UnknownAction, "payload.action", "the plugin that knew it is gone")
	}
	v := p.Choose(who(ev))
	if v == nil {
		return fault.New(fault.UnknownAction, "payload.action", "the plugin that knew it is gone")
	}
	defer v.Release()
	a := v.Action(ev.Action)
	if a == nil {
		return fault.New(fault.UnknownAction, "payload.action", "this version of the plugin does not know it")
	}
	room := ev.Room
	if err := s.ask(ctx, ev, v, hostapi.HookHandle); err != nil {
		return err
	}
	if ev.Room != room && !ev.Settled {
		if err := s.rerouted(ctx, ev, room); err != nil {
			return err
		}
	}
	if !a.Silent && !ev.Settled && ev.Room != "" {
		ev.Emit(s.passed(ev, a))
	}
	return nil
}

// rerouted asks the plugins of the room that the event's owner has routed it to. Those that
// are bound to the room which it comes from have been asked.
func (s *Service) rerouted(ctx context.Context, ev *event.Event, from string) error {
	subject := subjectOf(ev)
	before := subject
	before.Room = from
	return s.consult(ctx, ev, s.deps.Host.For(ev.Origin.Identity().Tenant), &subject, &before)
}

// passed is the event itself, as others get it.
func (s *Service) passed(ev *event.Event, a *manifest.Action) event.Effect {
	e := event.Effect{Envelope: event.Envelope{
		Type: event.TypeEvent, Tenant: ev.Origin.Identity().Tenant, Room: ev.Room, From: ev.From, Action: ev.Action, Data: withExtra(ev.Data, ev.Extra),
	}}
	_, t, err := s.deps.Rooms.Resolve(ev.Room)
	if e.Durable = a.Durable && err == nil && t.Stream; e.Durable {
		e.Type = event.TypeMessage
	} else {
		e.Timestamp = s.deps.Now().UnixMilli()
	}
	return e
}

// attributes is the member of a payload that plugins have set. In an action of a plugin's
// own the sender may have one, too, since it is the plugin's to say what the payload is.
const attributes = "attributes"

// withExtra is a payload with the attributes that plugins have set, in the place of what
// the sender calls so.
func withExtra(data, extra []byte) []byte {
	if extra == nil {
		return data
	}
	out := append(make([]byte, 0, len(data)+len(extra)+len(attributes)+len(`"":,`)), '{')
	if object(data) {
		i, more := jsonscan.First(data, jsonscan.Space(data, 0), '}')
		for more {
			end, escaped, _ := jsonscan.String(data, i) // data is valid: validate has seen it
			name := data[i+1 : end-1]
			if escaped {
				name = jsonscan.AppendUnescaped(nil, name)
			}
			from, _ := jsonscan.Colon(data, end)
			to, _ := jsonscan.Value(data, from, 0)
			if string(name) != attributes {
				if len(out) > 1 {
					out = append(out, ',')
				}
				out = append(append(append(out, data[i:end]...), ':'), data[from:to]...)
			}
			i, more, _ = jsonscan.Next(data, to, '}')
		}
	}
	return append(event.AppendMember(out, attributes, extra), '}')
}
