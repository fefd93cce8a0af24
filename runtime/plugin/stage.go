package plugin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
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

// Outside does what reaches beyond the node's rooms. It does not block, since it is asked
// by who completes the events of all tenants: what cannot be queued is counted, and the
// plugin's log says so in one line.
type Outside interface {
	// HTTP sends requests; who is whose version of the plugin gets the answers.
	HTTP(p *host.Plugin, hosts []string, who string, requests []hostapi.Action)
	// Pay takes so many bytes of timers out of what the tenant's plugins may write; false:
	// there are not so many left.
	Pay(p *host.Plugin, bytes int64) bool
	// Change sets timers that are paid for, and takes others back, in their order; then it
	// calls done, which may be nil, also if some could not be set.
	Change(p *host.Plugin, changes []timer.Change, done func())
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
	// Nodes are those of a cluster; nil: this one has all instances.
	Nodes Nodes
	// Workers is how many workers may wait for one tenant's plugins; 0: no bound.
	Workers int
	// Aside is told when a worker begins and ends to wait for a plugin; nil: nobody is.
	Aside Aside
	// Heavy reports whether a tenant's plugins have lately used more of the processors
	// than their part; nil: none has.
	Heavy func(tenant string) bool
}

// Aside are workers, of which one that waits for a plugin does not count meanwhile.
type Aside interface {
	Leave()
	Return()
}

// Service asks plugins.
type Service struct {
	deps   Deps
	slow   shares
	bodies bodies
	specs  map[string]*event.Action
	nouns  map[string]bool // that plugins' actions cannot have
	asks   sync.Pool       // of *asking
}

// New makes a service.
func New(deps Deps) *Service {
	s := &Service{deps: deps, specs: map[string]*event.Action{}, nouns: map[string]bool{}, asks: sync.Pool{New: func() any { return new(asking) }}}
	s.slow.most = deps.Workers
	for i := range deps.Actions {
		s.specs[deps.Actions[i].Name] = &deps.Actions[i]
		s.nouns[event.Noun(deps.Actions[i].Name)] = true
	}
	for _, noun := range event.Reserved() {
		s.nouns[noun] = true
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
	subject := subjectOf(ev)
	if err := s.consult(ctx, ev, t, &subject, nil); err != nil {
		return pipeline.Reject, err
	}
	return pipeline.Pass, nil
}

// subjectOf is what bindings choose an event by, in front of its handler.
func subjectOf(ev *event.Event) host.Subject {
	return host.Subject{Hook: hookOf(ev.Action), Action: ev.Action, Room: ev.Room, Receives: ev.Spec.Rate == event.RateMessage}
}

// consult asks the plugins that want an event, and were not asked when it was another
// subject, before; nil: it was none. When one of them routes it, all that have not been
// asked yet are looked at again, also those that come before that one: there is no way
// into a room past the plugins that are bound to it.
func (s *Service) consult(ctx context.Context, ev *event.Event, t *host.Tenant, subject, before *host.Subject) error {
	var few [8]*host.Plugin // an event is hardly ever asked about more
	asked, routed := few[:0], false
	for i := 0; i < len(t.Plugins); i++ {
		p := t.Plugins[i]
		if routed && slices.Contains(asked, p) {
			continue
		}
		v := p.Choose(who(ev))
		if v == nil {
			continue
		}
		if !v.Wants(subject) || before != nil && v.Wants(before) {
			v.Release()
			continue
		}
		asked = append(asked, p)
		err := s.ask(ctx, ev, v, subject.Hook)
		v.Release()
		if err != nil || ev.Settled {
			return err
		}
		if ev.Room != subject.Room {
			subject.Room, routed, i = ev.Room, true, -1
		}
	}
	return nil
}

// who is whose version of a plugin is asked: of what the server sends, the room's.
func who(ev *event.Event) string { return cmp.Or(ev.From.User, ev.Room) }

// acts reports whether a version may do anything that must not happen twice.
func acts(v *host.Version) bool { return len(v.Manifest.Capabilities) > 0 }

func (s *Service) repeat(ctx context.Context, ev *event.Event) bool {
	return s.deps.Stored != nil && ev.ID != "" && ev.Spec.Durable && s.deps.Stored(ctx, ev)
}

// asking is an event that a version is asked about.
type asking struct {
	pool.Job
	change change
}

// Check is pool.Checker.
func (a *asking) Check(ctx context.Context, j *pool.Job) error { return a.change.check(ctx, j.Actions) }

// ask has one version look at the event, and does what it says. Of an event that is
// stored already, only what the version emits is wanted: the node may have ended
// before that was stored too, and what was is recognised by its key. Nothing else that
// a version does happens a second time, and it can decide nothing any more.
func (s *Service) ask(ctx context.Context, ev *event.Event, v *host.Version, hook hostapi.Hook) error {
	a := s.asks.Get().(*asking)
	defer s.release(a)
	again := acts(v) && s.repeat(ctx, ev)
	a.change = change{wants: wants{service: s, version: v, hook: hook, who: who(ev)}, ev: ev, again: again}
	a.Checker, a.Shadow = a, again // a shadow's writes to its store are dropped
	s.fill(&a.Job, ev, v, hook)
	err := s.run(ctx, ev, v, &a.Job)
	switch {
	case again && err != nil:
		return nil
	case !again && v.Plugin().Shadowed():
		v.Plugin().Mirror(&a.Job, hostapi.CodecJSON, given(ev.Extra), err)
	}
	switch c := &a.change; {
	case err == nil && len(a.Actions) == 0:
		return nil
	case (err != nil || c.refused != nil || c.settled) && !again && !acts(v) && s.repeat(ctx, ev):
		return nil // it was stored before, whatever is thought of it now
	case err != nil:
		return s.failed(ev, v, err)
	case c.refused != nil:
		return c.refused
	default:
		c.make()
		return nil
	}
}

// release gives a job back, without what others may hold of it.
func (s *Service) release(a *asking) {
	attributes := a.Record.Attributes
	clear(attributes)
	a.Forget()
	a.Record.Attributes = attributes[:0]
	a.change = change{}
	s.asks.Put(a)
}

// fill makes the event's record.
func (s *Service) fill(j *pool.Job, ev *event.Event, v *host.Version, hook hostapi.Hook) {
	r := &j.Record
	attributes := r.Attributes
	*r = hostapi.Record{
		Hook: hook, Codec: hostapi.CodecJSON, Sequence: v.Next(), Time: s.deps.Now().UnixMilli(),
		Tenant: ev.Origin.Identity().Tenant, User: ev.From.User, Device: ev.From.Device, Room: ev.Room, Action: ev.Action, ID: ev.ID, Connection: connection(ev.Origin), Attributes: attributes[:0],
	}
	r.Flags = flagsOf(ev)
	j.Full = v.Shape.Fill(r, shown(ev), given(ev.Extra)...)
	j.Key = keyOf(v.Manifest.Mode, r)
}

// flagsOf are an event's flags.
func flagsOf(ev *event.Event) (flags uint32) {
	if ev.From.User == "" {
		flags |= hostapi.FlagServer
	}
	if ev.Spec.Durable {
		flags |= hostapi.FlagDurable
	}
	return flags
}

// shown is the event's payload without what no plugin is shown.
func shown(ev *event.Event) []byte {
	if !ev.Spec.Payload.Secret() {
		return ev.Data
	}
	var names []string
	for i := range ev.Spec.Payload {
		if f := &ev.Spec.Payload[i]; !f.Secret {
			names = append(names, f.Name)
		}
	}
	return ev.Object(names...)
}

// connection numbers the connection that an event came over, on this node; 0 for none.
func connection(o event.Origin) uint64 {
	if c, ok := o.(interface{ Connection() uint64 }); ok {
		return c.Connection()
	}
	return 0
}

// keyOf says with which events this one shares an instance.
func keyOf(mode string, r *hostapi.Record) uint64 {
	switch {
	case mode == manifest.KeyedRoom:
		return hash(r.Room)
	case mode != manifest.KeyedUser && r.User == "": // timers, answers, requests: nobody's
		return r.Sequence
	}
	return hash(r.User) // of those keyed by user, and of those that keep no order: it spreads
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
	return &fault.Error{Op: "plugin." + v.Manifest.Name, Kind: fault.PluginFailed, Msg: "the plugin " + v.Manifest.Name + " has failed on this", Err: err}
}
