package tail

import (
	"cmp"
	"container/list"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/runtime/sequence"
)

// name is a room of a tenant.
type name struct{ tenant, room string }

// entry is what is known of one room. Tail.mu guards it.
type entry struct {
	name
	place   *list.Element // in Tail.used
	pins    int           // reads that ask the base about it: nothing is dropped meanwhile
	dirty   int           // records that the base may not have
	changed uint64        // Tail.applied with its newest record
	bytes   int64
	counted int64 // of these, in Tail.bytes

	records []kept  // the newest ones
	cells   []*cell // by key
	extents map[listing]extent
	noted   uint64 // from this offset on all notes are here

	// Where in the log the room's life began, or was ended, if the cells have all since;
	// clean otherwise. The base's rows do not count then.
	born, ended int64
}

// cell is what is known of one thing.
type cell struct {
	key
	value any   // nil: there is none
	at    int64 // in the log: the record that wrote it
	size  int64
}

// clean is where in the log is what came from the base.
const clean = -1

// Tables, in the order of their cells.
type table uint8

const (
	tableHead     table = iota + 1 // sequence.Head
	tableInfo                      // room.Info
	tableMember                    // room.Member by user
	tableSent                      // room.Marker by user
	tableRead                      // readMark by room, of the user whose own room it is
	tableRow                       // []byte by kind and key
	tableNote                      // []byte by offset, kind and key
	tableRedacted                  // struct{} by offset
)

// key is where a cell is.
type key struct {
	table  table
	offset uint64
	kind   string
	name   string
}

func compareKeys(a, b key) int {
	switch {
	case a.table != b.table:
		return cmp.Compare(a.table, b.table)
	case a.offset != b.offset:
		return cmp.Compare(a.offset, b.offset)
	case a.kind != b.kind:
		return strings.Compare(a.kind, b.kind)
	}
	return strings.Compare(a.name, b.name)
}

func (k key) String() string { return fmt.Sprintf("%d %d %q %q", k.table, k.offset, k.kind, k.name) }

// listing is what can be listed: the members, or the rows of a kind.
type listing struct {
	table table
	kind  string
}

// extent of a listing, once it was asked for.
type extent uint8

const (
	whole extent = iota + 1 // it is in the cells
	large                   // it has too many items for that
)

// About how many bytes things take beside their texts.
const (
	entrySize  = 320
	cellSize   = 160
	recordSize = 320
)

func newEntry(n name) *entry {
	n = name{strings.Clone(n.tenant), strings.Clone(n.room)}
	return &entry{name: n, bytes: entrySize, noted: math.MaxUint64, born: clean, ended: clean, extents: map[listing]extent{}}
}

func (e *entry) search(k key) (int, bool) {
	return slices.BinarySearchFunc(e.cells, k, func(c *cell, k key) int { return compareKeys(c.key, k) })
}

// find returns a cell, nil if there is none.
func (e *entry) find(k key) *cell {
	if i, ok := e.search(k); ok {
		return e.cells[i]
	}
	return nil
}

// put writes a cell, whose value takes n bytes, and returns what all of it takes.
func (e *entry) put(k key, value any, n int, at int64) int64 {
	i, ok := e.search(k)
	if !ok {
		e.cells = slices.Insert(e.cells, i, &cell{key: k})
	}
	c := e.cells[i]
	e.bytes -= c.size
	c.value, c.at, c.size = value, at, int64(cellSize+len(k.kind)+len(k.name)+n)
	e.bytes += c.size
	return c.size
}

// learn takes over what the base has said, unless more is known by now.
func (e *entry) learn(k key, value any, n int) {
	c := e.find(k)
	if c == nil {
		if !e.complete(k) {
			e.put(k, value, n, clean)
		}
		return
	}
	if m, ok := c.value.(readMark); ok && m.open {
		c.value = m.join(value.(readMark))
	}
}

// known is the value of a cell, if that can be told without the base.
func (e *entry) known(k key) (value any, ok bool) {
	c := e.find(k)
	if c == nil {
		return nil, e.complete(k)
	}
	m, marks := c.value.(readMark)
	return c.value, !marks || !m.open
}

// complete reports whether there is nothing under keys like this one but what the cells say.
func (e *entry) complete(k key) bool {
	switch k.table {
	case tableSent, tableRead: // the markers outlive the end
		return e.born != clean
	case tableNote:
		return k.offset >= e.noted
	}
	return e.born != clean || e.ended != clean || e.extents[listing{k.table, k.kind}] == whole
}

func (e *entry) head() (sequence.Head, bool) {
	if c := e.find(key{table: tableHead}); c != nil {
		return c.value.(sequence.Head), true
	}
	return sequence.Head{}, false
}

// over reports whether the base has all of a room that has ended. Only the base knows for
// how long the name is taken then.
func (e *entry) over() bool {
	h, known := e.head()
	return known && h.Ended && e.dirty == 0
}

// begin forgets all: the room has a new life, and what was before does not count.
func (e *entry) begin(at int64) {
	e.forget(func(*cell) bool { return true })
	e.dropRecords(len(e.records))
	e.noted, e.born, e.ended = 0, at, clean
	clear(e.extents)
}

// end forgets all rows, but not the stream and the markers.
func (e *entry) end(at int64) {
	e.forget(func(c *cell) bool {
		return c.table == tableInfo || c.table == tableMember || c.table == tableRow || c.table == tableNote
	})
	e.noted, e.ended = 0, at
}

// strip drops all that the base has, which is what was logged before passed.
func (e *entry) strip(passed int64) {
	n := 0
	for n < len(e.records) && e.records[n].at < passed {
		n++
	}
	e.dropRecords(n)
	e.forget(func(c *cell) bool { return c.at < passed })
	clear(e.extents)
	if e.born < passed {
		e.born = clean
	}
	if e.ended < passed {
		e.ended = clean
	}
	switch {
	case e.born != clean || e.ended != clean: // all notes since then are
	case len(e.records) > 0:
		e.noted = e.records[0].Offset
	default:
		e.noted = math.MaxUint64
	}
}

// forget drops cells.
func (e *entry) forget(which func(*cell) bool) {
	e.cells = slices.DeleteFunc(e.cells, func(c *cell) bool {
		if which(c) {
			e.bytes -= c.size
			return true
		}
		return false
	})
}

// between are the cells of a span.
func (e *entry) between(s span) []*cell {
	i, _ := e.search(s.low)
	j, _ := e.search(s.high)
	return e.cells[i:max(i, j)]
}
