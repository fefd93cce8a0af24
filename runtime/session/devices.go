package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// closeOldest is the policy that favours the newest device.
const closeOldest = "close_oldest"

// place finds a place for a session that opens among its user's devices, and makes
// it count. A session without a device's name is a device of its own. resumed is
// the session that it continues, whose place it takes.
func (m *Manager) place(s *Session, id *event.Identity, resumed string) error {
	if m.revoked(id) { // since its token was checked
		s.disown("revoked")
		return fault.New(fault.Unauthenticated, "", "the token was revoked")
	}
	if m.cfg.Devices == 0 {
		return nil
	}
	out, err := m.makeRoom(s, id, resumed)
	m.evict(out)
	return err
}

// makeRoom lists the sessions of this node that have to go. Those of other nodes do when
// they hear of the one that opens.
func (m *Manager) makeRoom(s *Session, id *event.Identity, resumed string) (out []*Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	devices := m.occupants(id.Tenant, id.User, s, resumed)
	for devices[keyOf(id.Device, s)] == nil && len(devices) >= m.cfg.Devices {
		if m.cfg.DevicesPolicy != closeOldest {
			m.DevicesRefused.Add(1)
			return nil, fault.New(fault.Conflict, "data.device", fmt.Sprintf("the user has %d devices connected, which is as many as may be", len(devices)))
		}
		var oldest deviceKey
		for k, d := range devices {
			if devices[oldest] == nil || d.since < devices[oldest].since {
				oldest = k
			}
		}
		for _, other := range devices[oldest].here {
			other.placed = false // it counts no more, though its end may take a while
		}
		out = append(out, devices[oldest].here...)
		delete(devices, oldest)
	}
	s.placed = true
	if old := m.byID[resumed]; old != nil {
		old.placed = false
	}
	return out, nil
}

// displace has a session that could not be opened count no more.
func (m *Manager) displace(s *Session) {
	m.mu.Lock()
	s.placed = false
	m.mu.Unlock()
}

// use notes that the client has sent something of its user's accord, and does not just
// look by itself.
func (s *Session) use(env *event.Envelope) {
	if env.Type != event.TypeAck && env.Action != "session:ping" && env.Action != "session:devices" {
		s.stir(s.used.Swap(s.received))
	}
}

// device is one of a user's, for the answer to session:devices.
type device struct {
	Device    string   `json:"device"`
	Sessions  []string `json:"sessions"`
	Connected bool     `json:"connected"`
	Active    bool     `json:"active"`
	Since     int64    `json:"since"`
	LastSeen  int64    `json:"last_seen"`
	Transport string   `json:"transport"`
	Agent     string   `json:"agent,omitempty"`

	seen time.Time // LastSeen, to tell the order
}

const (
	maxDevices = 100 // in one answer
	maxAgent   = 128 // bytes
)

// listDevices handles session:devices.
func listDevices(ctx context.Context, ev *event.Event) error {
	s := ev.Origin.(*Session)
	list, err := s.m.devices(ctx, s.Identity())
	if err != nil {
		return fault.Wrap("session.devices", fault.Unavailable, err)
	}
	js, err := json.Marshal(map[string][]device{"devices": list})
	if err != nil {
		return fault.Wrap("session.devices", fault.Internal, err)
	}
	ev.Respond(js)
	return nil
}

// devices lists a user's.
func (m *Manager) devices(ctx context.Context, id *event.Identity) ([]device, error) {
	records, err := m.deps.Store.OfUser(ctx, id.Tenant, id.User, maxDevices)
	if err != nil {
		return nil, err
	}
	list := []device{}
	connected := map[string]bool{} // sessions
	now := m.deps.Now()
	start := now.Add(-time.Duration(m.deps.Route.Now()))
	for _, s := range m.ofUser(id.Tenant, id.User) {
		if d, ok := s.device(start); ok {
			connected[d.Sessions[0]] = true
			list = merge(list, d)
		}
	}
	for _, d := range m.elsewhere(id, records, start) {
		connected[d.Sessions[0]] = true
		list = merge(list, d)
	}
	if i := mostRecent(list); i >= 0 {
		list[i].Active = true
	}
	for i := range records {
		r := &records[i]
		if r.Expires <= now.UnixMilli() || connected[r.ID] {
			continue
		}
		written := r.Expires - (m.cfg.ResumeTTL + recordSlack).Milliseconds()
		list = merge(list, device{
			Device: r.Device, Sessions: []string{r.ID}, Since: r.Opened, Transport: r.Meta.Transport, Agent: cut(r.Meta.Agent),
			seen: time.UnixMilli(max(r.Opened, written)),
		})
	}
	for i := range list {
		list[i].LastSeen = list[i].seen.UnixMilli()
		slices.Sort(list[i].Sessions) // by age
	}
	slices.SortStableFunc(list, func(a, b device) int { return b.seen.Compare(a.seen) })
	return list[:min(len(list), maxDevices)], nil
}

// device is what a session tells of the device that it is of; false if it is not
// open. start is when the route's clock began.
func (s *Session) device(start time.Time) (device, bool) {
	s.mu.Lock()
	id := s.id
	ok := s.kept && !s.gone
	s.mu.Unlock()
	if !ok || !s.Opened() {
		return device{}, false
	}
	opened, seen := s.conn.Opened(), start.Add(time.Duration(s.used.Load()))
	if seen.Before(opened) { // never
		seen = opened
	}
	return device{
		Device: s.Identity().Device, Sessions: []string{id}, Connected: true, Since: opened.UnixMilli(), seen: seen,
		Transport: s.transport, Agent: cut(s.conn.UserAgent()),
	}, true
}

// merge adds a session's device to the list, or to what is there of it. Of a device
// with several sessions the transport and agent are those of the one used last.
func merge(list []device, d device) []device {
	i := slices.IndexFunc(list, func(other device) bool { return other.Device == d.Device && d.Device != "" })
	if i < 0 {
		return append(list, d)
	}
	known := &list[i]
	known.Sessions = append(known.Sessions, d.Sessions...)
	switch {
	case known.Connected && !d.Connected:
		return list
	case d.seen.After(known.seen):
		known.seen, known.Transport, known.Agent = d.seen, d.Transport, d.Agent
	}
	known.Since = min(known.Since, d.Since)
	return list
}

// mostRecent is the index of the device that was used last, -1 for none.
func mostRecent(list []device) int {
	at := -1
	for i := range list {
		if at < 0 || list[i].seen.After(list[at].seen) {
			at = i
		}
	}
	return at
}

func cut(agent string) string {
	return strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
}
