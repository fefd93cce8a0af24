package typing

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Names of the actions, and of the event that rooms get.
const (
	actionStart  = "typing:start"
	actionStop   = "typing:stop"
	actionUpdate = "typing:update"
)

// Emitter brings ephemeral events to rooms. Of two with the same merge key, only
// the newer stays in a slow client's queue.
type Emitter interface {
	Emit(env *event.Envelope, merge string)
}

// Deps is what Typing works with.
type Deps struct {
	Emit Emitter          // required; called by Run's goroutines alone
	Now  func() time.Time // nil means time.Now
	// Tell hands a note to the other nodes, which is for their Told, or loses it; nil if
	// there are none. It must not block.
	Tell func(note []byte)
}

const shardCount = 8

// Typing keeps who is typing.
type Typing struct {
	cfg     Config
	deps    Deps
	zero    time.Time // what times are counted from
	seed    maphash.Seed
	shards  [shardCount]shard
	tenants sync.Map // of *tenant, by name
	counters
}

// New makes an empty one; rooms are told by Run.
func New(cfg Config, deps Deps) *Typing {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	t := &Typing{cfg: cfg, deps: deps, zero: deps.Now(), seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].rooms = map[roomKey]*state{}
		t.shards[i].wake = make(chan struct{}, 1)
	}
	return t
}

// Actions declares the package's actions. Who may not publish in a room has
// nothing to type there, but may stop if that was withdrawn meanwhile.
func (t *Typing) Actions() []event.Action {
	return []event.Action{
		{
			Name: actionStart, Doc: "Says that the user is typing; sent again every three seconds while that lasts. The room gets `typing:update`.",
			NeedsRoom: true, Permission: event.Publisher, Rate: event.RateMessage,
			Handle: func(_ context.Context, ev *event.Event) error {
				tenant, room, user := ev.Tenant, ev.Room, ev.From.User
				ev.Emit(event.Effect{Kind: event.Perform, Do: func() { t.start(tenant, room, user) }})
				return nil
			},
		},
		{
			Name: actionStop, Doc: "Says that the user has stopped typing: the message was sent, or nothing came for some seconds.",
			NeedsRoom: true, Permission: event.Participant, Rate: event.RateMessage,
			Handle: func(_ context.Context, ev *event.Event) error {
				tenant, room, user := ev.Tenant, ev.Room, ev.From.User
				ev.Emit(event.Effect{Kind: event.Perform, Do: func() { t.Stop(tenant, room, user) }})
				return nil
			},
		},
	}
}

// Run tells rooms who is typing until ctx ends. Its goroutines, one for each shard,
// end with ctx.
func (t *Typing) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for i := range t.shards {
		wg.Go(func() { t.serve(ctx, &t.shards[i]) })
	}
	wg.Wait()
	return nil
}

// start makes the user a typer of the room, or keeps the user one, on all nodes.
func (t *Typing) start(tenant, room, user string) {
	t.starts.Add(1)
	if t.begin(roomKey{tenant, room}, user, t.cfg.Timeout) && t.deps.Tell != nil {
		t.deps.Tell(noteOf(started, tenant, room, user))
	}
}

// begin makes the user a typer for a time; false if that comes to nothing.
func (t *Typing) begin(k roomKey, user string, timeout time.Duration) bool {
	s := t.shard(k)
	now := t.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[k]
	if r == nil {
		owner := t.tenant(k.tenant)
		if !owner.admit(t.cfg.Rooms) {
			t.roomsFull.Add(1)
			return false
		}
		r = s.open(owner, k.room, now-t.cfg.Interval)
	}
	switch i := r.find(user); {
	case i < 0 && len(r.typers) >= t.cfg.Typers:
		t.typersFull.Add(1)
		return false
	case i < 0:
		r.add(user, now, now+timeout)
		t.typers.Add(1)
		s.changed(r, t.cfg.Interval)
	case now-r.typers[i].renewed < t.cfg.Throttle:
		t.throttled.Add(1)
		return false
	default:
		r.typers[i].renew(now, now+timeout)
	}
	return true
}

// Stop ends the user's typing in the room, if there is any, on all nodes: when a message
// was sent, the room was left, or the last of the user's sessions was closed. It takes
// no other lock while it has its own, and never blocks for long.
func (t *Typing) Stop(tenant, room, user string) {
	if t.end(roomKey{tenant, room}, user) && t.deps.Tell != nil {
		t.deps.Tell(noteOf(stopped, tenant, room, user))
	}
}

// end reports whether the user was a typer.
func (t *Typing) end(k roomKey, user string) bool {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[k]
	if r == nil || !r.remove(user) {
		return false
	}
	t.stops.Add(1)
	t.typers.Add(-1)
	s.changed(r, t.cfg.Interval)
	return true
}

// tenant bounds the rooms of one tenant.
type tenant struct {
	name  string
	rooms atomic.Int64
}

// admit counts one more room, unless there are too many.
func (o *tenant) admit(most int) bool {
	if o.rooms.Add(1) > int64(most) {
		o.rooms.Add(-1)
		return false
	}
	return true
}

// tenant is never forgotten: tenants are the operator's, and few.
func (t *Typing) tenant(name string) *tenant {
	if o, ok := t.tenants.Load(name); ok {
		return o.(*tenant)
	}
	name = strings.Clone(name)
	o, _ := t.tenants.LoadOrStore(name, &tenant{name: name})
	return o.(*tenant)
}

func (t *Typing) shard(k roomKey) *shard {
	return &t.shards[maphash.Comparable(t.seed, k)%shardCount]
}

// now is the time since New.
func (t *Typing) now() time.Duration { return t.deps.Now().Sub(t.zero) }
