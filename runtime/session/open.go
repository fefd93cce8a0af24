package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// opening is a session on its way to being open. Its steps: begin makes it known
// by its user, names and assign find its rooms, enter makes it known by its id,
// has it saved, and answers. The event's effects then join the rooms.
type opening struct {
	m         *Manager
	s         *Session
	ev        *event.Event
	bearer    *event.Identity // as the token has it
	id        *event.Identity // with the device that the client names, if the token names none
	old       *Record         // of the session to resume; nil for a new one
	positions map[string]event.Position
	trace     *trace // of a client that tells no positions
	spaces    namespaces
	rooms     []joined
	token     string
	welcome   welcome
}

// open handles session:open.
func open(ctx context.Context, ev *event.Event) error {
	o, err := begin(ev)
	if err != nil {
		return err
	}
	names, err := o.choose(ctx)
	if err == nil {
		err = o.assign(ctx, names)
	}
	if err == nil {
		err = o.m.place(o.s, o.id, "")
	}
	if err == nil {
		err = o.appear(ctx, false)
	}
	if err != nil {
		return o.fail(err)
	}
	if err := o.enter(); err != nil {
		return err
	}
	o.m.SessionsOpened.Add(1)
	return nil
}

// begin takes what both ways in have in common from the event.
func begin(ev *event.Event) (*opening, error) {
	s := ev.Origin.(*Session)
	bearer := s.Identity()
	id := bearer
	if device := ev.Str("device"); device != "" && device != id.Device {
		if id.Device != "" {
			return nil, fault.New(fault.Forbidden, "data.device", "the token is another device's")
		}
		with := *id
		with.Device = device
		id = &with
		s.identity.Store(id)
	}
	s.machine.move(&s.m.states, Assigning)
	s.m.introduce(s, id)
	s.mu.Lock()
	s.acks, s.attrs = ev.Bool("acks"), string(ev.Arg("attributes"))
	s.mu.Unlock()
	return &opening{m: s.m, s: s, ev: ev, bearer: bearer, id: id}, nil
}

// fail lets the client try again on the same connection, as another device too.
func (o *opening) fail(err error) error {
	o.m.displace(o.s)
	o.s.identity.Store(o.bearer)
	o.s.machine.move(&o.m.states, Authenticating)
	return err
}

// names lists the rooms to join: those of the session's namespaces, and those asked
// for.
func (o *opening) names(ctx context.Context, asked []string) ([]string, error) {
	names, err := o.own(ctx)
	if err != nil || len(asked) == 0 {
		return names, err
	}
	seen := make(map[string]bool, len(names)+len(asked))
	for _, name := range names {
		seen[name] = true
	}
	for _, name := range asked {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// assign looks every room up.
func (o *opening) assign(ctx context.Context, names []string) error {
	o.rooms = make([]joined, 0, min(len(names), o.m.cfg.Rooms))
	o.welcome.rooms = make([]roomState, 0, cap(o.rooms))
	if f, ok := o.m.deps.Reader.(Foreseer); ok {
		ctx = f.Foresee(ctx, o.id.Tenant, o.id.User, names)
	}
	for _, name := range names {
		if err := o.room(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// room adds one room to the record, the answer and the effects.
func (o *opening) room(ctx context.Context, name string) error {
	// Before the admission: if the room is deleted between the two, its end is news.
	state, head, err := o.state(ctx, name)
	if err != nil {
		return fault.Wrap("session.room", fault.Unavailable, err)
	}
	adm, err := o.m.deps.Rooms.Admit(ctx, o.id, name)
	switch {
	case err == nil && adm.Enroll:
		err = fault.New(fault.Forbidden, "room", "not a member")
	case err == nil && len(o.rooms) >= o.m.cfg.Rooms:
		err = tooManyRooms()
	}
	if err != nil {
		kind := fault.Of(err).Kind
		if kind.Retryable() {
			return err
		}
		o.welcome.refused = append(o.welcome.refused, without{name, kind.Code()})
		return nil
	}
	at, err := o.position(ctx, name, head)
	if err != nil {
		return err
	}
	state.member = adm.Lasting
	o.rooms = append(o.rooms, joined{name: name, hash: o.m.hash(name), since: at})
	o.welcome.rooms = append(o.welcome.rooms, state)
	o.ev.Emit(event.Effect{Kind: event.Join, Member: adm.Member, Envelope: event.Envelope{Room: name, Position: at}})
	return nil
}

// state describes a room to the session that joins it.
func (o *opening) state(ctx context.Context, name string) (roomState, event.Head, error) {
	head, err := o.m.deps.History.Head(ctx, o.id.Tenant, name)
	if err != nil {
		return roomState{}, head, err
	}
	st := roomState{room: name, Position: head.Position}
	if room.TypeOf(name) == room.UserType {
		return st, head, nil
	}
	mark, err := o.m.deps.Reader.Marker(ctx, o.id.Tenant, o.id.User, name)
	if err != nil {
		return roomState{}, head, err
	}
	if mark.Epoch == head.Epoch {
		st.read, st.unread = mark.Offset, head.Messages-min(mark.Messages, head.Messages)
	} else {
		st.unread = head.Messages
	}
	return st, head, nil
}

// enter makes the session known by its id, has its record saved, and answers the
// event.
func (o *opening) enter() error {
	o.record()
	s, m := o.s, o.m
	s.machine.move(&m.states, Syncing)
	old, ok := m.enter(s)
	if !ok {
		s.mu.Lock()
		s.kept = false // the client knows no token to resume it by, or has one of an older record
		s.mu.Unlock()
		s.machine.move(&m.states, Closed)
		return fault.New(fault.SessionLost, "", "the connection is closed")
	}
	if old != nil {
		old.mu.Lock()
		old.kept = false // the record is this session's now
		old.mu.Unlock()
		old.conn.CloseWith(fault.SessionReplaced, "")
	}
	m.saver.add(s)
	s.show()
	w := &o.welcome
	w.session, w.node, w.token, w.ttl = s.id, m.deps.Node, o.token, m.cfg.ResumeTTL
	w.user, w.device, w.limits = o.id.User, o.id.Device, m.deps.Limits
	o.ev.Respond(w.json())
	return nil
}

// record gives the session what its record holds.
func (o *opening) record() {
	r := record{opened: o.m.deps.Now().UnixMilli(), expires: o.m.expiry()}
	id := ""
	if o.old != nil {
		id, r.opened, r.secret, r.generation = o.old.ID, o.old.Opened, o.old.Secret, o.old.Generation+1
	} else {
		id = ulid.MustNew(uint64(r.opened), rand.Reader).String()
		o.token, r.secret = newToken()
	}
	o.s.mu.Lock()
	o.s.id, o.s.rooms, o.s.record, o.s.kept = id, o.rooms, r, true
	o.s.mu.Unlock()
}

func newToken() (token string, hash [32]byte) {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, sha256.Sum256([]byte(token))
}
