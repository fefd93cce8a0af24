package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// called is a hook that no event waits for.
type called struct {
	wants // who decides which version is called, too

	flags  uint32
	codec  hostapi.Codec
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

	refused *fault.Error    // a request
	reply   *hostapi.Action // of a request
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
	v := p.Choose(cmp.Or(c.user, c.who))
	if v == nil {
		return errGone
	}
	defer v.Release()
	return s.callVersion(ctx, v, c)
}

func (s *Service) callVersion(ctx context.Context, v *host.Version, c *called) error {
	a := s.asks.Get().(*asking)
	defer s.release(a)
	c.service, c.version, c.who, a.Checker = s, v, cmp.Or(c.user, c.who), c
	a.Record = hostapi.Record{
		Hook: c.hook, Codec: c.codec, Flags: c.flags, Sequence: v.Next(), Time: s.deps.Now().UnixMilli(), Tenant: v.Plugin().Tenant,
		User: c.user, Device: c.device, Room: c.room, Action: c.action, ID: c.id, Connection: c.connection, Attributes: a.Record.Attributes[:0],
	}
	a.Full = v.Shape.Fill(&a.Record, c.data, c.more...)
	a.Key = keyOf(v.Manifest.Mode, &a.Record)
	err := s.do(ctx, v, &a.Job, c.codec, nil)
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
// hook that comes again does all the rest once. A timer that sets itself again is kept
// before it is over.
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
	if !c.reaches() {
		return nil
	}
	done := make(chan struct{})
	c.reach(func() { close(done) })
	<-done
	return nil
}

// Check is pool.Checker: what a plugin wants where there is no event.
func (c *called) Check(ctx context.Context, j *pool.Job) error {
	c.refused, c.reply = nil, nil
	c.wants.again()
	for i := range j.Actions {
		if err := c.look(ctx, &j.Actions[i]); err != nil {
			return fmt.Errorf("hook %v: %w", c.hook, err)
		}
		if c.refused != nil {
			return nil
		}
	}
	if c.key != "" {
		for i := range c.emits {
			c.emits[i].Key = c.key + "." + strconv.Itoa(i)
		}
	}
	return c.pay()
}

func (c *called) look(ctx context.Context, a *hostapi.Action) (err error) {
	if err := c.may(a.Kind); err != nil {
		return err
	}
	switch a.Kind {
	case hostapi.Pass:
	case hostapi.Reply:
		own := *a
		c.reply = &own
	case hostapi.Drop:
		c.refused, _, err = refusal(a)
	default:
		err = c.add(ctx, a)
	}
	return err
}
