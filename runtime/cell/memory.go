package cell

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory is a Store that forgets with the process. The zero value is empty; it is safe
// for concurrent use, and never fails.
type Memory struct {
	mu     sync.Mutex
	tables map[[2]string]map[string][]byte // by tenant and table; none is empty
}

var _ Store = (*Memory)(nil)

// Cell finds one.
func (m *Memory) Cell(_ context.Context, tenant, table, key string) (value []byte, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, found := m.tables[[2]string{tenant, table}][key]
	return bytes.Clone(v), found, nil
}

// Cells pages through a table.
func (m *Memory) Cells(_ context.Context, tenant, table, after string, limit int) (out []Cell, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := m.tables[[2]string{tenant, table}]
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if len(out) >= limit {
			break
		}
		if after == "" || key > after {
			out = append(out, Cell{Key: key, Value: bytes.Clone(rows[key])})
		}
	}
	return out, nil
}

// PutCells changes cells.
func (m *Memory) PutCells(_ context.Context, tenant, table string, cells ...Cell) error {
	return m.PutCellsSoon(tenant, table, cells...)
}

// PutCellsSoon changes cells.
func (m *Memory) PutCellsSoon(tenant, table string, cells ...Cell) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put([2]string{tenant, table}, cells)
	return nil
}

// SwapCells changes cells if others are as they were.
func (m *Memory) SwapCells(_ context.Context, tenant, table string, was, put []Cell) (ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := [2]string{tenant, table}
	for _, c := range was {
		if v, found := m.tables[at][c.Key]; found != (c.Value != nil) || !bytes.Equal(v, c.Value) {
			return false, nil
		}
	}
	m.put(at, put)
	return true, nil
}

// put is PutCellsSoon with mu held.
func (m *Memory) put(at [2]string, cells []Cell) {
	rows := m.tables[at]
	if rows == nil {
		rows = map[string][]byte{}
	}
	for _, c := range cells {
		if c.Value == nil {
			delete(rows, c.Key)
		} else {
			rows[c.Key] = bytes.Clone(c.Value)
		}
	}
	switch {
	case len(rows) == 0:
		delete(m.tables, at)
	case m.tables == nil:
		m.tables = map[[2]string]map[string][]byte{at: rows}
	default:
		m.tables[at] = rows
	}
}

// Each calls f with everything that is kept, in no order. The values are the store's, and
// f must not call it.
func (m *Memory) Each(f func(tenant, table, key string, value []byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, rows := range m.tables {
		for key, value := range rows {
			f(at[0], at[1], key, value)
		}
	}
}
