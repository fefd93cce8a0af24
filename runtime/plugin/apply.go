package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// refusal is an event that a plugin has refused, as it may.
type refusal struct{ fault *fault.Error }

func (r *refusal) Error() string { return r.fault.Error() }

// Bounds of what a plugin may say.
const (
	maxText  = 1 << 10   // of a refusal
	maxExtra = 16 << 10  // of all attributes together
	maxName  = 32        // of an attribute
	maxReply = 256 << 10 // of an answer
)

// apply does what a version wants done about an event. An error that is no refusal is
// the plugin's failure, and then nothing of it is done.
func (s *Service) apply(ctx context.Context, ev *event.Event, v *host.Version, j *pool.Job) error {
	if len(j.Actions) == 0 {
		return nil
	}
	c := change{service: s, ev: ev, version: v, room: ev.Room, extra: ev.Extra}
	for i := range j.Actions {
		if err := c.add(ctx, &j.Actions[i]); err != nil {
			return err
		}
	}
	return c.make()
}

// change is what a version wants of one event, before any of it is done.
type change struct {
	service *Service
	ev      *event.Event
	version *host.Version

	settled bool
	data    []byte // in the place of the event's; nil for no other
	room    string
	extra   []byte
	reply   []byte
	later   []event.Effect
}

func (c *change) add(ctx context.Context, a *hostapi.Action) error {
	switch a.Kind {
	case hostapi.Drop:
		return c.drop(a)
	case hostapi.Replace:
		c.data = a.A
		return nil
	case hostapi.SetAttr:
		return c.attribute(string(a.A), a.B)
	case hostapi.Emit:
		return c.emit(ctx, a)
	case hostapi.Route:
		return c.route(string(a.A))
	case hostapi.Reply:
		return c.answer(a)
	case hostapi.HTTP, hostapi.SetTimer, hostapi.CancelTimer:
		return c.outside(*a)
	}
	return fmt.Errorf("action %v has no place here", a.Kind)
}

func (c *change) drop(a *hostapi.Action) error {
	text := string(a.A)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	switch hostapi.DropCode(a.Code) {
	case hostapi.DropForbidden:
		return &refusal{fault.New(fault.Forbidden, "", text)}
	case hostapi.DropInvalid:
		field, why, found := strings.Cut(text, ": ")
		if !found || strings.ContainsAny(field, " \n") {
			field, why = "payload.data", text
		}
		return &refusal{fault.New(fault.Invalid, field, why)}
	case hostapi.DropRateLimited:
		f := fault.New(fault.RateLimited, "", text)
		f.After = time.Duration(max(0, min(a.Number, int64(time.Hour/time.Millisecond)))) * time.Millisecond
		return &refusal{f}
	case hostapi.DropSilently:
		c.settled = true
		return nil
	}
	return fmt.Errorf("drop: there is no code %d", a.Code)
}

func (c *change) attribute(name string, value []byte) error {
	if !event.IsUser(name) || len(name) > maxName || !json.Valid(value) {
		return fmt.Errorf("set_attr: %q is no name, or its value is not JSON", name)
	}
	all := map[string]json.RawMessage{}
	if c.extra != nil {
		_ = json.Unmarshal(c.extra, &all) // it is our own
	}
	all[name] = value
	text, err := json.Marshal(all)
	if err != nil || len(text) > maxExtra {
		return fmt.Errorf("set_attr: attributes of more than %d bytes", maxExtra)
	}
	c.extra = text
	return nil
}

func (c *change) route(name string) error {
	if err := validate.RoomName(name); err != nil {
		return fmt.Errorf("route: %q is no room", name)
	}
	if _, _, err := c.service.deps.Rooms.Resolve(name); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	c.room = name
	return nil
}

func (c *change) answer(a *hostapi.Action) error {
	if c.version.Action(c.ev.Action) == nil {
		return errors.New("reply: only events with an action of the plugin's own, and HTTP requests, are answered")
	}
	if !object(a.A) || len(a.A) > maxReply {
		return fmt.Errorf("reply: want a JSON object of at most %d bytes", maxReply)
	}
	c.reply = a.A
	return nil
}

func object(b []byte) bool {
	return json.Valid(b) && len(b) > 0 && strings.TrimLeft(string(b), " \t\r\n")[0] == '{'
}

func (c *change) outside(a hostapi.Action) error {
	if need := a.Kind.Needs(); !c.version.Manifest.Can(need) {
		return fmt.Errorf("%v: the manifest does not ask for the capability %s", a.Kind, need)
	}
	p, hosts, out := c.version.Plugin(), c.version.Manifest.Hosts, c.service.deps.Outside
	if out == nil {
		return fmt.Errorf("%v: this node does not do that", a.Kind)
	}
	c.later = append(c.later, event.Effect{Kind: event.Perform, Do: func() {
		switch a.Kind {
		case hostapi.HTTP:
			out.HTTP(p, hosts, a)
		case hostapi.SetTimer:
			out.SetTimer(p, a)
		default:
			out.CancelTimer(p, a)
		}
	}})
	return nil
}

// make does it.
func (c *change) make() error {
	ev := c.ev
	if c.data != nil {
		if err := replace(ev, c.data); err != nil {
			return err
		}
	}
	ev.Room, ev.Extra = c.room, c.extra
	if c.settled {
		ev.Settled = true
	}
	if c.reply != nil {
		ev.Respond(c.reply)
	}
	ev.Later = append(ev.Later, c.later...)
	return nil
}

// replace gives the event another payload, which is checked as a sender's own. It is
// checked before anything of the old one is gone.
func replace(ev *event.Event, data []byte) error {
	if err := validate.Payload(ev.Spec.Payload, data, func(int, []byte) {}); err != nil {
		return fmt.Errorf("replace: the action does not take this payload: %w", err)
	}
	for i := range ev.Spec.Payload {
		ev.SetArg(i, nil)
	}
	ev.Data = data
	return validate.Payload(ev.Spec.Payload, data, ev.SetArg)
}

// given are the attributes that plugins before have set.
func given(extra []byte) (out []hostapi.Attribute) {
	if extra == nil {
		return nil
	}
	var all map[string]json.RawMessage
	_ = json.Unmarshal(extra, &all) // it is our own
	for name, raw := range all {
		out = append(out, hostapi.Attribute{Name: name, Type: hostapi.AttrJSON, Text: raw})
	}
	return out
}
