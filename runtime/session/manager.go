package session

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// recordSlack is how much longer a record is kept than the session may be
// resumed, while the session lives; living sessions renew their records.
const recordSlack = 10 * time.Minute

// Route is the pipeline.
type Route interface {
	Run(ctx context.Context, origin event.Origin, raw []byte, ticket uint64, received int64, deep bool) (wait bool)
	// Deep calls fn on a goroutine whose stack is deep already, and waits. If fn
	// panics, failed is called.
	Deep(fn, failed func()) bool
	Now() int64
}

// Admitter decides who may receive a room.
type Admitter interface {
	Admit(ctx context.Context, id *event.Identity, room string) (room.Admission, error)
}

// Deps is what sessions need.
type Deps struct {
	Route   Route
	Hub     *deliver.Hub
	Rooms   Admitter
	Reader  room.Reader
	History room.History
	Store   Store
	Log     *slog.Logger
	Now     func() time.Time
	Limits  Limits
	Node    string // told to clients
}

// Limits are told to clients when a session opens.
type Limits struct {
	Heartbeat     time.Duration
	MaxFrameBytes int
}

// Manager knows all sessions that have a connection to this node.
type Manager struct {
	cfg    Config
	deps   Deps
	ctx    context.Context // of work that no event waits for; ended by Run
	stop   context.CancelFunc
	states gauge
	added  chan addition
	saver  *saver

	mu       sync.RWMutex
	all      [sliced]map[*Session]struct{}
	next     int                   // slice of the next session
	watched  map[*Session]struct{} // to be looked at every second
	byID     map[string]*Session
	byUser   map[userKey][]*Session
	detached map[string]int64 // session id to the time of its end, Unix milliseconds

	Counters
}

type userKey struct{ tenant, user string }

// Counters count what sessions have done.
type Counters struct {
	SessionsOpened atomic.Uint64
	Resumed        atomic.Uint64 // with nothing lost
	Unrecovered    atomic.Uint64
	Malformed      atomic.Uint64 // frames
	Resent         atomic.Uint64 // rooms sent again for want of an ack
	Unsaved        atomic.Uint64 // records that the store refused
}

// NewManager makes a manager. Its Route is set by the app before Run.
func NewManager(cfg Config, deps Deps) *Manager {
	m := &Manager{
		cfg: cfg, deps: deps, added: make(chan addition, 4096),
		saver: newSaver(), watched: map[*Session]struct{}{}, byID: map[string]*Session{}, byUser: map[userKey][]*Session{}, detached: map[string]int64{},
	}
	for i := range m.all {
		m.all[i] = map[*Session]struct{}{}
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// SetRoute gives the manager the pipeline, which itself is made of the manager's
// actions.
func (m *Manager) SetRoute(r Route) { m.deps.Route = r }

// Run ticks and attaches until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	defer m.stop()
	var wg sync.WaitGroup
	wg.Go(func() { m.attachAdded(ctx) })
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

// Sessions are looked at in turn, one part of sliced a second: token expiry and the
// renewal of records need not be more precise than that. Sessions that are not
// open yet, or that acknowledge, are looked at every second.
const sliced = 15

func (m *Manager) add(s *Session) {
	m.mu.Lock()
	s.slice = uint8(m.next)
	m.next = (m.next + 1) % sliced
	m.all[s.slice][s] = struct{}{}
	m.watched[s] = struct{}{}
	m.mu.Unlock()
}

// introduce makes a session known by its user, before its rooms are looked up: a
// room that the user is added to from here on is told to the session.
func (m *Manager) introduce(s *Session, id *event.Identity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.introduced {
		s.introduced = true
		k := userKey{id.Tenant, id.User}
		m.byUser[k] = append(m.byUser[k], s)
	}
}

// enter makes an opened session known by its id. The session that had the id on
// this node, if any, is returned.
func (m *Manager) enter(s *Session) (old *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, was := m.detached[s.id]; was {
		delete(m.detached, s.id)
		m.states[Detached].Add(-1)
	}
	old = m.byID[s.id]
	m.byID[s.id] = s
	if !s.acks && !s.expired(m.deps.Now().Add(sliced*time.Second)) {
		delete(m.watched, s)
	}
	return old
}

// Closed ends the session's connection: it leaves its rooms, and can be resumed
// if it was open and did not say goodbye.
func (s *Session) Closed() {
	s.mu.Lock()
	s.gone = true
	rooms, opened, id := s.rooms, s.entered, s.id
	s.rooms = nil
	s.mu.Unlock()
	s.line.Close()
	for _, j := range rooms {
		s.m.deps.Hub.Unsubscribe(j.sub)
	}
	s.m.remove(s, id, opened)
}

func (m *Manager) remove(s *Session, id string, opened bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all[s.slice], s)
	delete(m.watched, s)
	if s.introduced {
		who := s.Identity()
		k := userKey{who.Tenant, who.User}
		m.byUser[k] = without(m.byUser[k], s)
		if len(m.byUser[k]) == 0 {
			delete(m.byUser, k)
		}
		if opened && m.byID[id] == s {
			delete(m.byID, id)
			if len(m.detached) < m.cfg.Detached && s.machine.move(&m.states, Detached) {
				m.detached[id] = m.deps.Now().Add(m.cfg.ResumeTTL).UnixMilli()
				return
			}
		}
	}
	s.machine.move(&m.states, Closed)
}

func without(list []*Session, s *Session) []*Session {
	for i := range list {
		if list[i] == s {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			return list[:len(list)-1]
		}
	}
	return list
}

// ofUser lists the sessions of a user on this node.
func (m *Manager) ofUser(tenant, user string) []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return append([]*Session(nil), m.byUser[userKey{tenant, user}]...)
}

// each lists all sessions.
func (m *Manager) each() []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*Session
	for i := range m.all {
		out = slices.AppendSeq(out, maps.Keys(m.all[i]))
	}
	return out
}

// watch has a session looked at every second.
func (m *Manager) watch(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, here := m.all[s.slice][s]; here {
		m.watched[s] = struct{}{}
	}
}

// due lists the sessions to look at in a second.
func (m *Manager) due(second int) []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := slices.AppendSeq(make([]*Session, 0, len(m.watched)+len(m.all[second%sliced])), maps.Keys(m.watched))
	return slices.AppendSeq(out, maps.Keys(m.all[second%sliced]))
}

// Counts are the sessions by state, and the users who have one here.
func (m *Manager) Counts() (byState map[string]int64, users int) {
	byState = make(map[string]int64, States)
	for st := range States {
		byState[st.String()] = m.states[st].Load()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return byState, len(m.byUser)
}
