package memory

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// PageSize is WebAssembly's.
const PageSize = 64 << 10

var errFreed = errors.New("memory: used after it was freed")

// Space is the linear memory of one instance. It is wazero's allocator for it, and
// what that allocates, once.
type Space struct {
	reserved []byte // as far as it may grow
	size     int    // as far as it has grown
	image    *Image // nil: it began empty
	resetting
}

var (
	_ experimental.MemoryAllocator = (*Space)(nil)
	_ experimental.LinearMemory    = (*Space)(nil)
)

// New reserves limit bytes, whole pages, with the image, if there is one, at their
// beginning.
func New(limit int, image *Image) (*Space, error) {
	if limit < PageSize || limit%PageSize != 0 || image != nil && len(image.content) > limit {
		return nil, fmt.Errorf("memory: a limit of %d bytes cannot be kept", limit)
	}
	s := &Space{image: image}
	var err error
	if s.reserved, err = reserve(limit); err != nil {
		return nil, fmt.Errorf("memory: reserve %d bytes: %w", limit, err)
	}
	if image != nil {
		if err := image.bring(s.reserved); err != nil {
			s.Free()
			return nil, fmt.Errorf("memory: map the image: %w", err)
		}
	}
	return s, nil
}

// Allocate gives wazero the memory of the module that is being instantiated.
func (s *Space) Allocate(_, _ uint64) experimental.LinearMemory { return s }

// Reallocate is wazero's way to begin, and the guest's to grow; nil if it may not.
func (s *Space) Reallocate(size uint64) []byte {
	if size > uint64(len(s.reserved)) {
		return nil
	}
	s.size = max(s.size, int(size))
	return s.reserved[:size:size]
}

// Size is how many bytes the guest has.
func (s *Space) Size() int { return s.size }

// Limit is how many it may have.
func (s *Space) Limit() int { return len(s.reserved) }

// CanReset reports whether the memory can go back to the image: there is one, and it
// has not grown. WebAssembly knows no way to take pages back.
func (s *Space) CanReset() bool { return s.image != nil && s.size == len(s.image.content) }

// Reset makes the memory what the image is, byte for byte. Some pages that were written
// stay the instance's own, for the next time: see Private.
func (s *Space) Reset() error {
	switch {
	case s.reserved == nil:
		return errFreed
	case !s.CanReset():
		return errors.New("memory: there is no way back to the image")
	}
	return s.restore()
}

// Free gives the addresses back; slices of the memory must not be used any more.
func (s *Space) Free() {
	if s.reserved != nil {
		release(s.reserved)
		s.reserved, s.size = nil, 0
	}
}
