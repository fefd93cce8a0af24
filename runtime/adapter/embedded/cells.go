package embedded

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// cellsLag is how long cells that were written without waiting may not be on disk.
const cellsLag = 50 * time.Millisecond

// Cell is one cell (cell.Store).
func (s *Store) Cell(_ context.Context, tenant, table, key string) (value []byte, ok bool, err error) {
	ok, err = s.get(appendKey(nil, tableCell, tenant, table, key), func(v []byte) error {
		value = append([]byte{}, v...)
		return nil
	})
	return value, ok && err == nil, err
}

// Cells pages through a table (cell.Store).
func (s *Store) Cells(ctx context.Context, tenant, table, after string, limit int) (out []cell.Cell, err error) {
	err = s.scan(ctx, appendKey(nil, tableCell, tenant, table), after, 3, func(key string, v []byte) (bool, error) {
		if len(out) == limit {
			return false, nil
		}
		if after == "" || key != after {
			out = append(out, cell.Cell{Key: key, Value: append([]byte{}, v...)})
		}
		return true, nil
	})
	return out, err
}

// PutCells changes cells of one table together, and returns when they are on disk
// (cell.Store).
func (s *Store) PutCells(_ context.Context, tenant, table string, cells ...cell.Cell) (err error) {
	b, err := s.cells(tenant, table, cells)
	if err != nil {
		return err
	}
	defer s.contain(&err)
	s.swaps.RLock()
	err = s.db.ApplyNoSyncWait(b, pebble.Sync)
	s.swaps.RUnlock()
	if err != nil {
		return fault.Wrap("embedded.cells", fault.Unavailable, err)
	}
	return s.synced(b)
}

// SwapCells changes cells if others are as they were (cell.Store).
func (s *Store) SwapCells(ctx context.Context, tenant, table string, was, put []cell.Cell) (ok bool, err error) {
	b, err := s.cells(tenant, table, put)
	if err != nil {
		return false, err
	}
	defer s.contain(&err)
	s.swaps.Lock()
	if ok, err = s.are(ctx, tenant, table, was); ok {
		err = s.db.ApplyNoSyncWait(b, pebble.Sync)
	}
	s.swaps.Unlock()
	switch {
	case err != nil:
		return false, errors.Join(fault.Wrap("embedded.cells", fault.Unavailable, err), b.Close())
	case !ok:
		return false, b.Close()
	}
	return true, s.synced(b)
}

// are reports whether cells are as was says.
func (s *Store) are(ctx context.Context, tenant, table string, was []cell.Cell) (bool, error) {
	for _, c := range was {
		v, found, err := s.Cell(ctx, tenant, table, c.Key)
		if err != nil || found != (c.Value != nil) || !bytes.Equal(v, c.Value) {
			return false, err
		}
	}
	return true, nil
}

// synced waits until a batch is on disk.
func (s *Store) synced(b *pebble.Batch) error {
	if err := b.SyncWait(); err != nil {
		s.die(err)
	}
	if err := s.alive(); err != nil {
		return err
	}
	return b.Close()
}

// PutCellsSoon changes them at once for every reader, and on disk soon (cell.Store).
func (s *Store) PutCellsSoon(tenant, table string, cells ...cell.Cell) (err error) {
	b, err := s.cells(tenant, table, cells)
	if err != nil {
		return err
	}
	defer s.contain(&err)
	s.swaps.RLock()
	err = s.db.Apply(b, pebble.NoSync)
	s.swaps.RUnlock()
	if err != nil {
		return fault.Wrap("embedded.cells", fault.Unavailable, err)
	}
	select {
	case s.late <- struct{}{}:
	default: // the one that is waiting syncs this as well
	}
	return b.Close()
}

func (s *Store) cells(tenant, table string, cells []cell.Cell) (*pebble.Batch, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	b, grows := s.db.NewBatch(), false
	for i := range cells {
		key, err := appendKey(nil, tableCell, tenant, table, cells[i].Key), error(nil)
		if cells[i].Value == nil {
			err = b.Delete(key, nil)
		} else {
			grows, err = true, b.Set(key, cells[i].Value, nil)
		}
		if err != nil {
			return nil, errors.Join(fault.Wrap("embedded.cells", fault.Internal, err), b.Close())
		}
	}
	if grows && !s.Space() {
		return nil, errors.Join(fault.New(fault.StorageFull, "", ""), b.Close())
	}
	return b, nil
}

// syncCells brings to disk what PutCellsSoon has written, until ctx ends.
func (s *Store) syncCells(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.late:
		}
		select {
		case <-ctx.Done(): // Close syncs
			return
		case <-time.After(cellsLag):
		}
		if err := s.alive(); err != nil {
			return
		}
		if err := s.db.LogData(nil, pebble.Sync); err != nil {
			s.die(err)
		}
	}
}
