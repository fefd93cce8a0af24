package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
)

// called is a hook that no event waits for.
type called struct {
	hook   hostapi.Hook
	codec  hostapi.Codec
	who    string // decides which version is called, where there is no user
	user   string
	device string
	room   string
	action string
	id     string
	data   []byte
	more   []hostapi.Attribute
	reply  *hostapi.Action // of a request
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
	j := s.jobs.Get().(*pool.Job)
	defer s.release(j)
	j.Record = hostapi.Record{
		Hook: c.hook, Codec: c.codec, Sequence: v.Next(), Time: s.deps.Now().UnixMilli(), Tenant: v.Plugin().Tenant,
		User: c.user, Device: c.device, Room: c.room, Action: c.action, ID: c.id, Attributes: j.Record.Attributes[:0],
	}
	j.Full = v.Shape.Fill(&j.Record, c.data, c.more...)
	j.Key = keyOf(v.Manifest.Mode, &j.Record)
	err := v.Pool.Do(ctx, j)
	if err == nil {
		err = s.perform(ctx, v, j, c)
	}
	v.Plugin().Mirror(j, err)
	return err
}

// perform does what a plugin wants where there is no event. All of it is checked
// before any of it is done.
func (s *Service) perform(ctx context.Context, v *host.Version, j *pool.Job, c *called) error {
	p := v.Plugin()
	var deeds []func() error
	for _, a := range j.Actions { // a copy: the deeds hold it
		if need := a.Kind.Needs(); need != "" && !v.Manifest.Can(need) {
			return fmt.Errorf("%v: the manifest does not ask for the capability %s", a.Kind, need)
		}
		switch a.Kind {
		case hostapi.Emit:
			if !p.May(hostapi.Emit) {
				return errors.New("emit: the plugin sends more events a second than it may")
			}
			e, err := s.emitted(ctx, p.Tenant, &a)
			if err != nil {
				return fmt.Errorf("emit: %w", err)
			}
			deeds = append(deeds, func() error {
				if e.Do != nil {
					e.Do()
					return nil
				}
				return s.deps.Emit(ctx, e)
			})
		case hostapi.HTTP:
			deeds = append(deeds, func() error { s.deps.Outside.HTTP(p, v.Manifest.Hosts, a); return nil })
		case hostapi.SetTimer:
			deeds = append(deeds, func() error { s.deps.Outside.SetTimer(p, a); return nil })
		case hostapi.CancelTimer:
			deeds = append(deeds, func() error { s.deps.Outside.CancelTimer(p, a); return nil })
		case hostapi.Reply:
			if c.hook != hostapi.HookRequest {
				return fmt.Errorf("reply: nobody waits for one at hook %v", c.hook)
			}
			reply := a
			c.reply = &reply
		case hostapi.Drop:
			if c.hook != hostapi.HookRequest {
				return fmt.Errorf("drop: there is nothing to decide at hook %v", c.hook)
			}
			if err := (&change{}).drop(&a); err != nil {
				return err
			}
		case hostapi.SetAttr: // of what is over: nobody sees it
		default:
			return fmt.Errorf("%v: there is nothing to decide at hook %v", a.Kind, c.hook)
		}
	}
	for _, do := range deeds {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
