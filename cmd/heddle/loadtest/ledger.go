package loadtest

import (
	"sync"
	"sync/atomic"
)

const (
	chunkSize = 4096
	maxChunks = 1 << 14 // 64 million events in a room
	foreign   = ^uint64(0)
)

type chunk [chunkSize]atomic.Uint64

// ledger is the one order of a room's durable events, as receivers and senders
// saw it. Its entries are written by whoever is first and compared by the others.
type ledger struct {
	name string

	mu     sync.Mutex // guards growing and beginning
	placed bool
	base   uint64                 // the room's top when the run began; set before the first entry
	life   atomic.Pointer[string] // its epoch; nil while it has no events

	chunks atomic.Pointer[[]*chunk] // entries from base+1
	top    atomic.Uint64            // the furthest offset known to be stored
	// For ephemeral messages:
	accepted atomic.Uint64 // acked
}

// begin sets where the room's stream stood when the first member joined.
func (l *ledger) begin(epoch string, offset uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.placed {
		l.placed, l.base = true, offset
		l.top.Store(offset)
	}
	if l.life.Load() == nil && epoch != "" {
		l.life.Store(&epoch)
	}
}

func entryOf(s stamp) uint64 { return uint64(s.sender)<<32 | uint64(s.number) }

// record notes what stands at an offset, and reports whether that contradicts
// what others saw there.
func (l *ledger) record(offset, entry uint64) (contradicts bool) {
	if offset <= l.base {
		return false
	}
	for top := l.top.Load(); offset > top && !l.top.CompareAndSwap(top, offset); top = l.top.Load() {
	}
	i := offset - l.base - 1
	if i >= maxChunks*chunkSize {
		return false
	}
	slot := l.slot(i)
	return !slot.CompareAndSwap(0, entry) && slot.Load() != entry
}

func (l *ledger) slot(i uint64) *atomic.Uint64 {
	n := int(i / chunkSize)
	for {
		if p := l.chunks.Load(); p != nil && n < len(*p) {
			return &(*p)[n][i%chunkSize]
		}
		l.mu.Lock()
		var list []*chunk
		if p := l.chunks.Load(); p != nil {
			list = append(list, *p...)
		}
		for len(list) <= n {
			list = append(list, new(chunk))
		}
		l.chunks.Store(&list)
		l.mu.Unlock()
	}
}

// audit goes through the room's order: numbers of one sender must rise, and each
// message must stand there once.
func (l *ledger) audit() (twice, disordered uint64) {
	newest := map[uint32]uint32{}
	seen := map[uint64]bool{}
	top := l.top.Load()
	for i := uint64(0); l.base+i < top && i < maxChunks*chunkSize; i++ {
		entry := l.slot(i).Load()
		if entry == 0 || entry == foreign {
			continue
		}
		if seen[entry] {
			twice++
			continue
		}
		seen[entry] = true
		sender, number := uint32(entry>>32), uint32(entry)
		if number < newest[sender] {
			disordered++
		}
		newest[sender] = max(newest[sender], number)
	}
	return twice, disordered
}

// is tells whether the ledger is of this life of the room.
func (l *ledger) is(epoch []byte) bool {
	p := l.life.Load()
	return p != nil && *p == string(epoch)
}
