package directory

import (
	"sync/atomic"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/runtime/session"
)

// Elsewhere calls visit with each session that a user has open on another node, with
// when its client did something last, on this node's clock, and whether it has joined a
// room. visit may not ask the directory.
func (d *Directory) Elsewhere(tenant, user, room string, visit func(p *session.Place, used int64, joined bool)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r := d.byUser[userKey{tenant, user}]
	if r == nil {
		return
	}
	h := unique.Make(room)
	for ; r != nil; r = r.sibling {
		joined := false
		for _, other := range r.rooms {
			joined = joined || other == h
		}
		visit(&r.place, r.used.Load(), joined)
	}
}

// Count is how many sessions of a tenant are open on other nodes.
func (d *Directory) Count(tenant string) int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.tenants[tenant]
}

type counters struct {
	changes, gaps, differed, snapshots, doubles atomic.Uint64

	reported time.Time // guarded by Directory.apply
}

// Stats is what has happened since New, and how things are.
type Stats struct {
	Sessions  int64  // of other nodes
	Changes   uint64 // of these
	Gaps      uint64 // times that changes were missed
	Differed  uint64 // times that a node summed up to something else
	Snapshots uint64 // pages of snapshots
	Doubles   uint64 // messages of a node whose name another one has
}

// Stats reads the counters.
func (d *Directory) Stats() Stats {
	st := Stats{
		Changes: d.changes.Load(), Gaps: d.gaps.Load(), Differed: d.differed.Load(), Snapshots: d.snapshots.Load(), Doubles: d.doubles.Load(),
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, n := range d.tenants {
		st.Sessions += n
	}
	return st
}
