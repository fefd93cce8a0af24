package session

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
)

// recordSlack is how much longer a record is kept than the session may be
// resumed, while the session lives; living sessions renew their records.
const recordSlack = 10 * time.Minute

// Route is the pipeline.
type Route interface {
	Run(ctx context.Context, origin event.Origin, raw []byte, ticket uint64, received int64, deep bool) (wait bool)
	Now() int64
}

// Workers are goroutines whose stacks are deep already.
type Workers interface {
	// Do has one of them do the task, and waits; false means that they have stopped.
	Do(t *pipeline.Task) bool
}

// Admitter decides who may receive a room.
type Admitter interface {
	Admit(ctx context.Context, id *event.Identity, room string) (room.Admission, error)
	// Deleted reports whether a room that has to be created is not there.
	Deleted(ctx context.Context, tenant, room string) (bool, error)
	// Direct reports whether who has joined base may publish in a room without having
	// joined that.
	Direct(room string) (base string, ok bool)
}

// Foreseer is a Reader that asks others: it can be told which rooms a session enters.
type Foreseer interface {
	// Foresee returns a context with which the rooms' heads, rows, and a user's
	// membership and markers there are as they are now.
	Foresee(ctx context.Context, tenant, user string, rooms []string) context.Context
}

// Deps is what sessions need.
type Deps struct {
	Route   Route
	Workers Workers
	Hub     *deliver.Hub
	Rooms   Admitter
	Reader  room.Reader
	History room.History
	Store   Store
	Log     *slog.Logger
	Now     func() time.Time
	Limits  Limits
	Tokens  Tokens
	// Revoked reports whether an identity has been revoked since its token was
	// checked; nil: none ever is.
	Revoked func(id *event.Identity) bool
	// Suspects is told of frames that cannot be read.
	Suspects Suspects
	// Left is told of each room that a session leaves, also by its end, and
	// Disconnected of the end of each connection whose session was opened. They are
	// quick, and may be nil.
	Left         func(s *Session, room string)
	Disconnected func(s *Session)
	// Presence is told who is here; nil if nobody cares.
	Presence Presence
	// Announce tells other nodes of the sessions, and Others are theirs; nil if the node
	// is alone.
	Announce Announcer
	Others   Others
	Node     string // told to clients
	// Locate is the node that commits for a room; nil: this one.
	Locate func(tenant, room string) string
}

// Tokens says who a token speaks for.
type Tokens interface {
	Verify(ctx context.Context, token string) (*event.Identity, error)
}

// Suspects judges behaviour.
type Suspects interface {
	Frame(who limit.Holder)
}

// Limits are told to clients when a session opens.
type Limits struct {
	Heartbeat     time.Duration
	MaxFrameBytes int
}

// Manager knows all sessions that have a connection to this node.
type Manager struct {
	cfg     Config
	deps    Deps
	ctx     context.Context // of work that no event waits for; ended by Run
	stop    context.CancelFunc
	seed    maphash.Seed // of joined.hash
	states  gauge
	changes chan roomChange
	pending pending
	saver   *saver
	register

	Counters
}

// Counters count what sessions have done.
type Counters struct {
	SessionsOpened atomic.Uint64
	Resumed        atomic.Uint64 // with nothing lost
	Unrecovered    Reasons
	Malformed      atomic.Uint64 // frames
	Resent         atomic.Uint64 // rooms sent again for want of an ack
	Unsaved        atomic.Uint64 // records that the store refused
	Refreshed      atomic.Uint64 // tokens
	Revoked        atomic.Uint64 // connections closed because their identity was
	DevicesRefused atomic.Uint64
	DevicesClosed  atomic.Uint64 // in favour of another
}

// Reasons count resumes that brought not everything back, by why.
type Reasons struct {
	Unknown  atomic.Uint64 // the session is over, or was never there
	Mismatch atomic.Uint64 // it is another user's, or the token is not its
	Lost     atomic.Uint64 // positions: the session goes on, not all that was missed is there
}

// Each gives them with their names.
func (r *Reasons) Each(yield func(n uint64, reason string)) {
	yield(r.Unknown.Load(), reasonUnknown)
	yield(r.Mismatch.Load(), reasonMismatch)
	yield(r.Lost.Load(), reasonPositions)
}

// Sum is how many there were.
func (r *Reasons) Sum() uint64 { return r.Unknown.Load() + r.Mismatch.Load() + r.Lost.Load() }

func (r *Reasons) add(reason string) {
	switch reason {
	case reasonUnknown:
		r.Unknown.Add(1)
	case reasonMismatch:
		r.Mismatch.Add(1)
	default:
		r.Lost.Add(1)
	}
}

// NewManager makes a manager; Run must be running before sessions come.
func NewManager(cfg Config, deps Deps) *Manager {
	m := &Manager{
		cfg: cfg, deps: deps, seed: maphash.MakeSeed(), changes: make(chan roomChange, 4096), pending: pending{users: map[userKey]int{}},
		saver: newSaver(), register: newRegister(),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// Run ticks, saves and follows changes until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	defer m.stop()
	var wg sync.WaitGroup
	wg.Go(func() { m.followAll(ctx) })
	wg.Go(func() { m.saver.run(ctx, m) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 0; ; second++ {
		select {
		case <-ctx.Done():
			wg.Wait()
			return nil
		case <-tick.C:
			m.tick(second)
		}
	}
}
