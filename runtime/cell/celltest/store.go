package celltest

import (
	"context"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// Store is a cell.Store in memory; the zero value is empty. Reads and Writes, which may be
// nil, are asked before a table is read or written, and what they say is what the caller
// is told; a test changes them while nobody uses the store.
type Store struct {
	cell.Memory
	Reads  func(ctx context.Context, table string) error
	Writes func(table string) error
	away   atomic.Pointer[error]
}

var _ cell.Store = (*Store)(nil)

// Away has everything fail with err from now on; nil: nothing any more.
func (s *Store) Away(err error) {
	if err == nil {
		s.away.Store(nil)
		return
	}
	s.away.Store(&err)
}

func (s *Store) reads(ctx context.Context, table string) error {
	if err := s.away.Load(); err != nil {
		return *err
	}
	if s.Reads == nil {
		return nil
	}
	return s.Reads(ctx, table)
}

func (s *Store) writes(table string) error {
	if err := s.away.Load(); err != nil {
		return *err
	}
	if s.Writes == nil {
		return nil
	}
	return s.Writes(table)
}

// Cell finds one.
func (s *Store) Cell(ctx context.Context, tenant, table, key string) (value []byte, found bool, err error) {
	if err := s.reads(ctx, table); err != nil {
		return nil, false, err
	}
	return s.Memory.Cell(ctx, tenant, table, key)
}

// Cells pages through a table.
func (s *Store) Cells(ctx context.Context, tenant, table, after string, limit int) ([]cell.Cell, error) {
	if err := s.reads(ctx, table); err != nil {
		return nil, err
	}
	return s.Memory.Cells(ctx, tenant, table, after, limit)
}

// PutCells changes cells.
func (s *Store) PutCells(_ context.Context, tenant, table string, cells ...cell.Cell) error {
	return s.PutCellsSoon(tenant, table, cells...)
}

// PutCellsSoon changes cells.
func (s *Store) PutCellsSoon(tenant, table string, cells ...cell.Cell) error {
	if err := s.writes(table); err != nil {
		return err
	}
	return s.Memory.PutCellsSoon(tenant, table, cells...)
}

// SwapCells changes cells if others are as they were.
func (s *Store) SwapCells(ctx context.Context, tenant, table string, was, put []cell.Cell) (bool, error) {
	if err := s.writes(table); err != nil {
		return false, err
	}
	return s.Memory.SwapCells(ctx, tenant, table, was, put)
}

// Len is how many cells there are of all tenants.
func (s *Store) Len() (n int) {
	s.Each(func(string, string, string, []byte) { n++ })
	return n
}

// Value is what is kept, whatever fails; nil: nothing.
func (s *Store) Value(tenant, table, key string) []byte {
	v, _, _ := s.Memory.Cell(context.Background(), tenant, table, key)
	return v
}

// Set changes what is kept, whatever fails; nil deletes.
func (s *Store) Set(tenant, table, key string, value []byte) {
	_ = s.Memory.PutCellsSoon(tenant, table, cell.Cell{Key: key, Value: value})
}
