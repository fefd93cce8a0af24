package deliver

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Config bounds catching up.
type Config struct {
	Page      int           `yaml:"page" default:"256" min:"16" max:"4096" doc:"Events read from history at a time while a session catches up."`
	PageBytes config.Size   `yaml:"page_bytes" default:"256KiB" min:"4KiB" doc:"Bytes read from history at a time while a session catches up; it gets the next page when fewer wait to be sent."`
	Readers   int           `yaml:"readers" default:"16" min:"1" max:"1024" doc:"Sessions that may read history at once."`
	Reorder   int           `yaml:"reorder" default:"1024" min:"1" doc:"Records of one room that may wait for a missing one."`
	Timeout   time.Duration `yaml:"timeout" default:"10s" min:"100ms" doc:"Longest wait for one page of history, and for a slow client to take it."`
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
	// Catchup is the same for as long as the receiver lives; only the hub uses it.
	Catchup() *Catchup
	// Drained waits until fewer than below bytes are queued. It fails with ctx, or
	// because the connection is closing.
	Drained(ctx context.Context, below int) error
	// Ended is called when the receiver has been sent the last record of a room that
	// was deleted.
	Ended(s *Sub)
	// Lost is called when a room can not be fed any more without a gap. why is a
	// *fault.Error: SlowConsumer if the client does not take what it is sent,
	// otherwise Unavailable, with what history said in its chain.
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
	// Observe sees every durable record of a user's own room, and those that end
	// memberships of a room with subscribers: each once, when it has been delivered, and
	// those of one room in their order. Nothing behind the end of a membership is
	// delivered before it has returned. nil for none.
	Observe func(r *event.Record)
	Now     func() time.Time // nil means time.Now
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
	Missed     atomic.Uint64 // times that a room had come further than was published here
	CaughtUp   atomic.Uint64 // records read from history for subscribers
	Panics     atomic.Uint64 // contained; each cost a room its subscribers, or one of them
}

const shardCount = 64

type shard struct {
	mu    sync.RWMutex
	rooms map[roomKey]*feed
}

type roomKey struct{ tenant, room string }

// New makes a hub; Run must be running before subscribers come.
func New(cfg Config, deps Deps) *Hub {
	if deps.Now == nil {
		deps.Now = time.Now
	}
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
		n := run(records)
		h.publish(records[:n])
		records = records[n:]
	}
}

// run is how many of the records go together: those of one room that follow each
// other. What is behind the end of a membership does not: those who are members no
// more are to leave first.
func run(records []event.Record) int {
	n := 1
	for n < len(records) && follows(&records[n], &records[n-1]) && !parting(&records[n-1]) {
		n++
	}
	return n
}

func follows(r, before *event.Record) bool {
	return r.Room == before.Room && r.Tenant == before.Tenant && r.Epoch == before.Epoch && r.Offset == before.Offset+1
}

// parting reports whether a record may end memberships.
func parting(r *event.Record) bool {
	return r.Action == room.ActionLeave || r.Action == room.ActionUpdate
}

// publish takes records of one room. If they can not be delivered, the sessions
// that should have got them resume.
func (h *Hub) publish(records []event.Record) {
	k := roomKey{records[0].Tenant, records[0].Room}
	f := h.find(k)
	if err := h.bring(k, f, records); err != nil && f != nil {
		f.giveUp(err)
	}
}

func (h *Hub) bring(k roomKey, f *feed, records []event.Record) (err error) {
	defer h.contain("publish", k, &err)
	if f != nil {
		records = f.publish(records)
	}
	h.observe(k, f, records)
	return nil
}

// observe tells of a run that was delivered.
func (h *Hub) observe(k roomKey, f *feed, records []event.Record) {
	own := room.TypeOf(k.room) == room.UserType
	if h.deps.Observe == nil || len(records) == 0 || f == nil && !own {
		return
	}
	for i := range records {
		if r := &records[i]; own || parting(r) {
			h.deps.Observe(r)
		}
	}
	if f != nil && parting(&records[len(records)-1]) {
		f.parted()
	}
}

// errPanic stands for a panic, which contain has logged.
var errPanic = errors.New("panic")

// contain, deferred, makes an error of a panic: it costs a room its subscribers,
// but the node goes on.
func (h *Hub) contain(doing string, k roomKey, err *error) {
	if r := recover(); r != nil {
		h.Panics.Add(1)
		h.deps.Log.Error("delivery panicked", "doing", doing, "tenant", k.tenant, "room", k.room,
			"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = fault.Wrap("deliver."+doing, fault.Unavailable, errPanic)
	}
}

// now is the time in Unix milliseconds.
func (h *Hub) now() int64 { return h.deps.Now().UnixMilli() }
