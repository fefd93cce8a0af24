package socket

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	guardShards = 16
	// How many entries are looked at to find one to forget.
	guardLooks = 8
)

// guard bounds what one address can do: handshakes under way, and upgrades a
// second by a token bucket. It remembers a bounded number of addresses; when that
// is reached it forgets one of a few at random, the longest idle, whose bucket
// is then full again. Addresses with handshakes under way are kept, and there
// are never more of those than handshakes.
type guard struct {
	cfg    Handshakes
	seed   maphash.Seed
	shards [guardShards]guardShard
}

type guardShard struct {
	mu      sync.Mutex
	entries map[netip.Addr]*visits
}

// visits is what is known of one address.
type visits struct {
	underWay int
	tokens   float64
	at       time.Time // when tokens was right
}

func newGuard(cfg Handshakes) *guard {
	g := &guard{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].entries = make(map[netip.Addr]*visits)
	}
	return g
}

// Payer is the address that is held to account: of IPv6, the /64 that one
// customer has.
func Payer(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if p, err := a.Prefix(64); a.Is6() && err == nil {
		return p.Addr()
	}
	return a
}

func (g *guard) shard(a netip.Addr) *guardShard {
	return &g.shards[maphash.Comparable(g.seed, a)%guardShards]
}

// of finds an address's entry or makes room for one.
func (s *guardShard) of(a netip.Addr, cfg *Handshakes, now time.Time) *visits {
	if v := s.entries[a]; v != nil {
		return v
	}
	if len(s.entries) >= max(cfg.Addresses/guardShards, 1) {
		s.forget()
	}
	v := &visits{tokens: float64(cfg.BurstPerIP), at: now}
	s.entries[a] = v
	return v
}

func (s *guardShard) forget() {
	var oldest netip.Addr
	var at time.Time
	looks := 0
	for a, v := range s.entries { // starts anywhere
		if looks++; looks > guardLooks && oldest.IsValid() {
			break
		}
		if v.underWay == 0 && (!oldest.IsValid() || v.at.Before(at)) {
			oldest, at = a, v.at
		}
	}
	delete(s.entries, oldest)
}

// enter notes a handshake under way, and is false if there are too many.
func (g *guard) enter(a netip.Addr) bool {
	a = Payer(a)
	s := g.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.of(a, &g.cfg, time.Now())
	if v.underWay >= g.cfg.MaxPerIP {
		return false
	}
	v.underWay++
	return true
}

// leave undoes enter.
func (g *guard) leave(a netip.Addr) {
	a = Payer(a)
	s := g.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.entries[a]; v != nil {
		v.underWay--
	}
}

// allow takes a token for one upgrade.
func (g *guard) allow(a netip.Addr, now time.Time) bool {
	if g.cfg.RatePerIP <= 0 {
		return true
	}
	a = Payer(a)
	s := g.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.of(a, &g.cfg, now)
	v.tokens = min(v.tokens+max(now.Sub(v.at).Seconds(), 0)*g.cfg.RatePerIP, float64(g.cfg.BurstPerIP))
	v.at = now
	if v.tokens < 1 {
		return false
	}
	v.tokens--
	return true
}
