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
	Push(f *frame.Frame) bool
	PushAll(fs []*frame.Frame) bool
	Queued() int
	Drained(ctx context.Context, below int) error
	CloseWith(kind fault.Kind, text string)
	Close(code uint16, reason string)
}

// Dialect turns bytes into envelopes and back.
type Dialect interface {
	deliver.Encoder
	Split(frame []byte, max int, fn func(raw []byte) error) error
	Decode(raw []byte, env *event.Envelope) error
	Binary() bool
	Name() string
}

// Info is what is known of a connection besides its user.
type Info struct {
	Remote    netip.AddrPort
	Agent     string
	Transport string
	Opened    time.Time
}

// Session is a session while it has a connection. It is the Origin of its events
// and the Receiver of its rooms.
type Session struct {
	m        *Manager
	conn     Conn
	dialect  Dialect
	identity atomic.Pointer[event.Identity]
	machine  machine
	line     ack.Line
	account  limit.Account
	catchup  deliver.Catchup
	info     Info

	received  int64 // when the frame at hand came; of the reading goroutine
	malformed int   // likewise

	mu    sync.Mutex
	id    string
	rec   *Record // what is in the store
	rooms []*joined
	later []addition // changes of the user's rooms that came while the session was being opened
	attrs []byte     // JSON, as the client gave them
	acks  bool
	gone  bool // Closed has run, or has begun

	entered bool // the manager knows it by its id

	slice      uint8 // in Manager.all
	introduced bool  // in Manager.byUser; guarded by its lock
}

// joined is one room of a session.
type joined struct {
	sub      *deliver.Sub
	started  bool
	acked    uint64
	retries  int
	resendAt time.Time // zero while nothing is unacknowledged
}

// New makes a session for a connection. id is who the handshake's token speaks
// for; nil if there was none.
func (m *Manager) New(conn Conn, d Dialect, id *event.Identity, info Info) *Session {
	s := &Session{m: m, conn: conn, dialect: d, info: info}
	m.states[Handshake].Add(1)
	if id != nil {
		s.Authenticated(id)
	}
	m.add(s)
	return s
}

// Frame takes one message of the connection, on its reading goroutine. Most
// connections send little after they have opened: what comes before that runs on
// a worker, so that their own stacks stay as small as they began.
func (s *Session) Frame(ctx context.Context, payload []byte, binary bool) {
	if s.Opened() {
		s.frame(ctx, payload, binary, false)
		return
	}
	work := func() { s.frame(ctx, payload, binary, true) }
	if !s.m.deps.Route.Deep(work, func() { s.conn.CloseWith(fault.Internal, "") }) {
		s.conn.CloseWith(fault.Draining, "")
	}
}

func (s *Session) frame(ctx context.Context, payload []byte, binary, deep bool) {
	s.received = s.m.deps.Route.Now()
	err := error(nil)
	if binary != s.dialect.Binary() {
		err = fault.New(fault.Malformed, "", "the subprotocol "+s.dialect.Name()+" uses the other kind of frame")
	} else {
		err = s.dialect.Split(payload, s.m.cfg.Batch, func(raw []byte) error {
			if s.conn.Queued() > answersWait {
				// A client that asks faster than it reads waits for its answers.
				_ = s.conn.Drained(ctx, answersWait) // or its connection is over
			}
			if s.m.deps.Route.Run(ctx, s, raw, s.line.Begin(s.m.cfg.InFlight), s.received, deep) {
				s.line.Settle()
			}
			return nil
		})
	}
	if err != nil {
		s.unreadable(err)
	}
}

// answersWait is how many bytes may wait for a client before its next event is
// run: together with one page of history they fit into its queue.
const answersWait = 256 << 10

// unreadable answers a frame that holds no envelopes.
func (s *Session) unreadable(err error) {
	env := ack.ErrorEnvelope(fault.Of(err))
	env.Timestamp = s.m.deps.Now().UnixMilli()
	s.line.End(s.line.Begin(s.m.cfg.InFlight), s.EncodeAnswer(&env), 0, s)
	s.garbled()
}

// garbled counts what could not be read, and at last gives up.
func (s *Session) garbled() {
	s.m.Malformed.Add(1)
	if s.malformed++; s.malformed == s.m.cfg.Malformed {
		s.conn.CloseWith(fault.Malformed, "too many unreadable frames")
	}
}

// Identity is who the session speaks for, nil before a token was checked.
func (s *Session) Identity() *event.Identity { return s.identity.Load() }

// Authenticated gives the session its identity.
func (s *Session) Authenticated(id *event.Identity) {
	s.identity.Store(id)
	s.machine.move(&s.m.states, Authenticating)
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

// State is where the session is in its life.
func (s *Session) State() State { return s.machine.now() }

// Account is the session's budget.
func (s *Session) Account() *limit.Account { return &s.account }

// CloseFor ends the connection.
func (s *Session) CloseFor(kind fault.Kind, text string) { s.conn.CloseWith(kind, text) }

// DecodeEnvelope reads one envelope in the connection's dialect.
func (s *Session) DecodeEnvelope(raw []byte, env *event.Envelope) error {
	err := s.dialect.Decode(raw, env)
	if fault.Is(err, fault.Malformed) {
		s.garbled()
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
