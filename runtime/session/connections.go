package session

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
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
	Tenant, User, Session string
	Limit                 int
}

// Connections lists what this node knows of its connections.
func (m *Manager) Connections(f Filter) []Connection {
	out := []Connection{}
	for _, s := range m.candidates(f) {
		c := s.describe()
		if (f.Tenant == "" || f.Tenant == c.Tenant) && (f.User == "" || f.User == c.User) && (f.Session == "" || f.Session == c.Session) {
			if out = append(out, c); len(out) == f.Limit {
				break
			}
		}
	}
	return out
}

func (m *Manager) candidates(f Filter) []*Session {
	if f.Tenant != "" && f.User != "" {
		return m.ofUser(f.Tenant, f.User)
	}
	return m.each()
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
