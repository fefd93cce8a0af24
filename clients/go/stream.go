package heddle

import "time"

// maxTries is how often the client resumes because of the same gap before it
// goes on behind it.
const maxTries = 3

// stream is what the client knows of a joined room. The lock of the client
// guards it; only the reader moves its position while there is one.
type stream struct {
	Position                  // up to here, everything was queued for OnEvent; zero in a room without events
	known    bool             // Position counts; else the next event sets it
	member   bool             // the user is a lasting member: a new session finds itself in the room, or has left it
	joining  bool             // a rejoin is under way: other requests to the room wait for it
	former   string           // the epoch before: its events are repeats
	held     map[uint64]Event // of this epoch, behind a gap
	since    time.Time        // when the gap was seen; zero without one
	tries    int              // how often the gap made the client resume
	handled  uint64           // OnEvent has returned up to here
	acked    uint64           // and the server was told so
	again    bool             // and has not heard it: it has sent what was handled again
}

// verdict is what happens to a durable event.
type verdict uint8

const (
	deliver verdict = iota
	repeat
	hold
	overflow // the client must resume from before the gap
)

// judge places an event that has come in.
func (s *stream) judge(ev *Event, now time.Time, maxHeld int) verdict {
	if !s.known {
		s.start(ev.Epoch, ev.Offset-1)
	}
	if ev.Epoch != s.Epoch {
		if ev.Epoch == s.former {
			return repeat
		}
		s.start(ev.Epoch, 0)
	}
	switch {
	case ev.Offset <= s.Offset:
		return repeat
	case ev.Offset == s.Offset+1:
		return deliver
	case len(s.held) >= maxHeld:
		return overflow
	}
	if _, there := s.held[ev.Offset]; there {
		return repeat
	}
	if s.held == nil {
		s.held = map[uint64]Event{}
		s.since = now
	}
	s.held[ev.Offset] = *ev
	return hold
}

// start places the stream in an epoch. The server's clock of the room begins
// anew, and so does what was handled.
func (s *stream) start(epoch string, offset uint64) {
	if s.known && s.Epoch != epoch && s.Epoch != "" {
		s.former = s.Epoch
	}
	s.Position, s.known = Position{epoch, offset}, true
	s.handled, s.acked = offset, offset
	s.held, s.since, s.tries = nil, time.Time{}, 0
}

// advance moves past an event that was queued, and returns the next one if it
// was held.
func (s *stream) advance(offset uint64, now time.Time) (Event, bool) {
	s.Offset = offset
	ev, ok := s.held[offset+1]
	delete(s.held, offset+1)
	switch {
	case len(s.held) == 0:
		s.held, s.since, s.tries = nil, time.Time{}, 0
	case !ok:
		s.since = now // another gap
	}
	return ev, ok
}

// reconnect prepares for a new connection, on which the events behind the
// position come again. It returns the gap that the client gives up on.
func (s *stream) reconnect() (gap Gap, given bool) {
	if len(s.held) > 0 {
		if s.tries++; s.tries >= maxTries {
			first := s.Offset + 1
			for n := range s.held {
				if first == s.Offset+1 || n < first {
					first = n
				}
			}
			gap, given = Gap{Epoch: s.Epoch, After: s.Offset, Before: first}, true
			s.Offset, s.tries = first-1, 0
		}
	}
	s.held, s.since = nil, time.Time{}
	return gap, given
}

// markHandled notes that OnEvent has returned.
func (c *Client) markHandled(ev *Event) {
	if !ev.Durable() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[ev.Room]; s != nil && s.Epoch == ev.Epoch && ev.Offset > s.handled {
		s.handled = ev.Offset
	}
}

// lost prepares all streams and requests for the next connection.
func (c *Client) lost(why error) {
	var gaps []Gap
	c.mu.Lock()
	for room, s := range c.streams {
		if gap, given := s.reconnect(); given {
			gap.Room = room
			gaps = append(gaps, gap)
		}
	}
	c.mu.Unlock()
	for _, gap := range gaps {
		c.opt.Logger.Warn("heddle client gives up on missing events", "room", gap.Room, "after", gap.After, "before", gap.Before, "why", why)
		c.opt.OnGap(gap)
	}
}
