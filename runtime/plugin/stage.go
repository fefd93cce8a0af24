package plugin

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Rooms knows the types of rooms, and which rooms there are.
type Rooms interface {
	Resolve(room string) (room.Name, room.TypeConfig, error)
	Deleted(ctx context.Context, tenant, room string) (bool, error)
}

// Outside does what reaches beyond the node's rooms. It does not block: what cannot
// be queued is counted, and the plugin's log says so.
type Outside interface {
	HTTP(p *host.Plugin, hosts []string, a hostapi.Action)
	SetTimer(p *host.Plugin, a hostapi.Action)
	CancelTimer(p *host.Plugin, a hostapi.Action)
}

// Deps is what the service needs.
type Deps struct {
	Host    *host.Host
	Rooms   Rooms
	Outside Outside
	Actions []event.Action // of the builtins
	// Stored reports whether the event's first durable effect is stored already.
	Stored func(ctx context.Context, ev *event.Event) bool
	// Emit brings an event to its room, where no other event brings it along.
	Emit func(ctx context.Context, e event.Effect) error
	// Direct delivers to one device of a user, at once.
	Direct func(env *event.Envelope, user, device string) int
	Log    *slog.Logger
	Now    func() time.Time
}

// Service asks plugins.
type Service struct {
	deps  Deps
	specs map[string]*event.Action
	jobs  sync.Pool // of *pool.Job
}

// New makes a service.
func New(deps Deps) *Service {
	s := &Service{deps: deps, specs: map[string]*event.Action{}, jobs: sync.Pool{New: func() any { return new(pool.Job) }}}
	for i := range deps.Actions {
		s.specs[deps.Actions[i].Name] = &deps.Actions[i]
	}
	return s
}

// Name is the stage's name in metrics.
func (s *Service) Name() string { return "plugin" }

// hookOf is the hook that an action stands for in front of its handler.
func hookOf(action string) hostapi.Hook {
	switch action {
	case "session:open", "session:resume":
		return hostapi.HookConnect
	case "room:join":
		return hostapi.HookJoin
	}
	return hostapi.HookBefore
}

// Process asks the plugins that want the event.
func (s *Service) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	id := ev.Origin.Identity()
	if id == nil || ev.Type == event.TypeAck {
		return pipeline.Pass, nil
	}
	t := s.deps.Host.For(id.Tenant)
	if t == nil {
		return pipeline.Pass, nil
	}
	subject := host.Subject{Hook: hookOf(ev.Action), Action: ev.Action, Room: ev.Room, Receives: ev.Spec.Rate == event.RateMessage}
	for _, p := range t.Plugins {
		v := p.Choose(who(ev))
		if v == nil {
			continue
		}
		if !v.Wants(&subject) {
			v.Release()
			continue
		}
		if acts(v) && s.repeat(ctx, ev) {
			v.Release()
			return pipeline.Pass, nil
		}
		err := s.ask(ctx, ev, v, subject.Hook)
		v.Release()
		if err != nil {
			return pipeline.Reject, err
		}
		if ev.Settled {
			break
		}
	}
	return pipeline.Pass, nil
}

// who is whose version of a plugin is asked: a user's, or else a device's.
func who(ev *event.Event) string { return ev.From.User }

// acts reports whether a version may do anything that must not happen twice.
func acts(v *host.Version) bool { return len(v.Manifest.Capabilities) > 0 }

func (s *Service) repeat(ctx context.Context, ev *event.Event) bool {
	return s.deps.Stored != nil && ev.ID != "" && ev.Spec.Durable && s.deps.Stored(ctx, ev)
}

// ask has one version look at the event, and does what it says.
func (s *Service) ask(ctx context.Context, ev *event.Event, v *host.Version, hook hostapi.Hook) error {
	j := s.jobs.Get().(*pool.Job)
	defer s.release(j)
	s.fill(j, ev, v, hook)
	err := v.Pool.Do(ctx, j)
	if err == nil {
		err = s.apply(ctx, ev, v, j)
	}
	v.Plugin().Mirror(j, err)
	var refused *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused.fault
	}
	return s.failed(ev, v, err)
}

// release gives a job back, without what others may hold of it.
func (s *Service) release(j *pool.Job) {
	attributes := j.Record.Attributes
	clear(attributes)
	j.Forget()
	j.Record.Attributes = attributes[:0]
	s.jobs.Put(j)
}

// fill makes the event's record.
func (s *Service) fill(j *pool.Job, ev *event.Event, v *host.Version, hook hostapi.Hook) {
	r := &j.Record
	attributes := r.Attributes
	*r = hostapi.Record{
		Hook: hook, Codec: hostapi.CodecJSON, Sequence: v.Next(), Time: s.deps.Now().UnixMilli(),
		Tenant: ev.Origin.Identity().Tenant, User: ev.From.User, Device: ev.From.Device, Room: ev.Room, Action: ev.Action, ID: ev.ID, Attributes: attributes[:0],
	}
	if ev.From.User == "" {
		r.Flags |= hostapi.FlagServer
	}
	if ev.Spec.Durable {
		r.Flags |= hostapi.FlagDurable
	}
	j.Full = v.Shape.Fill(r, ev.Data, given(ev.Extra)...)
	j.Key = keyOf(v.Manifest.Mode, r)
}

// keyOf says with which events this one shares an instance.
func keyOf(mode string, r *hostapi.Record) uint64 {
	switch mode {
	case manifest.KeyedRoom:
		return hash(r.Room)
	}
	return hash(r.User) // also of those that keep no order: it spreads
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h ^ h>>32
}

// failed is what becomes of an event on which a plugin has failed.
func (s *Service) failed(ev *event.Event, v *host.Version, err error) error {
	var f *pool.Failure
	busy := errors.As(err, &f) && (f.Reason == pool.ReasonBusy || f.Reason == pool.ReasonBroken)
	if v.Manifest.Failure == manifest.Open {
		return nil
	}
	ev.Keep = v.Manifest.Failure == manifest.DeadLetter
	if busy && !ev.Keep {
		return fault.New(fault.Overloaded, "", "the plugin "+v.Manifest.Name+" is not able to take this now")
	}
	out := fault.Wrap("plugin."+v.Manifest.Name, fault.PluginFailed, err)
	return out
}
