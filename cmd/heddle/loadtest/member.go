package loadtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

const (
	maxPending   = 1024 // messages of a connection without an answer
	writeTimeout = 10 * time.Second
)

// step is how far a connection has got.
type step uint8

const (
	opening step = iota
	creating
	joining
	ready
)

// member is one user with one connection at a time, in one room.
type member struct {
	gws.BuiltinEventHandler
	t    *test
	id   uint32
	room *ledger

	writing sync.Mutex // orders writes, so that numbers rise on the wire; taken before mu

	mu       sync.Mutex // guards what follows
	ws       *gws.Conn  // nil while there is none
	step     step
	dialled  time.Time
	ramping  bool // it holds one of the test's handshake slots
	known    bool // it has joined once
	session  string
	token    string                   // to resume
	number   uint32                   // of its newest message
	pending  map[uint32]time.Duration // messages without an answer, and when they were due
	track    track
	healTo   uint64   // up to here events may come behind later ones: a new session fetches what it missed
	seen     []uint32 // newest number of each ephemeral sender in the room
	got      uint64   // ephemeral messages of others
	over     bool     // the server does not want it back
	closedBy error
}

// run connects, and reconnects, until ctx ends or the server refuses for good.
func (m *member) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		if m.connect(ctx) {
			attempt = 0
		}
		m.mu.Lock()
		over := m.over
		m.mu.Unlock()
		if over {
			return
		}
		wait := time.NewTimer(rand.N(10 * time.Millisecond << min(attempt, 8)))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// connect runs one connection; joined tells whether it got into its room.
func (m *member) connect(ctx context.Context) (joined bool) {
	select {
	case m.t.ramp <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	m.mu.Lock()
	m.dialled, m.ramping, m.step, m.closedBy = time.Now(), true, opening, nil
	m.mu.Unlock()
	ws, fail := m.t.dial(ctx, m)
	if fail != nil {
		m.t.fail(fail.code)
		m.release()
		m.mu.Lock()
		m.over = m.over || fail.final
		m.mu.Unlock()
		return false
	}
	m.mu.Lock()
	m.ws = ws
	m.mu.Unlock()
	if ctx.Err() != nil { // the test's end did not see this connection
		_ = ws.NetConn().Close()
	}
	m.open(ws)
	ws.ReadLoop()
	m.release()
	m.mu.Lock()
	defer m.mu.Unlock()
	joined = m.step == ready
	m.ws, m.step = nil, opening
	m.track.rewind()
	if joined && ctx.Err() == nil {
		m.t.reconnects.Add(1)
	}
	return joined
}

// release gives the handshake slot back.
func (m *member) release() {
	m.mu.Lock()
	held := m.ramping
	m.ramping = false
	m.mu.Unlock()
	if held {
		<-m.t.ramp
	}
}

// OnClose notes why a connection ended.
func (m *member) OnClose(_ *gws.Conn, err error) {
	code, final := closeCode(err)
	if m.t.stopping.Load() {
		return
	}
	m.t.fail(code)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = m.over || final
	if code == "close_4100" {
		m.session = ""
	}
}

// OnMessage looks at every envelope of a frame.
func (m *member) OnMessage(_ *gws.Conn, msg *gws.Message) {
	err := m.t.opt.Dialect.Decode(msg.Bytes(), m.envelope)
	_ = msg.Close()
	if err != nil {
		m.t.fail("malformed")
	}
}

func (m *member) envelope(v *wire.View) error {
	switch string(v.Type) {
	case wire.TypeAck:
		if number, ok := m.t.number(v.Ref); ok {
			m.acked(v, number)
			return nil
		}
		return m.advance(v)
	case wire.TypeError:
		return m.refused(v)
	case wire.TypeEvent:
		if string(v.Action) == "session:drain" {
			return m.drain(v)
		}
	}
	if string(v.Room) == m.room.name {
		m.event(v)
	}
	return nil
}

// send makes a message that was due at a time, and writes it if there is a
// connection; else it goes out with the next one.
func (m *member) send(due time.Duration) {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	if len(m.pending) >= maxPending {
		m.mu.Unlock()
		m.t.skipped.Add(1)
		return
	}
	m.number++
	number := m.number
	if m.pending == nil {
		m.pending = map[uint32]time.Duration{}
	}
	m.pending[number] = due
	ws := m.ws
	if m.step != ready {
		ws = nil
	}
	m.mu.Unlock()
	m.t.sent.Add(1)
	if ws != nil {
		m.write(ws, m.t.message(m, number, due))
	}
}

func (m *member) write(ws *gws.Conn, frame []byte) {
	_ = ws.NetConn().SetWriteDeadline(time.Now().Add(writeTimeout))
	op := gws.OpcodeText
	if m.t.opt.Dialect.Binary() {
		op = gws.OpcodeBinary
	}
	_ = ws.WriteMessage(op, frame) // an error ends the connection, and reading sees that
}

func (m *member) acked(v *wire.View, number uint32) {
	now := m.t.now()
	m.mu.Lock()
	due, waiting := m.pending[number]
	delete(m.pending, number)
	m.mu.Unlock()
	if !waiting {
		return
	}
	m.t.acked.Add(1)
	m.t.ack.observe(now - due)
	if v.Offset == 0 {
		m.room.accepted.Add(1)
	} else if m.room.is(v.Epoch) && m.room.record(v.Offset, entryOf(stamp{sender: m.id, number: number})) {
		m.t.contradicted.Add(1)
	}
	m.t.answered(m)
}

// event takes a live or replayed event of the member's room.
func (m *member) event(v *wire.View) {
	now := m.t.now()
	s, ours := parseStamp(v.Data)
	ours = ours && string(v.Action) == "message:send"
	var how arrival
	m.mu.Lock()
	switch {
	case v.Offset > 0:
		how = m.durable(v, s, ours)
	case !ours || s.sender == m.id:
		m.mu.Unlock()
		return
	default:
		how = m.ephemeral(s)
	}
	m.mu.Unlock()
	switch how {
	case repeated:
		m.t.repeated.Add(1)
		return
	case late:
		m.t.late.Add(1)
	}
	if ours {
		m.t.delivered.Add(1)
		m.t.latency.observe(now - s.due)
	}
}

// durable places an event in the stream; mu is held.
func (m *member) durable(v *wire.View, s stamp, ours bool) arrival {
	if string(v.Epoch) != m.track.epoch {
		if m.track.epoch != "" {
			m.t.epochs.Add(1)
			m.track.last, m.track.holes = 0, nil
		}
		m.track.epoch = string(v.Epoch)
		m.room.begin(m.track.epoch, m.track.last)
	}
	entry := foreign
	if ours {
		entry = entryOf(s)
	}
	if m.room.is(v.Epoch) && m.room.record(v.Offset, entry) {
		m.t.contradicted.Add(1)
	}
	how := m.track.see(v.Offset)
	if how == late && v.Offset <= m.healTo {
		return inOrder
	}
	return how
}

// ephemeral checks a sender's numbers; mu is held. Gaps are allowed.
func (m *member) ephemeral(s stamp) arrival {
	slot := int(s.sender) / m.t.opt.Rooms
	if m.seen == nil {
		m.seen = make([]uint32, m.t.opt.Conns/m.t.opt.Rooms+1)
	}
	switch {
	case slot >= len(m.seen) || s.number == m.seen[slot]:
		return repeated
	case s.number < m.seen[slot]:
		return late
	}
	m.seen[slot] = s.number
	m.got++
	return inOrder
}
