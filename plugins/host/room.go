package host

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// move is what a deploy does to what is kept of a tenant.
type move struct {
	next   state             // of the plugin
	old    []int             // its versions that are let go of
	others map[*Plugin][]int // those of others
}

// plan is what a deploy comes to, with changing held: the version is in its place, and the
// plugin has no more versions than are kept, the tenant no more bytes of bundles.
func (h *Host) plan(p *Plugin, r Request, m Meta) (*move, error) {
	out := &move{next: p.state}
	next := &out.next
	if next.find(m.Number) == nil {
		next.Last = max(next.Last, m.Number)
		next.Versions = append(slices.Clone(next.Versions), m)
	}
	if r.Folder {
		next.Folder = m.Digest
	}
	if p.lost && r.As != Live {
		return nil, guessed()
	}
	if err := next.place(m.Number, r.As, r.Share); err != nil {
		return nil, err
	}
	out.old = next.trim(h.cfg.Canary.History)
	policy, err := h.served(p.Tenant)
	if err != nil {
		return nil, err
	}
	return out, h.makeRoom(out, p, int64(policy.Bundles))
}

// spare is a version that is neither in place nor the one to roll back to, nor of a plugin
// of which that is not known.
type spare struct {
	of *Plugin
	Meta
}

// makeRoom lets go of spare versions of the tenant, the oldest first, until the bundles
// that are kept have no more bytes than they may; with changing held. 0: no bound.
func (h *Host) makeRoom(m *move, p *Plugin, most int64) error {
	total, spares := int64(0), []spare(nil)
	for _, q := range h.tenants[p.Tenant] {
		s := &q.state
		if q == p {
			s = &m.next
		}
		for _, v := range s.Versions {
			total += v.bytes()
			if !s.holds(v.Number) && (q == p || !q.lost) {
				spares = append(spares, spare{q, v})
			}
		}
	}
	if most == 0 || total <= most {
		return nil
	}
	slices.SortFunc(spares, func(a, b spare) int {
		return cmp.Or(cmp.Compare(a.Deployed, b.Deployed), cmp.Compare(a.of.Name, b.of.Name), cmp.Compare(a.Number, b.Number))
	})
	m.others = map[*Plugin][]int{}
	for _, v := range spares {
		if v.of == p {
			m.old = append(m.old, v.Number)
			m.next.forget(v.Number)
		} else {
			m.others[v.of] = append(m.others[v.of], v.Number)
		}
		if total -= v.bytes(); total <= most {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "", fmt.Sprintf("the bundles of the tenant's plugins would have %d bytes in the store, and may have %d (bundles in the tenant's policy); "+
		"what is live, on trial, or to be rolled back to is not let go of: remove a plugin, end a canary or a shadow, or make the bundle smaller", total, most))
}

// bytes is how large the version's bundle is in the store, or its module if that is not
// known.
func (m *Meta) bytes() int64 { return int64(cmp.Or(m.Stored, m.Size)) }

// letGo removes versions of plugins, with changing held. What fails is let go of by the
// next deploy.
func (h *Host) letGo(ctx context.Context, of map[*Plugin][]int) {
	for p, numbers := range of {
		next := p.state
		for _, n := range numbers {
			next.forget(n)
		}
		if err := h.keep(ctx, p, &next, numbers); err != nil {
			h.deps.Log.Warn("old versions of a plugin could not be let go of", "tenant", p.Tenant, "plugin", p.Name, "numbers", numbers, "error", err)
			continue
		}
		h.write(func() { p.state = next })
	}
}
