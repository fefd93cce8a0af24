//go:build !linux

package memory

import (
	"errors"
	"fmt"
	"slices"
)

// Image is a memory as it was captured, which never changes.
type Image struct{ content []byte }

// NewImage captures a memory, whole pages.
func NewImage(content []byte) (*Image, error) {
	if len(content) == 0 || len(content)%PageSize != 0 {
		return nil, fmt.Errorf("memory: an image of %d bytes is not of whole pages", len(content))
	}
	return &Image{content: slices.Clone(content)}, nil
}

// Size is how many bytes it has.
func (i *Image) Size() int64 { return int64(len(i.content)) }

// Close gives it up; no Space may use it any more.
func (i *Image) Close() error {
	i.content = nil
	return nil
}

func (i *Image) bring(space []byte) error {
	copy(space, i.content)
	return nil
}

// resetting is what a Space needs for Reset: nothing here.
type resetting struct{}

// restore makes the memory what the image is.
func (s *Space) restore() error { return s.image.bring(s.reserved) }

func reserve(n int) ([]byte, error) { return make([]byte, n), nil }

func release([]byte) {}

// Private is how many bytes of the memory are the instance's own: all, and so it is
// not told.
func (s *Space) Private() (int, error) { return 0, errors.ErrUnsupported }
