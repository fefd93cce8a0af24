package session

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

// roomChange is what has become of a user's membership of a room.
type roomChange struct {
	room.Change
	tenant, user string
	kind         string // the action that tells of it
}

// Observe sees the durable events of users' own rooms, and those that end
// memberships, on the goroutine that has delivered them. If more users are added to rooms than
// the node can follow, their sessions are closed, and find their rooms when they
// resume.
func (m *Manager) Observe(r *event.Record) {
	switch r.Action {
	case room.ActionAdded, room.ActionRemoved, room.ActionChanged:
	case room.ActionLeave, room.ActionUpdate:
		for _, user := range room.Gone(r) {
			m.part(r, user)
		}
		return
	default:
		return
	}
	c := roomChange{tenant: r.Tenant, user: r.Room[len(room.UserType)+1:], kind: r.Action}
	if err := json.Unmarshal(r.Data, &c.Change); err != nil {
		m.deps.Log.Error("an event of a user's room is not readable", "room", r.Room, "offset", r.Offset, "error", err)
		return
	}
	m.follow(c)
}

// part has a user's sessions leave a room, behind what was said before the end of the
// membership and before what comes after it is delivered. The user's own room tells of
// it too, sooner or later than this one.
func (m *Manager) part(r *event.Record, user string) {
	c := roomChange{Change: room.Change{Room: r.Room}, tenant: r.Tenant, user: user, kind: room.ActionRemoved}
	for _, s := range m.ofUser(r.Tenant, user) {
		if !s.postpone(c) && !s.joinedBehind(r) {
			s.LeaveRoom(m.ctx, r.Room)
		}
	}
}

// joinedBehind reports whether the session has joined where the record had been stored.
func (s *Session) joinedBehind(r *event.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.find(r.Room)
	return j != nil && j.since.Epoch == r.Epoch && j.since.Offset >= r.Offset
}

// addedAgain notes that the user is a member anew of a room that the session has not
// left: the end of the membership before has not been delivered yet.
func (s *Session) addedAgain(name string, since event.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.find(name); j != nil && j.since.Epoch == since.Epoch {
		j.since.Offset = max(j.since.Offset, since.Offset)
	}
}

// follow hands a change to the goroutine that carries it out.
func (m *Manager) follow(c roomChange) {
	m.pending.begin(c)
	select {
	case m.changes <- c:
	default:
		m.pending.end(c)
		for _, s := range m.ofUser(c.tenant, c.user) {
			s.conn.CloseWith(fault.Overloaded, "resume")
		}
	}
}

// followAll carries changes out until ctx ends.
func (m *Manager) followAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-m.changes:
			for _, s := range m.ofUser(c.tenant, c.user) {
				s.change(ctx, c)
			}
			m.pending.end(c)
		}
	}
}

// pending counts the rooms that users were added to and that their sessions have
// not joined yet. It has at most as many entries as there are changes on their way.
type pending struct {
	mu    sync.Mutex
	users map[userKey]int
}

func (p *pending) begin(c roomChange) { p.add(c, 1) }
func (p *pending) end(c roomChange)   { p.add(c, -1) }

func (p *pending) add(c roomChange, n int) {
	if c.kind != room.ActionAdded {
		return
	}
	k := userKey{c.tenant, c.user}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[k] += n; p.users[k] == 0 {
		delete(p.users, k)
	}
}

func (p *pending) of(k userKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.users[k] > 0
}

// Following reports whether the session is about to join a room that its user was
// added to.
func (s *Session) Following() bool {
	id := s.Identity()
	return s.follows() && s.m.pending.of(userKey{id.Tenant, id.User})
}

// change carries one out.
func (s *Session) change(ctx context.Context, c roomChange) {
	switch {
	case s.postpone(c):
	case c.kind == room.ActionRemoved:
		s.readmit(ctx, c.Room, false) // the room itself is left by part, once all before it is delivered
	case c.kind == room.ActionChanged:
		s.readmit(ctx, c.Room, true) // whatever has come since counts
	default:
		s.attach(ctx, c.Room, c.Since)
	}
}

// Ended has the session leave a room that was deleted.
func (s *Session) Ended(sub *deliver.Sub) {
	s.mu.Lock()
	s.ended = sub.Room()
	s.mu.Unlock()
	s.LeaveRoom(s.m.ctx, sub.Room())
}

// tellEnd sends a room's last event to a session that was told of the room, and
// could not join it before it was deleted.
func (s *Session) tellEnd(ctx context.Context, name string) {
	s.mu.Lock()
	knows := s.ended == name || s.find(name) != nil // that one is about to be told
	s.mu.Unlock()
	if knows {
		return
	}
	last, err := s.m.deps.History.Before(ctx, s.Identity().Tenant, name, 0, 1, 1)
	if err != nil || len(last) == 0 || !last[0].Ends {
		s.conn.CloseWith(fault.Unavailable, "resume")
		return
	}
	s.conn.Push(s.dialect.Encode(last[0].Delivered(s.m.deps.Now().UnixMilli()), frame.Control, ""))
}

// readmit asks anew what the session may do in the sub-rooms of a room, if anything, and
// in itself, if it is to: the user's role has changed.
func (s *Session) readmit(ctx context.Context, base string, itself bool) {
	s.mu.Lock()
	var names []string
	for i := range s.rooms {
		if name := s.rooms[i].name; room.Base(name) == base && (itself || name != base) {
			names = append(names, name)
		}
	}
	s.mu.Unlock()
	for _, name := range names {
		adm, deleted, err := s.admit(ctx, name)
		switch {
		case err != nil && fault.Of(err).Kind.Retryable():
			s.conn.CloseWith(fault.Unavailable, "resume")
		case deleted: // Ended comes behind the room's last event
		case err != nil || adm.Enroll:
			s.LeaveRoom(ctx, name)
		default:
			s.mu.Lock()
			if j := s.find(name); j != nil {
				j.member = adm.Member
			}
			s.mu.Unlock()
		}
	}
}

// admit asks what the session may do in a room. It may not receive one that was
// deleted; deleted tells that from one where its user is no member any more.
func (s *Session) admit(ctx context.Context, name string) (adm room.Admission, deleted bool, err error) {
	id := s.Identity()
	adm, err = s.m.deps.Rooms.Admit(ctx, id, name)
	if err == nil || fault.Of(err).Kind.Retryable() {
		return adm, false, err
	}
	deleted, asked := s.m.deps.Rooms.Deleted(ctx, id.Tenant, name)
	if asked != nil {
		err = asked
	}
	return adm, deleted, err
}

// postpone keeps a change for a session that is being opened: whether its list of
// rooms has the change already is not known. The session asks then, whatever changed.
func (s *Session) postpone(c roomChange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.State() >= Active {
		return false
	}
	if len(s.early.changes) >= maxPostponed {
		s.conn.CloseWith(fault.Overloaded, "resume")
		return true
	}
	if c.kind == room.ActionRemoved {
		c.kind = room.ActionChanged
	}
	s.early.changes = append(s.early.changes, c)
	return true
}

const maxPostponed = 1000

// attach joins the session to a room that its user was added to elsewhere.
func (s *Session) attach(ctx context.Context, name string, since event.Position) {
	if !s.follows() {
		return
	}
	adm, deleted, err := s.admit(ctx, name)
	if deleted {
		s.tellEnd(ctx, name)
	}
	if err != nil && fault.Of(err).Kind.Retryable() {
		s.conn.CloseWith(fault.Unavailable, "resume")
	}
	if err != nil || adm.Enroll {
		return
	}
	s.addedAgain(name, since)
	if err := s.JoinRoom(ctx, name, since, adm.Member, false); err != nil {
		s.m.deps.Log.Warn("a session could not join a room that its user was added to", "room", name, "error", err)
		s.conn.CloseWith(fault.Unavailable, "resume")
		return
	}
	s.startRooms()
}
