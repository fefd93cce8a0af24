package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// What is kept is in two tables of cells: the states of a tenant's plugins, by name,
// and for each plugin the bundles of its versions, in pieces. The state comes last: a
// bundle without one is nobody's, and is overwritten.
const (
	tableStates  = "plugins"
	tableBundles = "plugin/"
	pieceSize    = 256 << 10
)

func piece(number, part int) string { return fmt.Sprintf("%08d/%06d", number, part) }

// keep writes a plugin's state; before it the bundle of a new version, and behind it
// old ones are removed.
func (h *Host) keep(ctx context.Context, p *Plugin, s *state, b *manifest.Bundle, number int, old []int) error {
	if b != nil {
		packed, err := b.Pack()
		if err != nil {
			return fault.Wrap("host.keep", fault.Internal, err)
		}
		var pieces []cell.Cell
		for part := 0; len(packed) > 0; part++ {
			n := min(len(packed), pieceSize)
			pieces = append(pieces, cell.Cell{Key: piece(number, part), Value: packed[:n]})
			packed = packed[n:]
		}
		if err := h.deps.Cells.PutCells(ctx, p.Tenant, tableBundles+p.Name, pieces...); err != nil {
			return err
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fault.Wrap("host.keep", fault.Internal, err)
	}
	if err := h.deps.Cells.PutCells(ctx, p.Tenant, tableStates, cell.Cell{Key: p.Name, Value: text}); err != nil {
		return err
	}
	for _, n := range old {
		if err := h.drop(ctx, p, n); err != nil {
			h.deps.Log.Warn("an old version of a plugin could not be removed", "tenant", p.Tenant, "plugin", p.Name, "number", n, "error", err)
		}
	}
	return nil
}

// pieces reads those of a version.
func (h *Host) pieces(ctx context.Context, p *Plugin, number int) (out []cell.Cell, err error) {
	prefix := piece(number, 0)[:9]
	for after := prefix; ; {
		list, err := h.deps.Cells.Cells(ctx, p.Tenant, tableBundles+p.Name, after, 16)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if c.Key[:min(9, len(c.Key))] != prefix {
				return out, nil
			}
			out = append(out, c)
		}
		if len(list) < 16 {
			return out, nil
		}
		after = list[len(list)-1].Key
	}
}

func (h *Host) drop(ctx context.Context, p *Plugin, number int) error {
	list, err := h.pieces(ctx, p, number)
	for i := range list {
		list[i].Value = nil
	}
	return errors.Join(err, h.deps.Cells.PutCells(ctx, p.Tenant, tableBundles+p.Name, list...))
}

// bundle reads one back.
func (h *Host) bundle(ctx context.Context, p *Plugin, number int) (*manifest.Bundle, error) {
	list, err := h.pieces(ctx, p, number)
	if err != nil {
		return nil, err
	}
	var packed []byte
	for _, c := range list {
		packed = append(packed, c.Value...)
	}
	b, err := manifest.Unpack(packed, manifest.MaxBundle)
	if err != nil {
		return nil, fault.Wrap("host.bundle", fault.Internal, fmt.Errorf("version %d of %s as it is kept: %w", number, p.Name, err))
	}
	return b, nil
}

// erase removes all that is kept of a plugin, the state first.
func (h *Host) erase(ctx context.Context, p *Plugin) error {
	if err := h.deps.Cells.PutCells(ctx, p.Tenant, tableStates, cell.Cell{Key: p.Name}); err != nil {
		return err
	}
	for _, v := range p.state.Versions {
		if err := h.drop(ctx, p, v.Number); err != nil {
			return err
		}
	}
	return nil
}

// Load brings what was deployed to a tenant. A version that can not be built any
// more, because the policy or the node is another by now, is left out, and the log
// says why: the tenant's other plugins run.
func (h *Host) Load(ctx context.Context, tenant string) error {
	policy := h.deps.Policy(tenant)
	if policy == nil {
		return nil
	}
	list, err := h.deps.Cells.Cells(ctx, tenant, tableStates, "", 1000)
	if err != nil {
		return err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	for _, c := range list {
		if h.tenants[tenant][c.Key] != nil {
			continue // is there already
		}
		p := h.plugin(tenant, c.Key)
		var kept state
		if err := json.Unmarshal(c.Value, &kept); err != nil {
			return fault.Wrap("host.load", fault.Internal, err)
		}
		h.write(func() { p.state = kept })
		next := &set{share: uint64(p.state.Share * 10000)}
		for number, place := range map[int]**Version{p.state.Live: &next.live, p.state.Canary: &next.canary, p.state.Shadow: &next.shadow} {
			if number == 0 {
				continue
			}
			v, _, err := h.revive(ctx, p, number)
			if err != nil {
				h.deps.Log.Error("a plugin's version can not be run", "tenant", tenant, "plugin", p.Name, "number", number, "error", err)
				continue
			}
			*place = v
		}
		p.set.Store(next)
	}
	h.publish()
	return nil
}
