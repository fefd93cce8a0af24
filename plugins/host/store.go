package host

import (
	"cmp"
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

// keepBundle writes the bundle of the version that comes next, with the tenant's turn
// held.
func (h *Host) keepBundle(ctx context.Context, p *Plugin, b *manifest.Bundle) error {
	packed, err := b.Pack()
	if err != nil {
		return fault.Wrap("host.keep", fault.Internal, err)
	}
	h.mu.Lock()
	number := p.state.Last + 1
	h.mu.Unlock()
	if err := h.drop(ctx, p, number); err != nil { // of one that did not get its place
		return err
	}
	var pieces []cell.Cell
	for part := 0; len(packed) > 0; part++ {
		n := min(len(packed), pieceSize)
		pieces = append(pieces, cell.Cell{Key: piece(number, part), Value: packed[:n]})
		packed = packed[n:]
	}
	if err := h.deps.Cells.PutCells(ctx, p.Tenant, tableBundles+p.Name, pieces...); err != nil {
		return fault.Wrap("host.keep", fault.Internal, err)
	}
	return nil
}

// keep writes a plugin's state, and then removes old versions.
func (h *Host) keep(ctx context.Context, p *Plugin, s *state, old []int) error {
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
	if len(list) == 0 {
		return err
	}
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

// Bundle is the bundle of a version that is kept, packed; number 0 is the live one.
func (h *Host) Bundle(ctx context.Context, tenant, name string, number int) ([]byte, error) {
	h.mu.Lock()
	p := h.tenants[tenant][name]
	var want *Meta
	if p != nil {
		if number == 0 {
			number = p.state.Live
		}
		if m := p.state.find(number); m != nil {
			kept := *m
			want = &kept
		}
	}
	h.mu.Unlock()
	switch {
	case p == nil:
		return nil, notThere(name)
	case want == nil:
		return nil, notKept(number)
	}
	b, err := h.bundle(ctx, p, number)
	if err != nil || b.Digest() != want.Digest { // it is being removed, perhaps
		if st, gone := h.Status(tenant, name); gone != nil || st.find(number) == nil {
			return nil, notKept(number)
		}
		return nil, cmp.Or(err, fault.Wrap("host.bundle", fault.Internal, errors.New("what is kept of the version is not what was deployed")))
	}
	return b.Pack()
}

func notKept(number int) error {
	return fault.New(fault.NotFound, "number", fmt.Sprintf("version %d is not kept", number))
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

// Load brings what was deployed to a tenant. Of a version that can not be built any
// more, because the policy or the node is another by now, all calls fail, and the log
// says why: what a filter should have seen does not go past it because it is away.
func (h *Host) Load(ctx context.Context, tenant string) error {
	policy := h.deps.Policy(tenant)
	if policy == nil {
		return nil
	}
	list, err := h.deps.Cells.Cells(ctx, tenant, tableStates, "", 1000)
	if err != nil {
		return err
	}
	end, err := h.turn(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	for _, c := range list {
		if err := h.restore(ctx, tenant, c.Key, c.Value); err != nil {
			return err
		}
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	h.publish()
	return nil
}

// restore brings one plugin, if it is not there already, with the tenant's turn held.
func (h *Host) restore(ctx context.Context, tenant, name string, value []byte) error {
	var kept state
	if err := json.Unmarshal(value, &kept); err != nil {
		return fault.Wrap("host.load", fault.Internal, err)
	}
	h.changing.Lock()
	there := h.tenants[tenant][name] != nil
	p := h.plugin(tenant, name)
	if !there {
		h.write(func() { p.state = kept })
	}
	h.changing.Unlock()
	if there {
		return nil
	}
	next := &set{share: uint64(kept.Share * 10000)}
	for number, place := range map[int]**Version{kept.Live: &next.live, kept.Canary: &next.canary, kept.Shadow: &next.shadow} {
		if number == 0 {
			continue
		}
		v, err := h.revive(ctx, p, number)
		if err != nil {
			h.deps.Log.Error("a plugin's version can not be run", "tenant", tenant, "plugin", name, "number", number, "error", err)
			p.Logs.add(Line{Time: h.deps.Now().UnixMilli(), Number: number, Level: "error", Text: "it can not be run: " + err.Error()})
			if v = h.standIn(ctx, p, number, err); v == nil {
				continue
			}
		}
		*place = v
	}
	p.set.Store(next)
	return nil
}
