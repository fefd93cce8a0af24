package session

import (
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// renewEvery is how often the record of a living session is written again, well
// before it would expire.
const renewEvery = recordSlack / 2

// tick looks after the sessions whose turn it is, once a second.
func (m *Manager) tick(second int) {
	now := m.deps.Now()
	for _, s := range m.due(second) {
		switch st := s.State(); {
		case (st == Handshake || st == Authenticating) && now.Sub(s.conn.Opened()) > m.cfg.OpenTimeout:
			s.conn.CloseWith(fault.HandshakeTimeout, "no session was opened")
		case s.Opened():
			if s.expire(now) {
				break
			}
			s.care(now)
			if s.expired(now.Add(m.lead())) {
				m.watch(s) // before its turn comes again
			}
		case s.expired(now):
			s.conn.CloseWith(fault.TokenExpired, "")
		}
	}
	m.forget(now)
}

// care renews the record, and resends what stays unacknowledged.
func (s *Session) care(now time.Time) {
	s.mu.Lock()
	due := time.UnixMilli(s.expires).Sub(now) < s.m.cfg.ResumeTTL+recordSlack-renewEvery
	if t, ok := s.conn.(Trailer); ok && !due {
		due = t.Trailed()
	}
	if s.kept && !s.gone && due {
		s.m.saver.add(s)
	}
	var late []resend
	if s.acks {
		late = s.overdue(now)
	}
	s.mu.Unlock()
	for _, r := range late {
		if r.attempt > s.m.cfg.AckRetries {
			s.conn.CloseWith(fault.Unacknowledged, r.sub.Room())
			return
		}
		s.m.Resent.Add(1)
		s.rewind(r.sub, r.behind)
		s.m.deps.Hub.Start(r.sub)
	}
}

// unacked is what a session that acknowledges keeps for each of its rooms.
type unacked struct {
	behind  uint64 // up to this offset the client has handled all
	sent    uint64 // up to this one it was sent all before the session was taken back
	resends int
	due     time.Time // of the next resend; zero while nothing is unacknowledged
}

// resend is a room whose events behind an offset are to be sent again.
type resend struct {
	sub     *deliver.Sub
	behind  uint64
	attempt int
}

// overdue lists the rooms whose resend is due, and sets the next. With s.mu held.
func (s *Session) overdue(now time.Time) (due []resend) {
	for i := range s.rooms {
		j := &s.rooms[i]
		u := j.unacked
		if u == nil {
			continue
		}
		switch at := j.sub.Position().Offset; {
		case !j.started || at <= u.behind:
			u.due = time.Time{}
		case u.due.IsZero():
			u.due = now.Add(backoff(s.m.cfg.AckTimeout, u.resends))
		case now.After(u.due):
			u.resends++
			u.sent = max(u.sent, at)
			u.due = now.Add(backoff(s.m.cfg.AckTimeout, u.resends))
			due = append(due, resend{j.sub, u.behind, u.resends})
		}
	}
	return due
}

// backoff doubles with each attempt and is spread by a quarter, so that sessions
// that lost their events together do not all come back together.
func backoff(base time.Duration, attempt int) time.Duration {
	d := base << min(attempt, 10)
	return d - d/8 + rand.N(d/4+1)
}

// acknowledged notes that the client has handled all up to a position.
func (s *Session) acknowledged(name string, p event.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.find(name)
	if j == nil || j.unacked == nil {
		return
	}
	at := j.sub.Position()
	u := j.unacked
	if p.Epoch != at.Epoch || p.Offset > max(at.Offset, u.sent) || p.Offset <= u.behind {
		return // of another epoch, of what was never sent, or old
	}
	*u = unacked{behind: p.Offset, sent: u.sent}
}
