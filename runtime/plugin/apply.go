package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// Bounds of what a plugin may say.
const (
	maxText  = 1 << 10   // of a refusal
	maxExtra = 16 << 10  // of all attributes together
	maxName  = 32        // of an attribute
	maxReply = 256 << 10 // of an answer
)

// change is what a version wants of one event, before any of it is done.
type change struct {
	service *Service
	ev      *event.Event
	version *host.Version
	hook    hostapi.Hook
	again   bool // the event is stored already

	emits   int
	refused *fault.Error
	settled bool
	data    []byte // in the place of the event's; nil for no other
	room    string
	extra   []byte                     // attributes
	set     map[string]json.RawMessage // all of them, once one is set; nil before
	reply   []byte
	later   []event.Effect
	debt    debt
}

// check looks at all of it. An error is the plugin's failure, and then nothing of it is
// done.
func (c *change) check(ctx context.Context, actions []hostapi.Action) error {
	*c = change{service: c.service, ev: c.ev, version: c.version, hook: c.hook, again: c.again, room: c.ev.Room, extra: c.ev.Extra, debt: debt{paid: c.debt.paid}}
	for i := range actions {
		if err := c.add(ctx, &actions[i]); err != nil || c.refused != nil {
			return err
		}
	}
	if err := c.attributes(); err != nil {
		return err
	}
	return c.debt.pay(c.service.deps.Outside, c.version.Plugin())
}

func (c *change) add(ctx context.Context, a *hostapi.Action) error {
	if !hostapi.Permits(c.hook, a.Kind) {
		return unplaced(c.hook, a.Kind)
	}
	switch a.Kind {
	case hostapi.Drop:
		return c.drop(a)
	case hostapi.Replace:
		return c.replace(a.A)
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
	return nil
}

func (c *change) drop(a *hostapi.Action) (err error) {
	if c.again {
		return nil
	}
	c.refused, c.settled, err = refusal(a)
	return err
}

// refusal is how a drop is told; nil if it is not.
func refusal(a *hostapi.Action) (f *fault.Error, silent bool, err error) {
	text := string(a.A)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	switch hostapi.DropCode(a.Code) {
	case hostapi.DropForbidden:
		return fault.New(fault.Forbidden, "", text), false, nil
	case hostapi.DropInvalid:
		field, why, found := strings.Cut(text, ": ")
		if !found || strings.ContainsAny(field, " \n") {
			field, why = "payload.data", text
		}
		return fault.New(fault.Invalid, field, why), false, nil
	case hostapi.DropRateLimited:
		f := fault.New(fault.RateLimited, "", text)
		f.After = time.Duration(max(0, min(a.Number, int64(time.Hour/time.Millisecond)))) * time.Millisecond
		return f, false, nil
	case hostapi.DropSilently:
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("drop: there is no code %d", a.Code)
}

// replace looks at another payload as at a sender's own.
func (c *change) replace(data []byte) error {
	if c.ev.Spec.Payload.Secret() {
		return fmt.Errorf("replace: the payload of %s is not a plugin's to change", c.ev.Action)
	}
	if err := validate.Payload(c.ev.Spec.Payload, data, func(int, []byte) {}); err != nil {
		return fmt.Errorf("replace: the action does not take this payload: %w", err)
	}
	if c.data = data; data == nil {
		c.data = []byte{} // of which nobody takes it that there is none
	}
	return nil
}

func (c *change) attribute(name string, value []byte) error {
	if !event.IsUser(name) || len(name) > maxName || !json.Valid(value) {
		return fmt.Errorf("set_attr: %.200q is no name, or its value is not JSON", name)
	}
	if c.set == nil {
		c.set = map[string]json.RawMessage{}
		if c.extra != nil {
			_ = json.Unmarshal(c.extra, &c.set) // it is our own
		}
	}
	c.set[name] = value
	return nil
}

// attributes writes those that were set: once, since there may be thousands.
func (c *change) attributes() error {
	if c.set == nil {
		return nil
	}
	text, err := json.Marshal(c.set)
	if err != nil || len(text) > maxExtra {
		return fmt.Errorf("set_attr: attributes of more than %d bytes", maxExtra)
	}
	c.extra = text
	return nil
}

func (c *change) route(name string) error {
	if !c.version.Manifest.Can(hostapi.CapEmit) {
		return fmt.Errorf("route: the manifest does not ask for the capability %s", hostapi.CapEmit)
	}
	if err := validate.RoomName(name); err != nil {
		return fmt.Errorf("route: %.200q is no room", name)
	}
	if _, _, err := c.service.deps.Rooms.Resolve(name); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	c.room = name
	return nil
}

func (c *change) answer(a *hostapi.Action) error {
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
	if c.again {
		return nil
	}
	if need := a.Kind.Needs(); !c.version.Manifest.Can(need) {
		return fmt.Errorf("%v: the manifest does not ask for the capability %s", a.Kind, need)
	}
	p, hosts, out, who := c.version.Plugin(), c.version.Manifest.Hosts, c.service.deps.Outside, who(c.ev)
	if out == nil {
		return fmt.Errorf("%v: this node does not do that", a.Kind)
	}
	c.debt.add(&a)
	c.later = append(c.later, event.Effect{Kind: event.Perform, Do: func() {
		switch a.Kind {
		case hostapi.HTTP:
			out.HTTP(p, hosts, who, a)
		case hostapi.SetTimer:
			out.SetTimer(p, a)
		default:
			out.CancelTimer(p, a)
		}
	}})
	return nil
}

// make does it.
func (c *change) make() {
	ev := c.ev
	if c.data != nil {
		for i := range ev.Spec.Payload {
			ev.SetArg(i, nil)
		}
		ev.Data = c.data
		_ = validate.Payload(ev.Spec.Payload, c.data, ev.SetArg) // it was looked at
	}
	ev.Room, ev.Extra = c.room, c.extra
	if c.settled {
		ev.Settled = true
	}
	if c.reply != nil {
		ev.Respond(c.reply)
	}
	ev.Later = append(ev.Later, c.later...)
}
