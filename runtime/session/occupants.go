package session

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// occupant is a connected device of a user.
type occupant struct {
	since int64      // Unix nanoseconds: when the first of its connections was opened
	here  []*Session // on this node
	first string     // id of a session on another node
}

// deviceKey tells the devices of a user apart.
type deviceKey struct {
	name    string
	s       *Session // without a name
	session string   // likewise, on another node
}

func keyOf(name string, s *Session) deviceKey {
	if name != "" {
		return deviceKey{name: name}
	}
	return deviceKey{s: s}
}

// occupants are a user's devices without those of a session, and of the session that it
// resumes. With the lock held.
func (m *Manager) occupants(tenant, user string, without *Session, resumed string) map[deviceKey]*occupant {
	devices := map[deviceKey]*occupant{}
	add := func(k deviceKey, since int64) *occupant {
		o := devices[k]
		if o == nil {
			o = &occupant{since: since}
			devices[k] = o
		}
		o.since = min(o.since, since)
		return o
	}
	for other := m.byUser[userKey{tenant, user}]; other != nil; other = other.sibling {
		if other.placed && other != without && m.byID[resumed] != other {
			o := add(keyOf(other.Identity().Device, other), other.conn.Opened().UnixNano())
			o.here = append(o.here, other)
		}
	}
	if m.deps.Others == nil {
		return devices
	}
	m.deps.Others.Elsewhere(tenant, user, "", func(p *Place, _ int64, _ bool) {
		if p.Session == resumed || m.byID[p.Session] != nil {
			return
		}
		k := deviceKey{name: p.Device}
		if p.Device == "" {
			k.session = p.Session
		}
		o := add(k, p.Opened*int64(time.Millisecond))
		if o.first == "" || p.Session < o.first {
			o.first = p.Session
		}
	})
	return devices
}

// crowded closes those of a user's sessions here that are too many: two nodes have let
// them in at the same time. All nodes find the same devices to be too many.
func (m *Manager) crowded(tenant, user string) {
	if m.cfg.Devices == 0 {
		return
	}
	m.mu.RLock()
	devices := m.occupants(tenant, user, nil, "")
	m.mu.RUnlock()
	most := m.cfg.Devices
	if len(devices) <= most {
		return
	}
	for _, o := range devices {
		for _, s := range o.here {
			if id := s.name(); o.first == "" || id < o.first {
				o.first = id
			}
		}
	}
	list := slices.SortedFunc(maps.Values(devices), func(a, b *occupant) int {
		ms := int64(time.Millisecond) // is all that other nodes know
		return cmp.Or(cmp.Compare(a.since/ms, b.since/ms), cmp.Compare(a.first, b.first))
	})
	over := list[most:]
	if m.cfg.DevicesPolicy == closeOldest {
		over = list[:len(list)-most]
	}
	for _, o := range over {
		m.mu.Lock()
		for _, s := range o.here {
			s.placed = false
		}
		m.mu.Unlock()
		m.evict(o.here)
	}
}

// evict closes sessions in favour of another.
func (m *Manager) evict(list []*Session) {
	for _, s := range list {
		m.DevicesClosed.Add(1)
		s.conn.CloseWith(fault.SessionReplaced, "another device has taken the place of this one")
	}
}

// elsewhere lists the devices of a user's sessions on other nodes, each session by
// itself. start is when the route's clock began.
func (m *Manager) elsewhere(id *event.Identity, records []Record, start time.Time) (list []device) {
	if m.deps.Others == nil {
		return nil
	}
	m.deps.Others.Elsewhere(id.Tenant, id.User, "", func(p *Place, used int64, _ bool) {
		d := device{
			Device: p.Device, Sessions: []string{p.Session}, Connected: true, Since: p.Opened,
			seen: time.UnixMilli(max(p.Opened, start.Add(time.Duration(used)).UnixMilli())),
		}
		if i := slices.IndexFunc(records, func(r Record) bool { return r.ID == p.Session }); i >= 0 {
			d.Transport, d.Agent = records[i].Meta.Transport, cut(records[i].Meta.Agent)
		}
		list = append(list, d)
	})
	return list
}
