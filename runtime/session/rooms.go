package session

import (
	"context"
	"hash/maphash"
	"slices"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// joined is one room of a session, in its record and, once subscribed, in the
// hub. It fills a line of the processor's cache: looking a room up, which every
// event does, reads the entries one after the other and nothing else.
type joined struct {
	name    string // the hub's own, once subscribed
	hash    uint32 // of name
	member  event.Membership
	started bool           // durable events flow
	since   event.Position // where the session joined it, for its record
	sub     *deliver.Sub   // nil while the session is being opened
	unacked *unacked       // nil if the session does not acknowledge
}

// find looks a room up, with s.mu held; nil if the session has it not. The
// pointer is good until rooms are added or left.
//
// Sessions have few rooms: a scan beats a map in time and in memory.
func (s *Session) find(name string) *joined {
	h := s.m.hash(name)
	for i := range s.rooms {
		if j := &s.rooms[i]; j.hash == h && j.name == name {
			return j
		}
	}
	return nil
}

func (m *Manager) hash(room string) uint32 { return uint32(maphash.String(m.seed, room)) }

// Member says what the session may do in a room, and whether it has joined that.
func (s *Session) Member(name string) (event.Membership, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.find(name); j != nil && j.sub != nil {
		return j.member, true
	}
	if base, ok := s.m.deps.Rooms.Direct(name); ok {
		if j := s.find(base); j != nil && j.sub != nil {
			return event.Membership{Publish: true, Durable: j.member.Durable}, false
		}
	}
	return event.Membership{}, false
}

// JoinRoom makes the session a subscriber and puts the room into its record;
// startRooms lets durable events flow. A room joined already stays where it stands,
// unless it is asked to go back.
func (s *Session) JoinRoom(_ context.Context, name string, at event.Position, m event.Membership, again bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || !s.kept {
		return fault.New(fault.SessionLost, "", "the connection is closing")
	}
	j := s.find(name)
	switch {
	case !granted(s.Identity(), name):
		return fault.New(fault.Forbidden, "room", "the token does not grant this room") // that of the refresh meanwhile
	case j != nil && j.sub != nil:
		if now := j.sub.Position(); again && now.Epoch == at.Epoch && now.Offset > at.Offset {
			if j.unacked != nil {
				j.unacked.sent = max(j.unacked.sent, now.Offset)
			}
			s.rewind(j.sub, at.Offset)
			j.since, j.started = at, false
			s.m.saver.add(s)
		}
		return nil
	case j == nil && s.full():
		return tooManyRooms()
	case j == nil:
		s.rooms = append(s.rooms, joined{hash: s.m.hash(name), since: at})
		j = &s.rooms[len(s.rooms)-1]
		if t, ok := s.conn.(Trailer); ok {
			t.Joined(trail.Of(name, at.Epoch, at.Offset))
		}
		s.m.saver.add(s)
	}
	j.sub = s.m.deps.Hub.Subscribe(s.Identity().Tenant, name, s, at, m)
	j.name, j.member = j.sub.Room(), m
	s.entered(j.name)
	if s.acks {
		j.unacked = &unacked{behind: at.Offset}
	}
	if s.State() >= Active {
		// The user may have been removed between the admission and this.
		id := s.Identity()
		s.m.follow(roomChange{Change: room.Change{Room: room.Base(name)}, tenant: id.Tenant, user: id.User, kind: room.ActionChanged})
	}
	return nil
}

// rewind takes a subscription back. A record that says what the client was sent has to say
// so soon: of what comes twice nobody knows which of the two the client has.
func (s *Session) rewind(sub *deliver.Sub, offset uint64) {
	s.m.deps.Hub.Rewind(sub, offset)
	if t, ok := s.conn.(Trailer); ok {
		t.Joined(trail.Of(sub.Room(), sub.Position().Epoch, offset))
		s.m.saver.add(s)
	}
}

// MayJoin refuses a room that JoinRoom would refuse for the number of rooms: what
// makes the user a member asks first.
func (s *Session) MayJoin(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(name) == nil && s.full() {
		return tooManyRooms()
	}
	return nil
}

// full is asked with s.mu held.
func (s *Session) full() bool { return len(s.rooms) >= s.m.cfg.Rooms }

func tooManyRooms() error {
	return fault.New(fault.Forbidden, "room", "this session has joined as many rooms as it may")
}

// LeaveRoom ends the subscription, and those of the room's sub-rooms.
func (s *Session) LeaveRoom(_ context.Context, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(func(joined string) bool { return joined == name || room.Base(joined) == name })
}

// leave ends the subscriptions of those rooms, with s.mu held. What follows from having
// left one does not reach the session in another.
func (s *Session) leave(those func(name string) bool) {
	before := len(s.rooms)
	var few [8]string
	left := few[:0]
	s.rooms = slices.DeleteFunc(s.rooms, func(j joined) bool {
		if !those(j.name) {
			return false
		}
		if j.sub != nil {
			s.m.deps.Hub.Unsubscribe(j.sub)
			left = append(left, j.name)
		}
		return true
	})
	for _, name := range left {
		s.left(name)
	}
	if len(s.rooms) < before && s.kept {
		s.m.saver.add(s)
	}
}

// startRooms lets the durable events of rooms just joined flow.
func (s *Session) startRooms() {
	var few [8]*deliver.Sub
	start := few[:0]
	s.mu.Lock()
	for i := range s.rooms {
		if j := &s.rooms[i]; j.sub != nil && !j.started {
			j.started = true
			start = append(start, j.sub)
		}
	}
	s.mu.Unlock()
	opening := s.State() == Syncing // on a worker, which may wait; otherwise it may be a publishing goroutine
	for _, sub := range start {
		if opening {
			_ = s.m.deps.Hub.Learn(s.m.ctx, sub) // if it fails, Start tries again, and tells
		}
		s.m.deps.Hub.Start(sub)
	}
	s.machine.move(&s.m.states, Active)
	for _, c := range s.postponed() {
		s.m.follow(c)
	}
}

// postponed takes what was kept while the session was being opened. It may be
// draining by now, which is open too.
func (s *Session) postponed() (changes []roomChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.State(); s.early != nil && (st == Active || st == Draining) {
		changes, s.early = s.early.changes, nil
	}
	return changes
}
