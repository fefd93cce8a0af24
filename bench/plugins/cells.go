package plugins

import "github.com/heddle-rt/heddle/runtime/cell"

// cells is a cell.Store in memory.
type cells struct{ cell.Memory }

func newCells() *cells { return &cells{} }

// size is how many bytes are kept.
func (c *cells) size() (n int64) {
	c.Each(func(_, _, _ string, value []byte) { n += int64(len(value)) })
	return n
}
