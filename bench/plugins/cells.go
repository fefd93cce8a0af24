package plugins

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// cells is a cell.Store in memory.
type cells struct {
	mu     sync.Mutex
	tables map[[2]string]map[string][]byte
}

func newCells() *cells { return &cells{tables: map[[2]string]map[string][]byte{}} }

func (c *cells) Cell(_ context.Context, tenant, table, key string) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.tables[[2]string{tenant, table}][key]
	return v, ok, nil
}

func (c *cells) Cells(_ context.Context, tenant, table, after string, limit int) (out []cell.Cell, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tables[[2]string{tenant, table}]
	for _, key := range slices.Sorted(maps.Keys(t)) {
		if key > after && len(out) < limit {
			out = append(out, cell.Cell{Key: key, Value: t[key]})
		}
	}
	return out, nil
}

func (c *cells) PutCells(_ context.Context, tenant, table string, list ...cell.Cell) error {
	return c.PutCellsSoon(tenant, table, list...)
}

func (c *cells) PutCellsSoon(tenant, table string, list ...cell.Cell) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tables[[2]string{tenant, table}]
	if t == nil {
		t = map[string][]byte{}
		c.tables[[2]string{tenant, table}] = t
	}
	for _, x := range list {
		if x.Value == nil {
			delete(t, x.Key)
		} else {
			t[x.Key] = slices.Clone(x.Value)
		}
	}
	return nil
}

// size is how many bytes are kept.
func (c *cells) size() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tables {
		for _, v := range t {
			n += int64(len(v))
		}
	}
	return n
}
