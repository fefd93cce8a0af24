package deliver

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Config bounds catching up.
type Config struct {
	Page      int           `yaml:"page" default:"256" min:"16" max:"4096" doc:"events read from history at a time while a session catches up"`
	PageBytes int           `yaml:"page_bytes" default:"262144" min:"4096" doc:"bytes read from history at a time while a session catches up"`
	Readers   int           `yaml:"readers" default:"16" min:"1" max:"1024" doc:"sessions that may read history at once"`
	Reorder   int           `yaml:"reorder" default:"1024" min:"1" doc:"records of one room that may wait for a missing one"`
	Timeout   time.Duration `yaml:"timeout" default:"10s" min:"100ms" doc:"longest wait for one page of history, or for a slow client to take it"`
}

// History is what the hub reads when somebody is behind.
type History interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
	After(ctx context.Context, tenant, room string, p event.Position, limit, maxBytes int) ([]event.Record, error)
}

// Receiver takes a session's frames.
type Receiver interface {
	// Encoder and Sink are the same for as long as the receiver lives.
	Encoder() Encoder
	Sink() Sink
	// Drained waits until fewer than below bytes are queued.
	Drained(ctx context.Context, below int) error
	// Lost is called when a room can not be fed any more without a gap.
	Lost(s *Sub, why error)
}

// Sink is where a receiver's frames go.
type Sink interface {
	// Push queues a frame and never blocks; false means that the connection is
	// closing.
	Push(f *frame.Frame) bool
	PushAll(fs []*frame.Frame) bool
}

// Deps is what the hub needs.
type Deps struct {
	History History
	Log     *slog.Logger
	// Observe sees every durable record that is delivered in a user's own room; nil
	// for none.
	Observe func(r *event.Record)
}

// Hub keeps the rooms that have subscribers on this node.
type Hub struct {
	cfg    Config
	deps   Deps
	seed   maphash.Seed
	shards [shardCount]shard
	reads  chan struct{} // held while history is read for a subscriber

	ctx  context.Context // of the goroutines that catch up; set by Run
	stop context.CancelFunc
	wg   sync.WaitGroup

	Counters
}

// Counters count what the hub has done.
type Counters struct {
	Rooms      atomic.Int64
	Subs       atomic.Int64
	Published  atomic.Uint64 // durable records
	Emitted    atomic.Uint64 // ephemeral events
	Deliveries atomic.Uint64 // frames handed to connections
	Refused    atomic.Uint64 // frames that a connection dropped or that closed it
	Repeats    atomic.Uint64 // records at or behind a room's position
	Gaps       atomic.Uint64 // records ahead of it
	CaughtUp   atomic.Uint64 // records read from history for subscribers
}

const shardCount = 64

type shard struct {
	mu    sync.RWMutex
	rooms map[roomKey]*feed
}

type roomKey struct{ tenant, room string }

// New makes a hub; Run must be running before subscribers come.
func New(cfg Config, deps Deps) *Hub {
	h := &Hub{cfg: cfg, deps: deps, seed: maphash.MakeSeed(), reads: make(chan struct{}, cfg.Readers)}
	for i := range h.shards {
		h.shards[i].rooms = map[roomKey]*feed{}
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Run ends catching up when ctx ends, and waits for it.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	h.stop()
	h.wg.Wait()
	return nil
}

func (h *Hub) shard(k roomKey) *shard {
	return &h.shards[maphash.Comparable(h.seed, k)%shardCount]
}

// find returns the feed of a room, or nil.
func (h *Hub) find(k roomKey) *feed {
	s := h.shard(k)
	s.mu.RLock()
	f := s.rooms[k]
	s.mu.RUnlock()
	return f
}

// Subscribe makes to a subscriber of the room, standing at a position. It gets
// ephemeral events at once, durable ones only after Start.
func (h *Hub) Subscribe(tenant, room string, to Receiver, at event.Position, m event.Membership) *Sub {
	k := roomKey{tenant, room}
	s := h.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.rooms[k]
	if f == nil {
		f = &feed{hub: h, key: k}
		s.rooms[k] = f
		h.Rooms.Add(1)
	}
	sub := &Sub{feed: f, to: to, at: at.Offset, epoch: at.Epoch, Member: m}
	f.add(sub)
	h.Subs.Add(1)
	return sub
}

// Unsubscribe ends a subscription; more calls do nothing.
func (h *Hub) Unsubscribe(sub *Sub) {
	f := sub.feed
	s := h.shard(f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	left, ok := f.remove(sub)
	if !ok {
		return
	}
	h.Subs.Add(-1)
	if left == 0 {
		delete(s.rooms, f.key)
		h.Rooms.Add(-1)
	}
}

// Emit delivers an ephemeral event to the room's subscribers on this node. Of two
// with the same merge key, only the newer stays in a slow client's queue.
func (h *Hub) Emit(env *event.Envelope, merge string) {
	h.Emitted.Add(1)
	if f := h.find(roomKey{env.Tenant, env.Room}); f != nil {
		f.emit(env, merge)
	}
}

// Publish delivers durable records in their order. Only the committer, or the
// bus for remote ones, calls it; records of one room never come from two
// goroutines at once.
func (h *Hub) Publish(records []event.Record) {
	h.Published.Add(uint64(len(records)))
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Room == records[0].Room && records[n].Tenant == records[0].Tenant && records[n].Epoch == records[0].Epoch {
			n++
		}
		if f := h.find(roomKey{records[0].Tenant, records[0].Room}); f != nil {
			f.publish(records[:n])
		}
		if h.deps.Observe != nil && room.TypeOf(records[0].Room) == room.UserType {
			for i := range records[:n] {
				h.deps.Observe(&records[i])
			}
		}
		records = records[n:]
	}
}

// Subscribers is how many sessions on this node receive the room.
func (h *Hub) Subscribers(tenant, room string) int {
	f := h.find(roomKey{tenant, room})
	if f == nil {
		return 0
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.subs)
}

// Each calls fn for the receivers of a room, until it returns false.
func (h *Hub) Each(tenant, room string, fn func(Receiver) bool) {
	f := h.find(roomKey{tenant, room})
	if f == nil {
		return
	}
	f.mu.RLock()
	subs := make([]Receiver, len(f.subs))
	for i, s := range f.subs {
		subs[i] = s.to
	}
	f.mu.RUnlock()
	for _, to := range subs {
		if !fn(to) {
			return
		}
	}
}
