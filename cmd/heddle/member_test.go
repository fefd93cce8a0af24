package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// member is a user with one session on bare sockets: it reconnects and resumes
// from its positions (sometimes from older ones), sends numbered messages, and
// sends what was not acked again under the same id. It writes down all it sees.
type member struct {
	name    string
	url     string
	token   string
	dialect wire.Dialect
	rooms   []string // that it sends to; the channels among them it joins by name
	join    []string
	window  int // messages without an ack

	mu       sync.Mutex
	rng      *rand.Rand
	conn     *socket // nil while away
	life     int64   // of lives, when conn was dialled
	quiet    bool    // sends nothing new
	numbers  int
	unacked  []message
	done     []message // some that are acked
	session  string
	secret   string
	lives    func() int64        // how often the node was killed
	began    int64               // lives when the session began, at most
	saved    bool                // it was recovered in a later life, so that it is on disk
	survived int                 // kills, of all its sessions
	active   bool                // the opening of this connection is answered
	asked    map[string]position // with the resume under way
	have     map[string]position
	rec      receiver
	acks     []stored
	sent     []word
	faults   []string // what must never happen
	resumes  int
	refused  int // retryable errors
	retries  int
	maxTries int
}

type message struct {
	key, room string
	at        time.Time // when it was written or may be written again; zero: now
	tries     int
}

func newMember(t testing.TB, name, url string, d wire.Dialect, seed uint64, lives func() int64) *member {
	return &member{
		lives: lives, name: name, url: url, token: tokenOf(t, name), dialect: d, window: 8, rng: rand.New(rand.NewPCG(seed, seed)),
		have: map[string]position{}, rec: receiver{name: name},
	}
}

const (
	away     = 10 * time.Millisecond // longest pause before a reconnection
	resendIn = 3 * time.Second       // without an answer
)

// run keeps the member connected until ctx ends.
func (m *member) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.connection(ctx)
		m.mu.Lock()
		pause := time.Duration(m.rng.Int64N(int64(away)))
		m.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// connection is the life of one connection.
func (m *member) connection(ctx context.Context) {
	life := m.lives() // at least, of the node that answers
	s, err := connect(m.url, m.token, m.dialect, m.receive)
	if err != nil {
		return
	}
	m.mu.Lock()
	m.conn, m.life, m.active = s, life, false
	action, data := m.opening()
	m.mu.Unlock()
	over, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { // ends with the connection
		m.talk(over, s)
	})
	if s.send(wire.Envelope{ID: "open", Action: action}, data) != nil {
		s.drop()
	}
	s.read()
	cancel()
	wg.Wait()
	m.mu.Lock()
	m.conn = nil
	m.mu.Unlock()
}

// opening is the first envelope.
func (m *member) opening() (action string, data any) {
	if m.session == "" {
		return "session:open", map[string]any{"rooms": m.join}
	}
	m.asked = map[string]position{}
	for room, at := range m.have {
		if m.rng.IntN(4) == 0 { // it had written its position down before it died
			at.Offset -= min(at.Offset, m.rng.Uint64N(30))
		}
		m.asked[room] = at
	}
	return "session:resume", map[string]any{"session": m.session, "resume_token": m.secret, "positions": m.asked}
}

func (m *member) fault(format string, args ...any) {
	m.faults = append(m.faults, m.name+": "+fmt.Sprintf(format, args...))
}

// receive takes one envelope from the reader.
func (m *member) receive(e *wire.Envelope) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case e.Ref == "open" && e.Type == wire.TypeAck:
		m.welcome(e)
	case e.Ref == "open":
		m.conn.drop() // and again
	case e.Type == wire.TypeAck:
		m.acked(e)
	case e.Type == wire.TypeError:
		m.errored(e)
	case e.Offset > 0:
		m.rec.entries = append(m.rec.entries, entry{event: storedOf(e.Room, e.Epoch, e.ID, e.Action, e.Offset, e.Data)})
		if at := m.have[e.Room]; e.Offset > at.Offset {
			m.have[e.Room] = position{e.Epoch, e.Offset}
		}
	}
}

// welcome takes the answer to the opening. An opening that was never answered
// leaves no trace in the records.
func (m *member) welcome(e *wire.Envelope) {
	var a answer
	if err := json.Unmarshal(e.Data, &a); err != nil {
		m.fault("unreadable answer %s", e.Data)
		return
	}
	o := &opened{resumed: m.session != "", from: map[string]position{}, lost: map[string]string{}, reason: a.Reason}
	if o.resumed {
		o.recovered = a.Recovered != nil && *a.Recovered
		m.resumes++
		if !o.recovered && (o.reason != "session_unknown" || m.saved) {
			m.fault("a resume was not whole: %s %v", a.Reason, a.Lost)
		}
	}
	for _, l := range a.Lost {
		o.lost[l.Room] = l.Reason
	}
	for _, r := range a.Rooms {
		at, known := m.asked[r.Room]
		switch {
		case !o.resumed || o.lost[r.Room] != "":
			at = r.position
			m.have[r.Room] = at
		case !known:
			at = m.have[r.Room] // it had no events
		}
		o.from[r.Room] = at
	}
	for _, r := range a.Refused {
		m.fault("%s was refused: %s", r.Room, r.Code)
	}
	m.rec.entries = append(m.rec.entries, entry{opened: o})
	if m.session != a.Session {
		m.began, m.saved = m.lives(), false
	} else if m.life > m.began { // records are written behind: this one was
		m.began, m.saved = m.life, true
		m.survived++
	}
	m.session, m.secret, m.active = a.Session, a.ResumeToken, true
	for i := range m.unacked {
		m.unacked[i].at = time.Time{}
	}
}

func (m *member) acked(e *wire.Envelope) {
	m.acks = append(m.acks, stored{
		room: unique.Make(e.Room), epoch: unique.Make(e.Epoch), id: unique.Make(e.ID), key: unique.Make(e.Ref), offset: e.Offset,
	})
	for i, u := range m.unacked {
		if u.key == e.Ref {
			m.unacked = append(m.unacked[:i], m.unacked[i+1:]...)
			m.maxTries = max(m.maxTries, u.tries)
			if m.rng.IntN(20) == 0 {
				m.done = append(m.done, u)
			}
			return
		}
	}
}

func (m *member) errored(e *wire.Envelope) {
	var r refusal
	if err := json.Unmarshal(e.Data, &r); err != nil || !r.Retryable {
		m.fault("%s was refused: %s", e.Ref, e.Data)
		return
	}
	m.refused++
	for i := range m.unacked {
		if u := &m.unacked[i]; u.key == e.Ref {
			u.at = time.Now().Add(time.Duration(r.RetryAfter)*time.Millisecond + 20*time.Millisecond)
		}
	}
}

// talk sends what is due, at random moments, until the connection ends.
func (m *member) talk(over context.Context, s *socket) {
	defer s.drop()
	for {
		m.mu.Lock()
		pause := time.Duration(m.rng.Int64N(int64(10 * time.Millisecond)))
		m.mu.Unlock()
		select {
		case <-over.Done():
			return
		case <-time.After(pause):
		}
		if !m.sendDue(s) {
			return
		}
	}
}

func (m *member) sendDue(s *socket) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.active {
		return true
	}
	if m.rng.IntN(500) == 0 && !m.quiet {
		return false // the network fails
	}
	if !m.quiet && len(m.unacked) < m.window && len(m.rooms) > 0 {
		m.numbers++
		key := fmt.Sprint(m.name, "-", m.numbers)
		m.sent = append(m.sent, unique.Make(key))
		m.unacked = append(m.unacked, message{key: key, room: m.rooms[m.rng.IntN(len(m.rooms))]})
	}
	for i := range m.unacked {
		if u := &m.unacked[i]; !time.Now().Before(u.at) {
			if u.at, u.tries = time.Now().Add(resendIn), u.tries+1; u.tries > 1 {
				m.retries++
			}
			if m.write(s, u) != nil {
				return false
			}
		}
	}
	if len(m.done) > 0 { // the ack of which, it thinks, was lost
		u := m.done[0]
		m.done = m.done[1:]
		return m.write(s, &u) == nil
	}
	return true
}

func (m *member) write(s *socket, u *message) error {
	return s.send(wire.Envelope{ID: u.key, Room: u.room, Action: "message:send"}, text{Text: u.key + " says hello"})
}

// hush stops new messages.
func (m *member) hush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quiet = true
}

// silent reports whether everything is acked.
func (m *member) silent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.quiet && len(m.unacked) == 0
}

// at is how far the member has come in a room.
func (m *member) at(room string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.have[room].Offset
}

func (m *member) failed() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.faults) == 0 {
		return ""
	}
	return m.faults[0]
}
