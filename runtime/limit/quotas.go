package limit

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Storage knows what tenants have in the store. Both numbers are counted where
// records are committed; asking must not block.
type Storage interface {
	// Used is how many rooms of a tenant are there, and the bytes of its events.
	Used(tenant string) (rooms, bytes int64)
}

// Quotas holds tenants to what they may have, so that one can not take from the
// others. Its methods may be called at the same time; those of a nil *Quotas do
// nothing.
type Quotas struct {
	// Elsewhere is how many connections a tenant has to other nodes, as far as is known;
	// nil: there are none. It is set before use, and must not block.
	Elsewhere func(tenant string) int64

	storage Storage
	reload  sync.Mutex
	tenants atomic.Pointer[map[string]*holding]
}

// holding is what one tenant has, and may have.
type holding struct {
	quota       atomic.Pointer[Quota]
	connections atomic.Int64
	refused     [quotas]atomic.Uint64
}

// Indexes of holding.refused.
const (
	ofConnections = iota
	ofRooms
	ofStorage
	quotas
)

// retryQuota is when a client may ask again: a place has to become free.
const retryQuota = 10 * time.Second

// NewQuotas makes quotas. Without storage rooms and bytes are not held to any.
func NewQuotas(tenants map[string]Quota, storage Storage) *Quotas {
	q := &Quotas{storage: storage}
	q.tenants.Store(&map[string]*holding{})
	q.Reload(tenants)
	return q
}

// Reload puts other quotas in force. Who is over a lower one keeps what it has.
func (q *Quotas) Reload(tenants map[string]Quota) {
	q.reload.Lock()
	defer q.reload.Unlock()
	next := maps.Clone(*q.tenants.Load())
	for name, h := range next {
		if _, still := tenants[name]; !still {
			h.quota.Store(&Quota{})
		}
	}
	for name, one := range tenants {
		if next[name] == nil {
			next[name] = &holding{}
		}
		next[name].quota.Store(&one)
	}
	q.tenants.Store(&next)
}

func (q *Quotas) of(tenant string) *holding {
	if q == nil {
		return nil
	}
	return (*q.tenants.Load())[tenant]
}

// States of Account.place.
const (
	noPlace = iota
	hasPlace
	leftPlace
)

// enter takes a place for a connection, once.
func (q *Quotas) enter(a *Account, tenant string) error {
	h := q.of(tenant)
	if h == nil || a.place.Load() != noPlace {
		return nil
	}
	if most := h.quota.Load().Connections; h.connections.Add(1) > most-q.elsewhere(tenant, most) && most > 0 {
		h.connections.Add(-1)
		return h.refuse(ofConnections, fault.RateLimited, "the tenant has all the connections it may have")
	}
	if !a.place.CompareAndSwap(noPlace, hasPlace) { // it is over already
		h.connections.Add(-1)
	}
	return nil
}

// elsewhere is how many of a tenant's places are taken on other nodes.
func (q *Quotas) elsewhere(tenant string, most int64) int64 {
	if most == 0 || q.Elsewhere == nil {
		return 0
	}
	return q.Elsewhere(tenant)
}

// Leave gives the place of a connection back. It is called when the connection is
// closed, whether it had one or not.
func (q *Quotas) Leave(h Holder) {
	if q == nil || h.Account().place.Swap(leftPlace) != hasPlace {
		return
	}
	if id := h.Identity(); id != nil {
		if of := q.of(id.Tenant); of != nil {
			of.connections.Add(-1)
		}
	}
}

// Full refuses a tenant's handshake early, before it costs more. The place is
// taken when the session opens.
func (q *Quotas) Full(tenant string) error {
	h := q.of(tenant)
	if h == nil {
		return nil
	}
	if most := h.quota.Load().Connections; most > 0 && h.connections.Load() >= most-q.elsewhere(tenant, most) {
		return h.refuse(ofConnections, fault.RateLimited, "the tenant has all the connections it may have")
	}
	return nil
}

// Create refuses a room that would be one too many.
func (q *Quotas) Create(tenant string) error {
	h := q.of(tenant)
	if h == nil || q.storage == nil {
		return nil
	}
	most := h.quota.Load().Rooms
	if most == 0 {
		return nil
	}
	if rooms, _ := q.storage.Used(tenant); rooms >= most {
		return h.refuse(ofRooms, fault.RateLimited, "the tenant has all the rooms it may have")
	}
	return nil
}

// Store refuses an event for which there is no space.
func (q *Quotas) Store(tenant string) error {
	h := q.of(tenant)
	if h == nil || q.storage == nil {
		return nil
	}
	most := h.quota.Load().Storage
	if most == 0 {
		return nil
	}
	if _, bytes := q.storage.Used(tenant); bytes >= int64(most) {
		return h.refuse(ofStorage, fault.StorageFull, "the tenant's storage is full")
	}
	return nil
}

const createRoom = "room:create"

// creates asks for the place that a room would take.
func (q *Quotas) creates(ev *event.Event) error {
	if ev.Spec.Name != createRoom {
		return nil
	}
	return q.Create(ev.Tenant)
}

func (h *holding) refuse(i int, kind fault.Kind, msg string) error {
	h.refused[i].Add(1)
	return &fault.Error{Kind: kind, Msg: msg, After: retryQuota}
}

// QuotaStats are one tenant's counters.
type QuotaStats struct {
	Tenant      string
	Connections int64
	Refused     map[string]uint64 // by the quota: connections, rooms, storage
	Storage     config.Size       // bytes in the store, if they are counted
	Rooms       int64
}

// Stats reads the counters of all tenants.
func (q *Quotas) Stats() []QuotaStats {
	if q == nil {
		return nil
	}
	all := *q.tenants.Load()
	out := make([]QuotaStats, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := all[name]
		s := QuotaStats{Tenant: name, Connections: h.connections.Load(), Refused: map[string]uint64{
			"connections": h.refused[ofConnections].Load(), "rooms": h.refused[ofRooms].Load(), "storage": h.refused[ofStorage].Load(),
		}}
		if q.storage != nil {
			rooms, bytes := q.storage.Used(name)
			s.Rooms, s.Storage = rooms, config.Size(bytes)
		}
		out = append(out, s)
	}
	return out
}
