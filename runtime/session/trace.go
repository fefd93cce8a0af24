package session

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// trace finds out how far a client has come in its rooms that names the last durable
// event it was sent and nothing else.
type trace struct {
	mark  frame.Mark
	at    map[uint64]uint64
	top   uint64 // the furthest offset of the mark's room that the trail knows
	known bool   // the mark is in the trail
	found bool   // or behind its end, in one of the session's rooms
}

// marks are the rooms that the session has, as a trail knows them; with s.mu held.
func (s *Session) marks() map[uint64]bool {
	all := make(map[uint64]bool, len(s.rooms))
	for i := range s.rooms {
		if j := &s.rooms[i]; j.sub != nil {
			all[trail.Room(j.name, j.sub.Position().Epoch)] = true
		}
	}
	return all
}

// traceOf reads a client's offset against the trail of its session.
func traceOf(offset string, kept []byte) *trace {
	t := &trace{}
	whole, err := trail.Parse(kept)
	if offset == "" { // it was sent none
		t.at, t.known, t.found = whole.None(), true, true
		return t
	}
	mark, ok := trail.ParseText(offset)
	if err != nil || !ok {
		return t // not known, not found
	}
	t.mark = mark
	if t.at, t.known = whole.Positions(mark); !t.known {
		t.at, t.top = whole.End(), whole.Top(mark.Room)
	}
	t.found = t.known
	return t
}

// uncertain is why a room is lost of which nobody knows how far the client has come.
const uncertain = "uncertain"

// position is how far the client has come in a room. since is where the session joined
// it, and where it stands if it was sent nothing there; why says that nobody knows.
func (t *trace) position(name string, since event.Position, head event.Head) (at event.Position, why string) {
	room := trail.Room(name, head.Epoch)
	at = since
	if offset, sent := t.at[room]; sent {
		if offset == trail.Unsure || since.Epoch == head.Epoch && since.Offset > offset {
			return at, uncertain // it has joined the room since, and had not read what it was sent before
		}
		at = event.Position{Epoch: head.Epoch, Offset: offset}
	}
	if t.known {
		return at, ""
	}
	return t.beyond(room, at, head)
}

// beyond is position for a mark that the trail does not know. That of a node that was
// killed ends too early: the mark is where its own room stands, if that is behind the
// trail's end. Other rooms stand at that end if they have not moved since; otherwise the
// client may have been sent more of them, or not. A mark that is not behind all that the
// trail knows of its room is older than that, or of a second time.
func (t *trace) beyond(room uint64, end event.Position, head event.Head) (at event.Position, why string) {
	switch {
	case room != t.mark.Room && end.Offset == head.Offset && (end.Epoch == head.Epoch || end.Offset == 0):
		return end, ""
	case room != t.mark.Room || t.mark.Offset > head.Offset:
		return end, uncertain
	case t.mark.Offset <= t.top, end.Epoch == head.Epoch && t.mark.Offset <= end.Offset:
		return end, uncertain
	}
	t.found = true
	return event.Position{Epoch: head.Epoch, Offset: t.mark.Offset}, ""
}

// traced has a session begin anew where anything is lost or nobody knows: its client,
// which drops no repeats, asks for all it needs then. What it came with opens nothing
// any more: if it does not get this answer, the next one must not say that all is well.
func (o *opening) traced() {
	if !o.trace.found {
		o.lose("", uncertain)
	}
	if len(o.welcome.lost) == 0 {
		return
	}
	o.token, o.old.Secret = newToken()
	for i := range o.rooms {
		o.rooms[i].since = o.welcome.rooms[i].Position
		o.ev.Effects[i].Position = o.rooms[i].since
	}
}
