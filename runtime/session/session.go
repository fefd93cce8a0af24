package session

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/limit"
)

// Conn is what a session needs of its socket.
type Conn interface {
	deliver.Sink
	Queued() int
	Drained(ctx context.Context, below int) error
	CloseWith(kind fault.Kind, text string)
	Close(code uint16, reason string)

	// What operators may know of it never changes.
	Remote() netip.AddrPort
	UserAgent() string
	Opened() time.Time
}

// Trailer is a Conn whose client tells by one word how far it has come: it remembers
// what that word means, for the session's record.
type Trailer interface {
	// Trail is what to keep. With keep, it is about to be.
	Trail(keep bool) []byte
	// Joined tells that what follows a mark is sent next, whatever was sent before: its
	// room was joined once more, or goes back.
	Joined(at frame.Mark)
	// Trailed reports whether it has changed since it was kept.
	Trailed() bool
	// Crowded reports whether it remembers many more rooms than that, and Prune has it
	// forget all but some.
	Crowded(rooms int) bool
	Prune(keep map[uint64]bool)
}

// Dialect turns bytes into envelopes and back.
type Dialect interface {
	deliver.Encoder
	Split(frame []byte, max int, fn func(raw []byte) error) error
	Decode(raw []byte, env *event.Envelope) error
	Binary() bool
	Name() string
}

// Session is a session while it has a connection. It is the Origin of its events
// and the Receiver of its rooms. There is one for each connection: its size counts.
type Session struct {
	m         *Manager
	conn      Conn
	dialect   Dialect
	transport string
	identity  atomic.Pointer[event.Identity]
	line      ack.Line
	account   limit.Account
	catchup   deliver.Catchup
	used      atomic.Int64 // when the client last sent an event of its own, on the route's clock
	reading

	machine machine
	slice   uint8    // of Manager.all; guarded by its lock, and so are the next
	known   bool     // by its user
	removed bool     // its connection is closed
	placed  bool     // it counts for its user's devices
	number  uint64   // of the connection, on this node
	slot    uint32   // in the slice
	sibling *Session // the user's next, in Manager.byUser

	mu      sync.Mutex
	kept    bool // it has a record, which is to be in the store
	saved   bool // and the store has it
	acks    bool // the client acknowledges
	gone    bool // Closed has run, or has begun
	over    bool // closed because its token has ended: it can not be refreshed any more
	told    bool // that its token ends
	present bool // and Presence knows it
	shown   bool // and other nodes know it
	early   *early
	id      string
	attrs   string // JSON, as the client gave them
	rooms   []joined
	ended   string // the room that it left last because that was deleted
	record
}

// record is what Record has beside what stands in Session anyway.
type record struct {
	secret  [32]byte
	opened  int64 // Unix milliseconds
	expires int64 // Unix milliseconds

	generation uint64
}

// New makes a session for a connection. id is who the handshake's token speaks
// for; nil if there was none. transport is for operators.
func (m *Manager) New(conn Conn, d Dialect, id *event.Identity, transport string) *Session {
	s := &Session{m: m, conn: conn, dialect: d, transport: transport, early: &early{}}
	s.early.s, s.early.Job = s, s.early
	m.states[Handshake].Add(1)
	if id != nil {
		s.Authenticated(id)
	}
	m.add(s)
	return s
}

// Identity is who the session speaks for, nil before a token was checked.
func (s *Session) Identity() *event.Identity { return s.identity.Load() }

// Authenticated gives the session its identity.
func (s *Session) Authenticated(id *event.Identity) {
	s.identity.Store(id)
	s.machine.move(&s.m.states, Authenticating)
}

// expired reports whether the token of a session is over.
func (s *Session) expired(now time.Time) bool {
	id := s.Identity()
	return id != nil && id.Expires != 0 && now.UnixMilli() >= id.Expires
}

// Opened reports whether the session is open.
func (s *Session) Opened() bool {
	switch s.machine.now() {
	case Syncing, Active, Draining:
		return true
	default:
		return false
	}
}

// State is how far the session has come.
func (s *Session) State() State { return s.machine.now() }

// Connection numbers the session's connection among those that the node has had.
func (s *Session) Connection() uint64 { return s.number }

// Account is the session's budget.
func (s *Session) Account() *limit.Account { return &s.account }

// Remote is the client's address and port.
func (s *Session) Remote() netip.AddrPort { return s.conn.Remote() }

// RemoteIP is where the client is.
func (s *Session) RemoteIP() netip.Addr { return s.conn.Remote().Addr() }

// CloseFor ends the connection.
func (s *Session) CloseFor(kind fault.Kind, text string) { s.conn.CloseWith(kind, text) }

// DecodeEnvelope reads one envelope in the connection's dialect.
func (s *Session) DecodeEnvelope(raw []byte, env *event.Envelope) error {
	err := s.dialect.Decode(raw, env)
	if fault.Is(err, fault.Malformed) {
		s.garbled()
	}
	if err == nil {
		s.use(env)
	}
	return err
}

// EncodeAnswer writes an answer in the connection's dialect.
func (s *Session) EncodeAnswer(env *event.Envelope) *frame.Frame {
	return s.dialect.Encode(env, frame.Control, "")
}

// Answer sends the answer to an event when its turn has come.
func (s *Session) Answer(ticket uint64, f *frame.Frame, then ack.Then) {
	s.line.End(ticket, f, then, s)
}

// Then does what has to follow an answer.
func (s *Session) Then(t ack.Then) {
	if t&ack.StartRooms != 0 {
		s.startRooms()
	}
	if t&ack.Hangup != 0 {
		s.conn.Close(closeNormal, "")
	}
}

const closeNormal = 1000 // RFC 6455 section 7.4.1

// Encoder is the dialect of what the session receives.
func (s *Session) Encoder() deliver.Encoder { return s.dialect }

// Sink is the connection.
func (s *Session) Sink() deliver.Sink { return s.conn }

// Catchup is the queue of the session's rooms that are behind.
func (s *Session) Catchup() *deliver.Catchup { return &s.catchup }

// Push queues an answer.
func (s *Session) Push(f *frame.Frame) bool { return s.conn.Push(f) }

// Drained waits until the connection has little to send.
func (s *Session) Drained(ctx context.Context, below int) error { return s.conn.Drained(ctx, below) }

// Lost ends the connection, because one of its rooms has a gap that the node can
// not fill: resuming tells the client what became of it.
func (s *Session) Lost(sub *deliver.Sub, why error) {
	id := s.Identity()
	s.m.deps.Log.Warn("a session lost a room", "tenant", id.Tenant, "user", id.User, "room", sub.Room(), "error", why)
	kind := fault.Unavailable
	if fault.Is(why, fault.SlowConsumer) {
		kind = fault.SlowConsumer
	}
	s.conn.CloseWith(kind, "events of "+sub.Room()+" are missing; resume")
}

// send queues an event of the session itself, outside any room.
func (s *Session) send(action string, data []byte) {
	env := event.Envelope{Type: event.TypeEvent, Action: action, Data: data, Timestamp: s.m.deps.Now().UnixMilli()}
	if id := s.Identity(); id != nil {
		env.Tenant = id.Tenant
	}
	s.conn.Push(s.dialect.Encode(&env, frame.Control, ""))
}

// Closed ends the session's connection: it leaves its rooms, and can be resumed
// if it was open and did not say goodbye. More calls do nothing.
func (s *Session) Closed() {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.gone = true
	s.vanish()
	id := s.id
	for i := range s.rooms {
		if sub := s.rooms[i].sub; sub != nil {
			s.m.deps.Hub.Unsubscribe(sub)
			s.left(sub.Room())
		}
	}
	if _, trails := s.conn.(Trailer); trails && s.kept {
		s.m.saver.add(s) // the trail has ended
	}
	s.mu.Unlock()
	s.line.Close()
	s.m.remove(s, id)
	if id != "" && s.m.deps.Disconnected != nil {
		s.m.deps.Disconnected(s)
	}
}
