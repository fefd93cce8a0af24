package plugin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// called is a hook that no event waits for.
type called struct {
	hook   hostapi.Hook
	flags  uint32
	codec  hostapi.Codec
	who    string // decides which version is called, where there is no user
	user   string
	device string
	room   string
	action string
	id     string
	data   []byte

	// key begins the keys of what is emitted, so that it is stored once however often the
	// hook comes: empty if that does not come again. No event's id begins with one #.
	key string

	connection uint64 // as in Record
	more       []hostapi.Attribute

	service *Service
	version *host.Version
	emits   []event.Effect  // that it wants
	deeds   []func()        // likewise: these cannot fail
	refused *fault.Error    // a request
	reply   *hostapi.Action // of a request
	debt    debt
}

// errGone says that there is no such plugin any more.
var errGone = errors.New("plugin: it is not there any more")

// call has a plugin look at a hook, and does what it says. The error is that of the
// plugin, or of what it wanted done.
func (s *Service) call(ctx context.Context, tenant, plugin string, c *called) error {
	p := s.deps.Host.For(tenant).Named(plugin)
	if p == nil {
		return errGone
	}
	v := p.Choose(c.user + c.who)
	if v == nil {
		return errGone
	}
	defer v.Release()
	return s.callVersion(ctx, v, c)
}

func (s *Service) callVersion(ctx context.Context, v *host.Version, c *called) error {
	a := s.asks.Get().(*asking)
	defer s.release(a)
	c.service, c.version, a.Checker = s, v, c
	a.Record = hostapi.Record{
		Hook: c.hook, Codec: c.codec, Flags: c.flags, Sequence: v.Next(), Time: s.deps.Now().UnixMilli(), Tenant: v.Plugin().Tenant,
		User: c.user, Device: c.device, Room: c.room, Action: c.action, ID: c.id, Connection: c.connection, Attributes: a.Record.Attributes[:0],
	}
	a.Full = v.Shape.Fill(&a.Record, c.data, c.more...)
	a.Key = keyOf(v.Manifest.Mode, &a.Record)
	err := v.Pool.Do(ctx, &a.Job)
	if p := v.Plugin(); p.Shadowed() {
		p.Mirror(&a.Job, c.codec, c.more, err)
	}
	switch {
	case err != nil:
		return err
	case c.refused != nil:
		return c.refused
	}
	return c.do(ctx)
}

// do does what the plugin wants. What it emits comes first: only that can fail, and then a
// hook that comes again does all the rest once.
func (c *called) do(ctx context.Context) error {
	for _, e := range c.emits {
		if e.Do != nil {
			e.Do()
			continue
		}
		if err := c.service.deps.Emit(ctx, e); err != nil {
			c.version.Plugin().Note("error", "hook "+c.hook.String()+": "+err.Error())
			return err
		}
	}
	for _, do := range c.deeds {
		do()
	}
	return nil
}

// Check is pool.Checker: what a plugin wants where there is no event.
func (c *called) Check(ctx context.Context, j *pool.Job) error {
	c.emits, c.deeds, c.refused, c.reply, c.debt.owes = nil, nil, nil, nil, 0
	for _, a := range j.Actions { // a copy: the deeds hold it
		if !hostapi.Permits(c.hook, a.Kind) {
			return unplaced(c.hook, a.Kind)
		}
		if need := a.Kind.Needs(); need != "" && !c.version.Manifest.Can(need) {
			return fmt.Errorf("hook %v: %v: the manifest does not ask for the capability %s", c.hook, a.Kind, need)
		}
		if err := c.add(ctx, a); err != nil {
			return fmt.Errorf("hook %v: %w", c.hook, err)
		}
		if c.refused != nil {
			return nil
		}
	}
	return c.debt.pay(c.service.deps.Outside, c.version.Plugin())
}

func (c *called) add(ctx context.Context, a hostapi.Action) (err error) {
	p, out := c.version.Plugin(), c.service.deps.Outside
	switch a.Kind {
	case hostapi.Emit:
		return c.emit(ctx, &a)
	case hostapi.HTTP:
		c.will(func() { out.HTTP(p, c.version.Manifest.Hosts, c.user+c.who, a) })
	case hostapi.SetTimer:
		c.debt.add(&a)
		c.will(func() { out.SetTimer(p, a) })
	case hostapi.CancelTimer:
		c.will(func() { out.CancelTimer(p, a) })
	case hostapi.Reply:
		c.reply = &a
	case hostapi.Drop:
		c.refused, _, err = refusal(&a)
		return err
	}
	return nil
}

// unplaced is an action that has no place at a hook.
func unplaced(h hostapi.Hook, k hostapi.ActionKind) error {
	if k == hostapi.Reply {
		return fmt.Errorf("reply: nobody waits for one at hook %v", h)
	}
	return fmt.Errorf("%v: there is nothing to decide at hook %v", k, h)
}

func (c *called) will(do func()) { c.deeds = append(c.deeds, do) }

func (c *called) emit(ctx context.Context, a *hostapi.Action) error {
	p := c.version.Plugin()
	if !p.May(hostapi.Emit) {
		return errors.New("emit: the plugin sends more events a second than it may")
	}
	e, err := c.service.emitted(ctx, p.Tenant, a)
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	if c.key != "" {
		e.Key = c.key + "." + strconv.Itoa(len(c.emits))
	}
	c.emits = append(c.emits, e)
	return nil
}
