package heddletest

import (
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Position is a place in a room's stream.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

type room struct {
	name, epoch string          // there is no epoch before the first event
	trimmed     uint64          // events up to here are gone
	events      []wire.Envelope // those behind
	keys        map[string]uint64
	members     map[string]bool
	read        map[string]uint64
	subscribers map[*conn]bool
	typers      []string
}

func now() int64 { return time.Now().UnixMilli() }

// room finds or makes a room; the lock is held.
func (s *Server) room(name string) *room {
	r := s.rooms[name]
	if r == nil {
		r = &room{
			name: name, keys: map[string]uint64{}, members: map[string]bool{}, read: map[string]uint64{},
			subscribers: map[*conn]bool{},
		}
		s.rooms[name] = r
	}
	return r
}

func (r *room) top() uint64 { return r.trimmed + uint64(len(r.events)) }

// after returns the events behind an offset; whole is false if some are gone.
func (r *room) after(offset uint64) (events []wire.Envelope, whole bool) {
	if offset < r.trimmed {
		return r.events, false
	}
	return r.events[min(offset, r.top())-r.trimmed:], true
}

// replayable says why the events behind a position can not all be had; "" if they
// can.
func (r *room) replayable(p Position) string {
	switch {
	case p.Offset == 0 && (p.Epoch == "" || p.Epoch == r.epoch):
	case p.Epoch != r.epoch:
		return "epoch"
	case p.Offset > r.top():
		return "ahead"
	}
	if p.Offset < r.trimmed {
		return "trimmed"
	}
	return ""
}

// store adds a durable event, unless its key is known, and publishes it; the
// lock is held.
func (s *Server) store(r *room, e wire.Envelope, key string) (stored wire.Envelope, repeat bool) {
	if at, known := r.keys[key]; key != "" && known && at > r.trimmed {
		return r.events[at-r.trimmed-1], true
	}
	if r.epoch == "" {
		r.epoch = s.next("epoch")
	}
	e.Type, e.ID, e.Timestamp, e.Room = wire.TypeMessage, s.next("msg"), now(), r.name
	e.Epoch, e.Offset = r.epoch, r.top()+1
	r.events = append(r.events, e)
	if key != "" {
		r.keys[key] = e.Offset
	}
	s.publish(r, e)
	return e, false
}

// publish sends a live event to all subscribers, encoded once for each dialect;
// the lock is held.
func (s *Server) publish(r *room, e wire.Envelope) {
	var frames [2][]byte
	for k := range r.subscribers {
		if s.opt.Tamper != nil {
			for _, e := range s.opt.Tamper(k.user, e) {
				k.send(&e)
			}
			continue
		}
		if frames[k.dialect] == nil {
			frames[k.dialect], _ = k.dialect.Append(nil, &e)
		}
		k.queue(frames[k.dialect])
	}
}

// Publish stores an event of the node's own and delivers it.
func (s *Server) Publish(roomName, action string, data any) Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.store(s.room(roomName), wire.Envelope{Action: action, Data: marshal(data)}, "")
	return Position{e.Epoch, e.Offset}
}

// Events are all durable events of a room that are kept.
func (s *Server) Events(roomName string) []wire.Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wire.Envelope(nil), s.room(roomName).events...)
}

// Trim forgets all but the newest events of a room.
func (s *Server) Trim(roomName string, keep int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(roomName)
	if n := len(r.events) - keep; n > 0 {
		r.trimmed += uint64(n)
		r.events = r.events[n:]
	}
}

// Renew begins a new life of a room: another epoch, no events.
func (s *Server) Renew(roomName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(roomName)
	r.epoch, r.trimmed, r.events, r.keys = "", 0, nil, map[string]uint64{}
}

// Handled is the furthest offset of a room that any session has acknowledged.
func (s *Server) Handled(roomName string) (furthest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.sessions {
		furthest = max(furthest, sess.acks[roomName])
	}
	return furthest
}

// Resend sends the newest event of a room again, as for want of an ack: what was
// acknowledged of the room is forgotten.
func (s *Server) Resend(roomName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(roomName)
	for _, sess := range s.sessions {
		delete(sess.acks, roomName)
	}
	if n := len(r.events); n > 0 {
		s.publish(r, r.events[n-1])
	}
}
