package session

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/room"
)

// refresh handles auth:refresh.
func refresh(ctx context.Context, ev *event.Event) error {
	s := ev.Origin.(*Session)
	next, err := s.m.deps.Tokens.Verify(event.WithRemote(ctx, s.Remote()), ev.Str("token"))
	if err != nil {
		f := *fault.Of(err)
		f.Field = "data.token"
		return &f
	}
	left, err := s.renew(next)
	if err != nil {
		return err
	}
	s.m.Refreshed.Add(1)
	s.m.rewatch(s)
	b := strconv.AppendInt(append([]byte(nil), `{"expires_at":`...), next.Expires, 10)
	for i, name := range left {
		if i == 0 {
			b = append(b, `,"left":[`...)
		} else {
			b = append(b, ',')
		}
		b = jsonscan.AppendQuotedString(b, name)
	}
	if len(left) > 0 {
		b = append(b, ']')
	}
	ev.Respond(append(b, '}'))
	return nil
}

// renew puts another identity in the place of the session's, and leaves the rooms
// that it does not grant. It comes either before the end of the old one closes
// the connection, or not at all.
func (s *Session) renew(next *event.Identity) (left []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Identity()
	switch {
	case s.over:
		return nil, fault.New(fault.TokenExpired, "", "")
	case next.Tenant != now.Tenant || next.User != now.User:
		return nil, fault.New(fault.Forbidden, "data.token", "the token is another user's")
	case next.Device != "" && next.Device != now.Device:
		return nil, fault.New(fault.Forbidden, "data.token", "the token is another device's")
	}
	if next.Device != now.Device {
		with := *next
		with.Device = now.Device
		next = &with
	}
	s.identity.Store(next)
	s.told = false
	s.leave(func(name string) bool {
		lost := !granted(next, name)
		if lost {
			left = append(left, name)
		}
		return lost
	})
	if s.m.revoked(next) { // since it was verified
		s.disown("revoked")
	}
	slices.Sort(left)
	return left, nil
}

// granted reports whether a token lets its user stay in a room. The user's own
// room is every token's.
func granted(id *event.Identity, name string) bool {
	return id.Grants(name) || room.Base(name) == room.OfUser(id.User)
}

// expire tells the client once that its token ends, behind the answer that opened
// the session, and closes the connection when
// that, and the grace behind it, is over.
func (s *Session) expire(now time.Time) (over bool) {
	cfg := &s.m.cfg
	s.mu.Lock()
	over = s.expired(now.Add(-cfg.ExpiryGrace))
	s.over = s.over || over
	tell := !over && !s.told && s.State() != Syncing && cfg.ExpiryNotice > 0 && s.expired(now.Add(cfg.ExpiryNotice))
	s.told = s.told || tell
	ends := s.Identity().Expires
	s.mu.Unlock()
	switch {
	case over:
		s.conn.CloseWith(fault.TokenExpired, "")
	case tell:
		left := max(0, ends-now.UnixMilli())
		s.send("auth:expiring", append(appendNumber(nil, `{"expires_in_ms":`, uint64(left)), '}'))
	}
	return over
}

// lead is how long before the end of its token a session is looked at every second.
func (m *Manager) lead() time.Duration {
	const turn = sliced * time.Second
	return turn + min(turn, m.cfg.ExpiryNotice)
}

// rewatch has a session with a fresh token looked at when that needs it: in its
// turn again, or every second if it ends soon.
func (m *Manager) rewatch(s *Session) {
	if s.acks || s.expired(m.deps.Now().Add(m.lead())) {
		m.watch(s)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watched, s)
}

func (m *Manager) revoked(id *event.Identity) bool {
	return m.deps.Revoked != nil && m.deps.Revoked(id)
}

func (s *Session) disown(reason string) {
	s.m.Revoked.Add(1)
	s.conn.CloseWith(fault.Unauthenticated, reason)
}

// Disconnect closes the sessions of a tenant whose identity is revoked, of one user
// if there is a user. Connections without a session are asked when they open one.
func (m *Manager) Disconnect(tenant, user string, revoked func(*event.Identity) bool, reason string) {
	list := m.candidates(Filter{Tenant: tenant, User: user})
	for _, s := range list {
		if id := s.Identity(); id != nil && id.Tenant == tenant && revoked(id) {
			s.disown(reason)
		}
	}
}
