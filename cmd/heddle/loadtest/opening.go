package loadtest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// maxNamed is how many members a room is created with; the others join.
const maxNamed = 100

type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// The ids of requests that are not messages.
const (
	openID   = "open"
	createID = "create"
	joinID   = "join"
)

func (m *member) request(ws *gws.Conn, id, action, room string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		panic(err) // the structs below can all be written
	}
	frame, err := m.t.opt.Dialect.Append(nil, &wire.Envelope{Type: wire.TypeEvent, ID: id, Action: action, Room: room, Data: body})
	if err != nil {
		m.t.fail("unencodable")
		return
	}
	m.write(ws, frame)
}

// open sends session:open, or session:resume if there is a session.
func (m *member) open(ws *gws.Conn) {
	m.mu.Lock()
	session, token, at := m.session, m.token, position{m.track.epoch, m.track.last}
	m.mu.Unlock()
	if session == "" {
		// A room of a type without members is there at once; others are created.
		m.request(ws, openID, "session:open", "", map[string]any{"device": "load", "rooms": []string{m.room.name}})
		return
	}
	positions := map[string]position{}
	if at.Epoch != "" {
		positions[m.room.name] = at
	}
	m.request(ws, openID, "session:resume", "", map[string]any{"session": session, "resume_token": token, "positions": positions})
}

// owner tells whether the member creates its room.
func (m *member) owner() bool { return int(m.id) < m.t.opt.Rooms }

// snapshot is the data of the answer to session:open, session:resume and
// room:join.
type snapshot struct {
	Session     string `json:"session"`
	ResumeToken string `json:"resume_token"`
	Recovered   *bool  `json:"recovered"`
	Reason      string `json:"reason"`
	Rooms       []struct {
		Room string `json:"room"`
		position
	} `json:"rooms"`
	position
}

// advance takes the answer to one step of joining and begins the next.
func (m *member) advance(v *wire.View) error {
	data, err := v.JSON()
	if err != nil {
		return err
	}
	var s snapshot
	if data != nil {
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
	}
	m.mu.Lock()
	ws, at := m.ws, m.step
	m.mu.Unlock()
	if ws == nil {
		return nil
	}
	switch id := string(v.Ref); {
	case at == opening && id == openID:
		m.opened(ws, &s)
	case at == creating && id == createID:
		m.join(ws)
	case at == joining && id == joinID:
		if s.Epoch == "" {
			s.position = position{string(v.Epoch), v.Offset}
		}
		m.joined(ws, s.position)
	}
	return nil
}

func (m *member) opened(ws *gws.Conn, s *snapshot) {
	m.mu.Lock()
	m.session, m.token = s.Session, s.ResumeToken
	known := m.known
	kept := s.Recovered != nil && (*s.Recovered || s.Reason == "positions_lost")
	if known && !kept {
		m.healTo = math.MaxUint64 // until the answer to room:join tells
	}
	m.mu.Unlock()
	if s.Recovered != nil {
		if *s.Recovered {
			m.t.recovered.Add(1)
		} else {
			m.t.fail("not_recovered_" + s.Reason)
		}
	}
	for _, r := range s.Rooms {
		if r.Room == m.room.name && (kept || !known) {
			m.joined(ws, r.position)
			return
		}
	}
	if m.owner() && !known && !m.t.standing.Load() {
		m.create(ws)
		return
	}
	m.join(ws)
}

func (m *member) create(ws *gws.Conn) {
	var users []string
	for i := int(m.id); i < m.t.opt.Conns && len(users) < maxNamed; i += m.t.opt.Rooms {
		users = append(users, m.t.user(uint32(i)))
	}
	m.mu.Lock()
	m.step = creating
	m.mu.Unlock()
	m.request(ws, createID, "room:create", m.room.name, map[string]any{"members": users})
}

// join asks for the room, from the member's position if it has one.
func (m *member) join(ws *gws.Conn) {
	m.mu.Lock()
	m.step = joining
	data := map[string]any{}
	if m.known && m.track.epoch != "" {
		data["since"] = position{m.track.epoch, m.track.last}
	}
	m.mu.Unlock()
	m.request(ws, joinID, "room:join", m.room.name, data)
}

// joined is the end of joining: what waits is sent, in order.
func (m *member) joined(ws *gws.Conn, at position) {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	m.step = ready
	first := !m.known
	if first {
		m.known, m.track = true, track{epoch: at.Epoch, last: at.Offset}
		m.room.begin(at.Epoch, at.Offset)
	}
	if m.healTo == math.MaxUint64 {
		m.healTo = at.Offset
	}
	took := time.Since(m.dialled)
	numbers := make([]uint32, 0, len(m.pending))
	for n := range m.pending {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	frames := make([][]byte, len(numbers))
	for i, n := range numbers {
		frames[i] = m.t.message(m, n, m.pending[n])
	}
	m.mu.Unlock()
	m.t.joinTook.observe(took)
	m.release()
	if first {
		m.t.lastJoin.raise(int64(m.t.now()))
		m.t.joined.Add(1)
	}
	for _, f := range frames {
		m.write(ws, f)
	}
}

// refused counts an error, and goes on without what was refused where it can.
func (m *member) refused(v *wire.View) error {
	data, err := v.JSON()
	if err != nil {
		return err
	}
	var d struct {
		Code      string `json:"code"`
		Retryable bool   `json:"retryable"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("error envelope: %w", err)
	}
	ref := string(v.Ref)
	m.mu.Lock()
	ws := m.ws
	if number, ok := m.t.number(v.Ref); ok {
		if _, waiting := m.pending[number]; waiting {
			delete(m.pending, number)
			m.t.refused.Add(1)
		}
	}
	m.mu.Unlock()
	if ref == createID { // the room may be there; joining tells
		switch d.Code {
		case "conflict":
		case "invalid":
			m.t.standing.Store(true)
		default:
			m.t.fail("create_" + d.Code)
		}
		if ws != nil {
			m.join(ws)
		}
		return nil
	}
	if ref == openID || ref == joinID {
		m.t.fail(ref + "_" + d.Code)
		m.mu.Lock()
		m.session = ""
		m.over = m.over || !d.Retryable && d.Code != "session_lost"
		m.mu.Unlock()
		if ws != nil {
			_ = ws.NetConn().Close()
		}
		return nil
	}
	m.t.fail(d.Code)
	return nil
}

// drain leaves a node that is going away, when it says so.
func (m *member) drain(v *wire.View) error {
	data, err := v.JSON()
	if err != nil {
		return err
	}
	var d struct {
		In int64 `json:"reconnect_in_ms"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	m.mu.Lock()
	ws := m.ws
	m.mu.Unlock()
	if ws != nil {
		conn := ws.NetConn()
		time.AfterFunc(time.Duration(min(max(d.In, 0), 60000))*time.Millisecond, func() { _ = conn.Close() })
	}
	return nil
}
