package cell

import "context"

// Cell is one value under its key. Without a value, which is not an empty one, it is
// to be deleted.
type Cell struct {
	Key   string
	Value []byte
}

// overhead is about what a write takes beside key and value, in bytes.
const overhead = 64

// Cost is about what it takes to write a cell, in bytes.
func Cost(key string, value []byte) int64 { return int64(overhead + len(key) + len(value)) }

// Store keeps cells.
type Store interface {
	// Cell finds one; the value is the caller's.
	Cell(ctx context.Context, tenant, table, key string) (value []byte, found bool, err error)
	// Cells pages through a table, in the order of the keys, from the one behind after.
	Cells(ctx context.Context, tenant, table, after string, limit int) ([]Cell, error)
	// PutCells changes cells of one table, all or none, and returns when they are
	// durable.
	PutCells(ctx context.Context, tenant, table string, cells ...Cell) error
	// PutCellsSoon changes them, all or none, for everybody who reads from now on; they
	// are durable a moment later. What a crash loses of them is the newest.
	PutCellsSoon(tenant, table string, cells ...Cell) error
	// SwapCells changes cells of one table as PutCells does, if others are as was says: one
	// without a value is not there. ok is false, and nothing is changed, if one of them is
	// another; nobody else changes the table in between.
	SwapCells(ctx context.Context, tenant, table string, was, put []Cell) (ok bool, err error)
}
