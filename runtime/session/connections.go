package session

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Connection is what operators may know of one connection.
type Connection struct {
	Session    string          `json:"session,omitempty"`
	Tenant     string          `json:"tenant,omitempty"`
	User       string          `json:"user,omitempty"`
	Device     string          `json:"device,omitempty"`
	State      string          `json:"state"`
	Node       string          `json:"node"`
	Transport  string          `json:"transport"`
	Dialect    string          `json:"dialect,omitempty"`
	Remote     string          `json:"remote"`
	Agent      string          `json:"agent,omitempty"`
	Opened     time.Time       `json:"opened"`
	Rooms      []string        `json:"rooms"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
	Unanswered int             `json:"unanswered"`
}

// Stored is what the store keeps of a session, also of one without a connection;
// false if it keeps nothing.
func (m *Manager) Stored(ctx context.Context, tenant, id string) (Connection, bool, error) {
	r, found, err := m.load(ctx, tenant, id)
	if err != nil || !found {
		return Connection{}, false, err
	}
	c := Connection{
		Session: r.ID, Tenant: r.Tenant, User: r.User, Device: r.Device, State: Detached.String(), Node: r.Meta.Node,
		Transport: r.Meta.Transport, Remote: r.Meta.Remote, Agent: r.Meta.Agent, Opened: time.UnixMilli(r.Opened), Rooms: slices.Sorted(maps.Keys(r.Rooms)),
		Attributes: json.RawMessage(r.Meta.Attributes),
	}
	return c, true, nil
}

// Filter picks connections; empty fields match all.
type Filter struct {
	Tenant, User, Device, Session string
	Limit                         int
}

// has reports whether a session, and who it speaks for, are meant.
func (f *Filter) has(session string, id *event.Identity) bool {
	if id == nil {
		id = &event.Identity{}
	}
	return (f.Tenant == "" || f.Tenant == id.Tenant) && (f.User == "" || f.User == id.User) &&
		(f.Device == "" || f.Device == id.Device) && (f.Session == "" || f.Session == session)
}

// Connections lists what this node knows of its connections.
func (m *Manager) Connections(f Filter) []Connection {
	out := []Connection{}
	for _, s := range m.candidates(f) {
		if f.has(s.name(), s.Identity()) {
			if out = append(out, s.describe()); len(out) == f.Limit {
				break
			}
		}
	}
	return out
}

// Page lists connections that have an open session, in the order of the sessions'
// ids, those behind the id after; more says that there are others behind the last.
// looked is how many connections were looked at to find them.
func (m *Manager) Page(f Filter, after string) (out []Connection, more bool, looked int) {
	type one struct {
		id string
		s  *Session
	}
	var list []one // of the lowest ids, in order
	all := m.candidates(f)
	for _, s := range all {
		id := s.name()
		if id <= after || !s.Opened() || !f.has(id, s.Identity()) {
			continue
		}
		if len(list) == f.Limit && f.Limit > 0 {
			if more = true; id >= list[len(list)-1].id {
				continue
			}
			list = list[:len(list)-1]
		}
		i, _ := slices.BinarySearchFunc(list, id, func(x one, id string) int { return strings.Compare(x.id, id) })
		list = slices.Insert(list, i, one{id, s})
	}
	out = make([]Connection, len(list))
	for i, x := range list {
		out[i] = x.s.describe()
	}
	return out, more, len(all)
}

// candidates are the sessions among which a filter finds those that it picks.
func (m *Manager) candidates(f Filter) []*Session {
	switch {
	case f.Session != "":
		return m.withID(f.Session)
	case f.Tenant != "" && f.User != "":
		return m.ofUser(f.Tenant, f.User)
	}
	return m.each()
}

// name is the session's id, "" before it has one.
func (s *Session) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

func (s *Session) describe() Connection {
	c := Connection{
		State: s.State().String(), Node: s.m.deps.Node, Transport: s.transport, Dialect: s.dialect.Name(), Remote: s.conn.Remote().String(),
		Agent: s.conn.UserAgent(), Opened: s.conn.Opened(), Unanswered: s.line.Pending(), Rooms: []string{},
	}
	if id := s.Identity(); id != nil {
		c.Tenant, c.User, c.Device = id.Tenant, id.User, id.Device
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Session, c.Attributes = s.id, json.RawMessage(s.attrs)
	for i := range s.rooms {
		if s.rooms[i].sub != nil {
			c.Rooms = append(c.Rooms, s.rooms[i].name)
		}
	}
	return c
}
