package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Reasons for recovered:false.
const (
	reasonUnknown   = "session_unknown"
	reasonMismatch  = "session_mismatch"
	reasonPositions = "positions_lost"
)

// Welcome is the data of the ack of session:open and session:resume.
type Welcome struct {
	Session     string      `json:"session"`
	Node        string      `json:"node"`
	ResumeToken string      `json:"resume_token"`
	ResumeTTL   int64       `json:"resume_ttl_ms"`
	User        string      `json:"user"`
	Device      string      `json:"device"`
	Heartbeat   int64       `json:"heartbeat_ms"`
	MaxFrame    int         `json:"max_frame_bytes"`
	Rooms       []RoomState `json:"rooms"`
	Refused     []Refused   `json:"refused,omitempty"`
	Recovered   *bool       `json:"recovered,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Lost        []Lost      `json:"lost,omitempty"`
}

// Refused is a room that was asked for and may not be received.
type Refused struct {
	Room string `json:"room"`
	Code string `json:"code"`
}

// Lost is a room whose missed events could not be replayed whole.
type Lost struct {
	Room   string `json:"room"`
	Reason string `json:"reason"`
}

// opening is a session on its way to being open.
type opening struct {
	s         *Session
	ev        *event.Event
	id        *event.Identity
	old       *Record // of the session to resume; nil for a new one
	positions map[string]event.Position
	token     string
	welcome   Welcome
}

// open handles session:open.
func (m *Manager) open(ctx context.Context, ev *event.Event) error {
	o := m.begin(ev)
	rooms, err := o.names(ctx, stringsOf(ev.Arg("rooms")))
	if err != nil {
		return o.fail(err)
	}
	return o.finish(ctx, rooms)
}

// resume handles session:resume. What can not be resumed becomes a new session,
// and the answer says why.
func (m *Manager) resume(ctx context.Context, ev *event.Event) error {
	o := m.begin(ev)
	if err := json.Unmarshal(orEmpty(ev.Arg("positions")), &o.positions); err != nil {
		return o.fail(fault.New(fault.Invalid, "data.positions", "not positions"))
	}
	rec, found, err := m.load(ctx, o.id.Tenant, ev.Str("session"))
	if err != nil {
		return o.fail(fault.Wrap("session.resume", fault.Unavailable, err))
	}
	secret := sha256.Sum256([]byte(ev.Str("resume_token")))
	switch {
	case !found || rec.Expires < m.deps.Now().UnixMilli():
		o.welcome.Reason = reasonUnknown
	case rec.User != o.id.User || subtle.ConstantTimeCompare(rec.Secret[:], secret[:]) != 1:
		o.welcome.Reason = reasonMismatch
	default:
		o.old, o.token = &rec, ev.Str("resume_token")
	}
	asked := make([]string, 0, len(o.positions))
	if o.old != nil {
		for name := range rec.Rooms {
			asked = append(asked, name)
		}
	}
	for name := range o.positions {
		if o.old == nil || !has(rec.Rooms, name) {
			asked = append(asked, name)
		}
	}
	slices.Sort(asked) // maps have no order, the answer has one
	if err := o.gained(ctx); err != nil {
		return o.fail(err)
	}
	rooms, err := o.names(ctx, asked)
	if err != nil {
		return o.fail(err)
	}
	recovered := o.old != nil
	o.welcome.Recovered = &recovered
	return o.finish(ctx, rooms)
}

func has(rooms map[string]event.Position, name string) bool { _, ok := rooms[name]; return ok }

// begin takes what both ways in have in common from the event.
func (m *Manager) begin(ev *event.Event) *opening {
	s := ev.Origin.(*Session)
	s.machine.move(&m.states, Assigning)
	id := s.Identity()
	if device := ev.Str("device"); device != "" && id.Device == "" {
		with := *id
		with.Device = device
		id = &with
		s.identity.Store(id)
	}
	m.introduce(s, id)
	s.mu.Lock()
	s.acks, s.attrs = ev.Bool("acks"), append([]byte(nil), ev.Arg("attributes")...)
	s.mu.Unlock()
	return &opening{s: s, ev: ev, id: id}
}

// fail lets the client try again on the same connection.
func (o *opening) fail(err error) error {
	o.s.machine.move(&o.s.m.states, Authenticating)
	return err
}

// names lists the rooms to join: the user's own, those the user is a member of,
// and those asked for.
func (o *opening) names(ctx context.Context, asked []string) ([]string, error) {
	member, err := o.s.m.deps.Reader.RoomsOf(ctx, o.id.Tenant, o.id.User, o.s.m.cfg.Rooms)
	if err != nil {
		return nil, fault.Wrap("session.names", fault.Unavailable, err)
	}
	seen := make(map[string]bool, len(member)+len(asked)+1)
	var names []string
	for _, list := range [...][]string{{room.OfUser(o.id.User)}, member, asked} {
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// gained finds the rooms that the user was added to while the session was away:
// they are replayed from where the user's view of them begins.
func (o *opening) gained(ctx context.Context) error {
	if o.old == nil {
		return nil
	}
	m, own := o.s.m, room.OfUser(o.id.User)
	at := o.old.Rooms[own]
	if at.Offset == 0 {
		head, err := m.deps.History.Head(ctx, o.id.Tenant, own)
		if err != nil || head.Offset == 0 {
			return fault.Wrap("session.gained", fault.Unavailable, err)
		}
		at.Epoch = head.Epoch
	}
	missed, err := m.deps.History.After(ctx, o.id.Tenant, own, at, gainedEvents, gainedBytes)
	if errors.Is(err, room.ErrTrimmed) {
		return nil // the answer will say that the own room is lost
	}
	for i := range missed {
		var c room.Change
		if missed[i].Action != room.ActionAdded || json.Unmarshal(missed[i].Data, &c) != nil || has(o.old.Rooms, c.Room) {
			continue
		}
		o.old.Rooms[c.Room] = c.Since
	}
	return fault.Wrap("session.gained", fault.Unavailable, err)
}

// How much of the user's own room is looked through for rooms gained.
const (
	gainedEvents = 1000
	gainedBytes  = 1 << 20
)

// finish looks every room up, writes the record, and answers. The event's effects
// join the rooms.
func (o *opening) finish(ctx context.Context, names []string) error {
	m := o.s.m
	rec := &Record{
		ID: ulid.MustNew(ulid.Timestamp(m.deps.Now()), rand.Reader).String(), Tenant: o.id.Tenant, User: o.id.User, Device: o.id.Device,
		Opened: m.deps.Now().UnixMilli(), Rooms: make(map[string]event.Position, len(names)),
	}
	if o.old != nil {
		rec.ID, rec.Opened, rec.Secret = o.old.ID, o.old.Opened, o.old.Secret
	} else {
		o.token, rec.Secret = newToken()
	}
	o.welcome.Rooms = make([]RoomState, 0, len(names))
	for _, name := range names {
		if err := o.room(ctx, rec, name); err != nil {
			return o.fail(err)
		}
	}
	if len(o.welcome.Lost) > 0 {
		*o.welcome.Recovered = false
		if o.welcome.Reason == "" {
			o.welcome.Reason = reasonPositions
		}
	}
	rec.Expires = m.expiry()
	o.s.mu.Lock()
	o.s.id, o.s.rec, o.s.entered = rec.ID, rec, true
	m.saver.add(o.s)
	o.s.mu.Unlock()
	o.enter()
	return nil
}

// room adds one room to the record, the answer and the effects.
func (o *opening) room(ctx context.Context, rec *Record, name string) error {
	m := o.s.m
	adm, err := m.deps.Rooms.Admit(ctx, o.id, name)
	switch {
	case err == nil && adm.Enroll:
		err = fault.New(fault.Forbidden, "room", "not a member")
	case err == nil && len(rec.Rooms) >= m.cfg.Rooms:
		err = fault.New(fault.Forbidden, "room", "this session has joined as many rooms as it may")
	}
	if err != nil {
		if f := fault.Of(err); f.Kind.Retryable() {
			return err
		}
		o.welcome.Refused = append(o.welcome.Refused, Refused{Room: name, Code: fault.Of(err).Kind.Code()})
		return nil
	}
	state, err := m.snapshot(ctx, o.id, name)
	if err != nil {
		return fault.Wrap("session.room", fault.Unavailable, err)
	}
	at, err := o.position(ctx, name, state.head)
	if err != nil {
		return err
	}
	rec.Rooms[name] = at
	state.Member = adm.Lasting
	o.welcome.Rooms = append(o.welcome.Rooms, state)
	o.ev.Emit(event.Effect{Kind: event.Join, Member: adm.Member, Envelope: event.Envelope{Room: name, Position: at}})
	return nil
}

// position is where a room's replay starts: at the client's own position, else
// where the session joined the room, else at its head. What can not be replayed
// from there is told.
func (o *opening) position(ctx context.Context, name string, head event.Head) (event.Position, error) {
	at, known := o.positions[name]
	if !known && o.old != nil {
		at, known = o.old.Rooms[name]
	}
	if !known {
		return head.Position, nil
	}
	why, err := room.Replayable(ctx, o.s.m.deps.History, o.id.Tenant, name, at, head)
	if err != nil {
		return at, err
	}
	if why != "" {
		o.welcome.Lost = append(o.welcome.Lost, Lost{Room: name, Reason: why})
		return head.Position, nil
	}
	return at, nil
}

// enter makes the session known and answers the event.
func (o *opening) enter() {
	s, m := o.s, o.s.m
	s.machine.move(&m.states, Syncing)
	if old := m.enter(s); old != nil {
		old.mu.Lock()
		old.rec = nil // it is this session's now
		old.mu.Unlock()
		old.conn.CloseWith(fault.SessionReplaced, "")
	}
	switch {
	case o.welcome.Recovered == nil:
		m.SessionsOpened.Add(1)
	case *o.welcome.Recovered:
		m.Resumed.Add(1)
	default:
		m.Unrecovered.Add(1)
	}
	w := &o.welcome
	w.Session, w.Node, w.ResumeToken, w.ResumeTTL = s.id, m.deps.Node, o.token, m.cfg.ResumeTTL.Milliseconds()
	w.User, w.Device = o.id.User, o.id.Device
	w.Heartbeat, w.MaxFrame = m.deps.Limits.Heartbeat.Milliseconds(), m.deps.Limits.MaxFrameBytes
	data, _ := json.Marshal(w)
	o.ev.Respond(data)
}

func newToken() (token string, hash [32]byte) {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, sha256.Sum256([]byte(token))
}

func orEmpty(raw []byte) []byte {
	if raw == nil {
		return []byte("{}")
	}
	return raw
}

func stringsOf(raw []byte) (out []string) {
	_ = json.Unmarshal(raw, &out) // validated before
	return out
}

// expired reports whether the token of a session is over.
func (s *Session) expired(now time.Time) bool {
	id := s.Identity()
	return id != nil && id.Expires != 0 && now.UnixMilli() >= id.Expires
}
