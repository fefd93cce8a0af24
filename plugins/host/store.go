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

// What is kept is in tables of cells: the states of a tenant's plugins, by name, and for
// each plugin the bundles of its versions, in pieces. The state comes last: a bundle
// without one is nobody's, and is overwritten; and it goes last, when it has said
// meanwhile that all else is to go. Of plugins that were removed there is the digest of the
// bundle that had come last from the node's folder, by name.
const (
	tableStates  = "plugins"
	tableRemoved = "plugins/removed"
	tableBundles = "plugin/"
	pieceSize    = 256 << 10
	piecesAtOnce = 16
)

func piece(number, part int) string { return fmt.Sprintf("%08d/%06d", number, part) }

// keepBundle writes the bundle of a version, with the tenant's turn held.
func (h *Host) keepBundle(ctx context.Context, p *Plugin, number int, packed []byte) error {
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
		list, err := h.deps.Cells.Cells(ctx, p.Tenant, tableBundles+p.Name, after, piecesAtOnce)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if c.Key[:min(9, len(c.Key))] != prefix {
				return out, nil
			}
			out = append(out, c)
		}
		if len(list) < piecesAtOnce {
			return out, nil
		}
		after = list[len(list)-1].Key
	}
}

// drop deletes the bundle of a version, which nobody would look for again.
func (h *Host) drop(ctx context.Context, p *Plugin, number int) error {
	ctx, cancel := apart(ctx, storeTime)
	defer cancel()
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

// isKept reports whether the bundle of a version can be read back.
func (h *Host) isKept(ctx context.Context, p *Plugin, number int, digest string) bool {
	b, err := h.bundle(ctx, p, number)
	return err == nil && b.Digest() == digest
}

func notKept(number int) error {
	return fault.New(fault.NotFound, "number", fmt.Sprintf("version %d is not kept", number))
}
