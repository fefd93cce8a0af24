package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards = 64
	// How many entries are looked at for one to forget.
	looks = 8
	// Entries whose bucket is full for so long make room for others in time. Before
	// that a connection that goes on would have to find its bucket again and again.
	idle = int64(time.Minute)
)

// userKey is a user of a tenant, addressKey an address from which a tenant's users
// come: tenants do not share budgets.
type (
	userKey struct {
		tenant *tenant
		name   string
	}
	addressKey struct {
		tenant  *tenant
		address netip.Addr
	}
)

// payer is the address that is held to account: of IPv6, the /64 that one
// customer has.
func payer(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	network, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return network.Addr()
}

// table finds shared buckets. It holds a bounded number; a full one can be
// forgotten, because a new one is no different.
type table[K comparable] struct {
	seed   maphash.Seed
	fresh  func(K) *shared // makes a full one
	max    atomic.Int64    // entries of one shard
	shards [shards]tableShard[K]
}

type tableShard[K comparable] struct {
	mu      sync.Mutex
	entries map[K]*shared
	_       [48]byte // a cache line of its own
}

func newTable[K comparable](fresh func(K) *shared) *table[K] {
	t := &table[K]{seed: maphash.MakeSeed(), fresh: fresh}
	for i := range t.shards {
		t.shards[i].entries = map[K]*shared{}
	}
	return t
}

func (t *table[K]) bound(entries int) { t.max.Store(max(int64(entries)/shards, 1)) }

// of finds the bucket of a key, or makes a full one.
func (t *table[K]) of(k K, now int64) *shared {
	s := &t.shards[maphash.Comparable(t.seed, k)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.entries[k]; b != nil {
		return b
	}
	s.forget(now, int(t.max.Load()))
	b := t.fresh(k)
	s.entries[k] = b
	return b
}

// forget drops a few entries that are idle for long. If the shard is full, one has
// to go: a full one, or else the nearest to that.
func (s *tableShard[K]) forget(now int64, most int) {
	for len(s.entries) >= most {
		var nearest K
		var found *shared
		n, gone := 0, len(s.entries)
		for k, b := range s.entries { // starts anywhere
			if n++; n > looks {
				break
			}
			if b.end(now) {
				delete(s.entries, k)
			} else if found == nil || b.ahead.Load() < found.ahead.Load() {
				nearest, found = k, b
			}
		}
		if gone == len(s.entries) {
			found.ahead.Store(forgotten)
			delete(s.entries, nearest)
		}
	}
	n := 0
	for k, b := range s.entries {
		if n++; n > looks/4 {
			return
		}
		if b.end(now - idle) {
			delete(s.entries, k)
		}
	}
}

// len is how many buckets there are.
func (t *table[K]) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}
