package presence

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Names of the actions, and of the events that watchers get.
const (
	actionUpdate      = "presence:update"
	actionSubscribe   = "presence:subscribe"
	actionUnsubscribe = "presence:unsubscribe"
	actionCounts      = "presence:counts"
)

// Emitter brings ephemeral events to rooms. Of two with the same merge key, only
// the newer stays in a slow client's queue.
type Emitter interface {
	Emit(env *event.Envelope, merge string)
}

// Admitter decides who may receive a room.
type Admitter interface {
	Admit(ctx context.Context, id *event.Identity, room string) (room.Admission, error)
}

// Rows reads what Projections has kept.
type Rows interface {
	Row(ctx context.Context, tenant, room, kind, key string) ([]byte, bool, error)
}

// Deps is what Presence works with; all but Now is required.
type Deps struct {
	Emit  Emitter // called by Run's goroutines alone
	Rooms Admitter
	Notes Rows
	Mode  func(room string) string // room.TypeConfig.PresenceMode of the room's type
	Clock func() int64             // monotonic, in nanoseconds: what sessions note activity by
	Now   func() time.Time         // nil means time.Now
}

const shardCount = 8

// crowd is how many watchers are told in each Config.Interval; so many frames a room
// costs at most, however many watch it.
const crowd = 1000

const mergePrefix = "presence:"

// Presence keeps who is here.
type Presence struct {
	cfg        Config
	deps       Deps
	seed       maphash.Seed
	userShards [shardCount]people
	roomShards [shardCount]halls
	backlog    backlog
	counters
}

// New makes an empty one; watchers are told by Run.
func New(cfg Config, deps Deps) *Presence {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	p := &Presence{cfg: cfg, deps: deps, seed: maphash.MakeSeed(), backlog: backlog{wake: make(chan struct{}, 1)}}
	for i := range shardCount {
		p.userShards[i].users, p.userShards[i].wake = map[userKey]*person{}, make(chan struct{}, 1)
		p.roomShards[i].rooms, p.roomShards[i].wake = map[roomKey]*hall{}, make(chan struct{}, 1)
	}
	return p
}

// Run tells watchers until ctx ends. Its goroutines, two for each shard and those that
// read choices, end with ctx.
func (p *Presence) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() { p.read(ctx) })
	}
	for i := range shardCount {
		users, rooms := &p.userShards[i], &p.roomShards[i]
		wg.Go(func() {
			p.serve(ctx, &users.agenda, func() (*event.Envelope, string, time.Duration) { return p.nextUser(users) })
		})
		wg.Go(func() {
			p.serve(ctx, &rooms.agenda, func() (*event.Envelope, string, time.Duration) { return p.nextRoom(rooms) })
		})
	}
	wg.Wait()
	return nil
}

func (p *Presence) people(k userKey) *people {
	return &p.userShards[maphash.Comparable(p.seed, k)%shardCount]
}

func (p *Presence) halls(k roomKey) *halls {
	return &p.roomShards[maphash.Comparable(p.seed, k)%shardCount]
}

// now is the clock's time, wall that of people, in Unix milliseconds.
func (p *Presence) now() time.Duration { return time.Duration(p.deps.Clock()) }
func (p *Presence) wall() int64        { return p.deps.Now().UnixMilli() }

// interval is how often so many watchers are told at most.
func (p *Presence) interval(watchers int) time.Duration {
	return p.cfg.Interval * time.Duration(max(watchers, crowd)) / crowd
}

// watched is the sub-room whose subscribers watch a room, or a user by the user's
// room; watchedBy is its inverse.
func watched(name string) string { return name + "/" + room.FeaturePresence }

func watchedBy(sub string) (name string, ok bool) {
	return strings.CutSuffix(sub, "/"+room.FeaturePresence)
}

type counters struct {
	users, watches                  atomic.Int64
	changes, updates, lists, counts atomic.Uint64
}

// Stats is what has happened since New, and how things are.
type Stats struct {
	Users   int64  // with a session, or within the grace
	Watches int64  // subscriptions of sessions to users and rooms
	Rooms   int    // in which somebody is, or which are watched
	Changes uint64 // of what others see of a user
	Updates uint64 // presence:update events of users, each to all watchers
	Lists   uint64 // presence:update events of rooms
	Counts  uint64 // presence:counts events of rooms
}

// Stats reads the counters.
func (p *Presence) Stats() Stats {
	st := Stats{
		Users: p.users.Load(), Watches: p.watches.Load(), Changes: p.changes.Load(), Updates: p.updates.Load(),
		Lists: p.lists.Load(), Counts: p.counts.Load(),
	}
	for i := range p.roomShards {
		s := &p.roomShards[i]
		s.mu.Lock()
		st.Rooms += len(s.rooms)
		s.mu.Unlock()
	}
	return st
}
