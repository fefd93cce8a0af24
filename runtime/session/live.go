package session

import (
	"math/rand/v2"
	"time"

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
		case (st == Handshake || st == Authenticating) && now.Sub(s.info.Opened) > m.cfg.OpenTimeout:
			s.conn.CloseWith(fault.HandshakeTimeout, "no session was opened")
		case s.expired(now):
			s.conn.CloseWith(fault.TokenExpired, "")
		case s.Opened():
			s.care(now)
			if s.expired(now.Add(sliced * time.Second)) {
				m.watch(s) // before its turn comes again
			}
		}
	}
	m.forget(now)
}

// forget ends detached sessions whose time is over.
func (m *Manager) forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, until := range m.detached {
		if until <= now.UnixMilli() {
			delete(m.detached, id)
			m.states[Detached].Add(-1)
		}
	}
}

// care renews the record, and resends what stays unacknowledged.
func (s *Session) care(now time.Time) {
	s.mu.Lock()
	if s.rec != nil && !s.gone && time.UnixMilli(s.rec.Expires).Sub(now) < s.m.cfg.ResumeTTL+recordSlack-renewEvery {
		s.m.saver.add(s)
	}
	var late []*joined
	if s.acks {
		late = s.unacknowledged(now)
	}
	s.mu.Unlock()
	for _, j := range late {
		if j.retries > s.m.cfg.AckRetries {
			s.conn.CloseWith(fault.Unacknowledged, j.sub.Room())
			return
		}
		s.m.Resent.Add(1)
		s.m.deps.Hub.Rewind(j.sub, j.acked)
		s.m.deps.Hub.Start(s.m.ctx, j.sub)
	}
}

// unacknowledged lists the rooms whose resend is due, and sets the next. With
// s.mu held.
func (s *Session) unacknowledged(now time.Time) (due []*joined) {
	for _, j := range s.rooms {
		switch at := j.sub.Position().Offset; {
		case !j.started || at <= j.acked:
			j.resendAt = time.Time{}
		case j.resendAt.IsZero():
			j.resendAt = now.Add(backoff(s.m.cfg.AckTimeout, j.retries))
		case now.After(j.resendAt):
			j.retries++
			j.resendAt = now.Add(backoff(s.m.cfg.AckTimeout, j.retries))
			due = append(due, j)
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
	if j == nil {
		return
	}
	at := j.sub.Position()
	if p.Epoch != at.Epoch || p.Offset > at.Offset || p.Offset <= j.acked {
		return // of another life of the room, of what was never sent, or old
	}
	j.acked, j.retries, j.resendAt = p.Offset, 0, time.Time{}
}
