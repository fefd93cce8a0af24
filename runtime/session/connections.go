package session

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
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
		State: s.State().String(), Node: s.m.deps.Node, Transport: s.info.Transport, Dialect: s.dialect.Name(), Remote: s.info.Remote.String(),
		Agent: s.info.Agent, Opened: s.info.Opened, Unanswered: s.line.Pending(), Rooms: []string{},
	}
	if id := s.Identity(); id != nil {
		c.Tenant, c.User, c.Device = id.Tenant, id.User, id.Device
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Session, c.Attributes = s.id, s.attrs
	for _, j := range s.rooms {
		c.Rooms = append(c.Rooms, j.sub.Room())
	}
	return c
}

// Quality tells the client how good its connection is.
func (s *Session) Quality(grade string, rtt, jitter time.Duration, missed int) {
	if !s.Opened() {
		return
	}
	data, _ := json.Marshal(map[string]any{
		"grade": grade, "rtt_ms": float64(rtt.Microseconds()) / 1e3, "jitter_ms": float64(jitter.Microseconds()) / 1e3, "missed": missed,
	})
	s.send("session:quality", data)
}

// Drain tells all clients when to come back, spread over the time given, waits
// for their unanswered events, and closes them in that order. It ends early with
// ctx.
func (m *Manager) Drain(ctx context.Context, over time.Duration) {
	type leaving struct {
		s  *Session
		at time.Duration
	}
	var list []leaving
	for _, s := range m.each() {
		at := rand.N(over*3/4 + 1)
		list = append(list, leaving{s, at})
		s.machine.move(&m.states, Draining)
		data, _ := json.Marshal(map[string]int64{"reconnect_in_ms": at.Milliseconds()})
		s.send("session:drain", data)
	}
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for len(list) > 0 && ctx.Err() == nil {
		late := time.Since(start) > over
		rest := list[:0]
		for _, l := range list {
			if late || time.Since(start) >= l.at && l.s.line.Pending() == 0 {
				l.s.conn.CloseWith(fault.Draining, "")
			} else {
				rest = append(rest, l)
			}
		}
		list = rest
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
