package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// What is kept is in tables of cells: the states of a tenant's plugins, by name, and for
// each plugin the bundles of its versions, in pieces. The state comes last: a bundle
// without one is nobody's, and is overwritten; and it goes last, when it has said
// meanwhile that all else is to go. Beside the states is their version, which each change
// of one moves on: who changes one has seen all others before it. Of plugins that were removed there is the digest of the
// bundle that had come last from the node's folder, by name.
const (
	tableStates  = "plugins"
	versionKey   = "#version" // no plugin has such a name
	tableRemoved = "plugins/removed"
	tableBundles = "plugin/"
	pieceSize    = 256 << 10
	piecesAtOnce = 16
)

func piece(number, part int) string { return fmt.Sprintf("%08d/%06d", number, part) }

// keepNew writes the bundle of a version that is new, with the tenant's turn held, and
// returns its number: the least from there on that nobody else has a bundle under.
func (h *Host) keepNew(ctx context.Context, p *Plugin, number int, packed []byte) (int, error) {
	for ; ; number++ {
		first := []cell.Cell{{Key: piece(number, 0)}}
		kept, err := h.deps.Cells.SwapCells(ctx, p.Tenant, tableBundles+p.Name, first, inPieces(number, packed))
		if kept || err != nil {
			return number, fault.Wrap("host.keep", fault.Internal, err)
		}
	}
}

func inPieces(number int, packed []byte) (pieces []cell.Cell) {
	for part := 0; len(packed) > 0; part++ {
		n := min(len(packed), pieceSize)
		pieces = append(pieces, cell.Cell{Key: piece(number, part), Value: packed[:n]})
		packed = packed[n:]
	}
	return pieces
}

// keepAgain writes the bundle of a version that is kept and can not be read, with the
// tenant's turn held.
func (h *Host) keepAgain(ctx context.Context, p *Plugin, number int, packed []byte) error {
	if err := h.drop(ctx, p, number); err != nil {
		return err
	}
	return fault.Wrap("host.keep", fault.Internal, h.deps.Cells.PutCells(ctx, p.Tenant, tableBundles+p.Name, inPieces(number, packed)...))
}

// keep writes a plugin's state, and then removes old versions; with changing held.
func (h *Host) keep(ctx context.Context, p *Plugin, s *state, old []int) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fault.Wrap("host.keep", fault.Internal, err)
	}
	if err := h.record(ctx, p.Tenant, cell.Cell{Key: p.Name, Value: text}); err != nil {
		return err
	}
	p.text = text
	for _, n := range old {
		if err := h.drop(ctx, p, n); err != nil {
			h.deps.Log.Warn("an old version of a plugin could not be removed", "tenant", p.Tenant, "plugin", p.Name, "number", n, "error", err)
		}
	}
	return nil
}

// errBehind says that another node has changed the tenant's plugins, which this one has
// not seen yet.
var errBehind = fault.New(fault.Conflict, "", "the tenant's plugins were changed elsewhere meanwhile")

// record writes what is kept of one of a tenant's plugins, with changing held, and tells
// other nodes.
func (h *Host) record(ctx context.Context, tenant string, c cell.Cell) error {
	was := h.versions[tenant]
	number, _ := strconv.ParseUint(string(was), 10, 64)
	next := strconv.AppendUint(nil, number+1, 10)
	ok, err := h.deps.Cells.SwapCells(ctx, tenant, tableStates, []cell.Cell{{Key: versionKey, Value: was}}, []cell.Cell{c, {Key: versionKey, Value: next}})
	switch {
	case err != nil:
		return err
	case !ok:
		return errBehind
	}
	h.versions[tenant] = next
	if h.deps.Changed != nil {
		h.deps.Changed(tenant)
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
