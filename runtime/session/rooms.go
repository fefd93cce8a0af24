package session

import (
	"context"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Member says what the session may do in a room that it has joined.
func (s *Session) Member(name string) (event.Membership, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.find(name); j != nil {
		return j.sub.Member, true
	}
	return event.Membership{}, false
}

// find looks a room up, with s.mu held. Sessions have few rooms: a scan beats a
// map in time and in memory.
func (s *Session) find(name string) *joined {
	for _, j := range s.rooms {
		if j.sub.Room() == name {
			return j
		}
	}
	return nil
}

// JoinRoom makes the session a subscriber and puts the room into its record;
// startRooms lets durable events flow. A room joined already stays where it stands,
// unless it is asked to go back.
func (s *Session) JoinRoom(_ context.Context, name string, at event.Position, m event.Membership, again bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone || s.rec == nil:
		return fault.New(fault.SessionLost, "", "the connection is closing")
	case s.find(name) != nil:
		j := s.find(name)
		if now := j.sub.Position(); again && now.Epoch == at.Epoch && now.Offset > at.Offset {
			s.m.deps.Hub.Rewind(j.sub, at.Offset)
			j.started = false
		}
		return nil
	case len(s.rooms) >= s.m.cfg.Rooms:
		return fault.New(fault.Forbidden, "room", "this session has joined as many rooms as it may")
	}
	if _, kept := s.rec.Rooms[name]; !kept {
		s.rec.Rooms[name] = at
		s.m.saver.add(s)
	}
	sub := s.m.deps.Hub.Subscribe(s.Identity().Tenant, name, s, at, m)
	s.rooms = append(s.rooms, &joined{sub: sub, acked: at.Offset})
	return nil
}

// LeaveRoom ends the subscription, and those of the room's sub-rooms.
func (s *Session) LeaveRoom(_ context.Context, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rooms)
	s.rooms = slices.DeleteFunc(s.rooms, func(j *joined) bool {
		r := j.sub.Room()
		if r != name && room.Base(r) != name {
			return false
		}
		s.m.deps.Hub.Unsubscribe(j.sub)
		if s.rec != nil {
			delete(s.rec.Rooms, r)
		}
		return true
	})
	if len(s.rooms) < before && s.rec != nil {
		s.m.saver.add(s)
	}
}

// startRooms lets the durable events of rooms just joined flow.
func (s *Session) startRooms() {
	s.mu.Lock()
	var start []*joined
	for _, j := range s.rooms {
		if !j.started {
			j.started = true
			start = append(start, j)
		}
	}
	s.mu.Unlock()
	for _, j := range start {
		s.m.deps.Hub.Start(s.m.ctx, j.sub)
	}
	if !s.machine.move(&s.m.states, Active) {
		return
	}
	s.mu.Lock()
	later := s.later
	s.later = nil
	s.mu.Unlock()
	for _, a := range later {
		s.m.changed(a)
	}
}

// attach joins the session to a room that its user was added to elsewhere.
func (s *Session) attach(ctx context.Context, name string, since event.Position) {
	adm, err := s.m.deps.Rooms.Admit(ctx, s.Identity(), name)
	if err != nil && fault.Of(err).Kind.Retryable() {
		s.conn.CloseWith(fault.Unavailable, "resume")
	}
	if err != nil || adm.Enroll {
		return
	}
	if err := s.JoinRoom(ctx, name, since, adm.Member, false); err != nil {
		s.m.deps.Log.Warn("a session could not join a room that its user was added to", "room", name, "error", err)
		s.conn.CloseWith(fault.Unavailable, "resume")
		return
	}
	s.startRooms()
}

// snapshot describes a room to a session that joins it.
func (m *Manager) snapshot(ctx context.Context, id *event.Identity, name string) (RoomState, error) {
	head, err := m.deps.History.Head(ctx, id.Tenant, name)
	if err != nil {
		return RoomState{}, err
	}
	st := RoomState{Room: name, Epoch: head.Epoch, Offset: head.Offset, head: head}
	if room.TypeOf(name) == room.UserType {
		return st, nil
	}
	mark, err := m.deps.Reader.Marker(ctx, id.Tenant, id.User, name)
	if err != nil {
		return RoomState{}, err
	}
	if mark.Epoch == head.Epoch {
		st.ReadOffset, st.Unread = mark.Offset, head.Messages-min(mark.Messages, head.Messages)
	} else {
		st.Unread = head.Messages
	}
	return st, nil
}

// RoomState is a room in the answer to session:open and session:resume.
type RoomState struct {
	Room       string `json:"room"`
	Epoch      string `json:"epoch"`
	Offset     uint64 `json:"offset"`
	Unread     uint64 `json:"unread"`
	ReadOffset uint64 `json:"read_offset"`
	Member     bool   `json:"member"`

	head event.Head
}
