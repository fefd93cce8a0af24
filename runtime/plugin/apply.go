package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
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
	wants
	ev    *event.Event
	again bool // the event is stored already

	refused *fault.Error
	settled bool
	data    []byte // in the place of the event's; nil for no other
	room    string
	extra   []byte                     // attributes
	set     map[string]json.RawMessage // all of them, once one is set; nil before
	reply   []byte
}

// check looks at all of it. An error is the plugin's failure, and then nothing of it is
// done.
func (c *change) check(ctx context.Context, actions []hostapi.Action) error {
	*c = change{wants: c.wants, ev: c.ev, again: c.again, room: c.ev.Room, extra: c.ev.Extra}
	c.wants.again()
	for i := range actions {
		if err := c.add(ctx, &actions[i]); err != nil || c.refused != nil {
			return err
		}
	}
	if err := c.attributes(); err != nil {
		return err
	}
	return c.pay()
}

func (c *change) add(ctx context.Context, a *hostapi.Action) error {
	if err := c.may(a.Kind); err != nil {
		return err
	}
	switch a.Kind {
	case hostapi.Drop:
		return c.drop(a)
	case hostapi.Replace:
		return c.replace(a.A)
	case hostapi.SetAttr:
		return c.attribute(string(a.A), a.B)
	case hostapi.Route:
		return c.route(string(a.A))
	case hostapi.Reply:
		return c.answer(a)
	case hostapi.HTTP, hostapi.SetTimer, hostapi.CancelTimer:
		if c.again {
			return nil
		}
		return c.wants.add(ctx, a)
	case hostapi.Emit:
		return c.wants.add(ctx, a)
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
	if !event.IsUser(name) || len(name) > maxName {
		return noAttribute(name)
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

func noAttribute(name string) error {
	return fmt.Errorf("set_attr: %.200q is no name, or its value is not JSON", name)
}

// attributes writes those that were set: once, since there may be many, and reads none of
// them before it is known that they are not too large.
func (c *change) attributes() error {
	if c.set == nil {
		return nil
	}
	size := 0
	for _, value := range c.set {
		if size += len(value); size > maxExtra {
			return fmt.Errorf("set_attr: attributes of more than %d bytes", maxExtra)
		}
	}
	for name, value := range c.set {
		if !json.Valid(value) {
			return noAttribute(name)
		}
	}
	text, err := json.Marshal(c.set)
	if err != nil || len(text) > maxExtra {
		return fmt.Errorf("set_attr: attributes of more than %d bytes", maxExtra)
	}
	c.extra = text
	return nil
}

func (c *change) route(name string) error {
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
	if len(a.A) > maxReply || !object(a.A) {
		return fmt.Errorf("reply: want a JSON object of at most %d bytes", maxReply)
	}
	c.reply = a.A
	return nil
}

func object(b []byte) bool {
	return json.Valid(b) && len(b) > 0 && strings.TrimLeft(string(b), " \t\r\n")[0] == '{'
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
	for i := range c.emits { // with a name: its place changes with what else is wanted
		c.emits[i].Name = fmt.Sprintf("%s.%v.%d", c.version.Plugin().Name, c.hook, i+1)
	}
	ev.Later = append(ev.Later, c.emits...)
	if c.reaches() {
		wants := c.wants // the change is used again
		ev.Later = append(ev.Later, event.Effect{Kind: event.Perform, Do: func() { wants.reach(nil) }})
	}
}
