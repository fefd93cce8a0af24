package embedded

import (
	"sync"
	"sync/atomic"
)

// filter remembers hashes approximately: what was added is found, and of what was
// not about one in a hundred is found too. It grows by parts, each twice as large
// as the one before. Many goroutines may use it.
//
// Almost every idempotency key that is looked up was never stored. Asking Pebble
// for it, in memory tables that are cold to the processor and in the filters of
// its files, was 51 % of the committer's processor time in BenchmarkDurable; this
// is a cache line for each part, and takes about two bytes of memory per key.
type filter struct {
	grow  sync.Mutex
	parts atomic.Pointer[[]*filterPart] // the newest last
}

const (
	firstPart   = 1 << 14 // keys
	largestPart = 1 << 22
	keysInBlock = 40 // 12.8 bits for each
	probes      = 7
)

// filterPart is a Bloom filter whose probes for one hash fall into one block, a
// cache line.
type filterPart struct {
	blocks [][8]atomic.Uint64
	left   atomic.Int64 // keys until the part is full
}

func newFilter() *filter {
	f := &filter{}
	f.parts.Store(&[]*filterPart{newFilterPart(firstPart)})
	return f
}

func newFilterPart(keys int) *filterPart {
	p := &filterPart{blocks: make([][8]atomic.Uint64, keys/keysInBlock+1)}
	p.left.Store(int64(keys))
	return p
}

// block is where a hash belongs, and which bits of the block are its own.
func (p *filterPart) block(hash uint64) (*[8]atomic.Uint64, uint64) {
	i := (hash >> 32) * uint64(len(p.blocks)) >> 32
	// The high bits chose the block; the bits in it come from all of them.
	return &p.blocks[i], (hash ^ hash>>29) * 0x9e3779b97f4a7c15
}

func (f *filter) add(hash uint64) {
	parts := *f.parts.Load()
	p := parts[len(parts)-1]
	b, bits := p.block(hash)
	for range probes {
		b[bits>>6&7].Or(1 << (bits & 63))
		bits >>= 9
	}
	if p.left.Add(-1) == 0 {
		f.extend()
	}
}

func (f *filter) extend() {
	f.grow.Lock()
	defer f.grow.Unlock()
	parts := *f.parts.Load()
	keys := min(firstPart<<len(parts), largestPart)
	longer := append(parts[:len(parts):len(parts)], newFilterPart(keys))
	f.parts.Store(&longer)
}

func (f *filter) has(hash uint64) bool {
	for _, p := range *f.parts.Load() {
		if p.has(hash) {
			return true
		}
	}
	return false
}

func (p *filterPart) has(hash uint64) bool {
	b, bits := p.block(hash)
	for range probes {
		if b[bits>>6&7].Load()&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
