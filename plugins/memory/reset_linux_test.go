package memory

import (
	"errors"
	"testing"
)

// everyWay is the image with and without the kernel's list of pages.
func everyWay(i *Image) map[string]*Image {
	blind := *i
	blind.pagemap = -1
	torn := *i
	torn.pagemap = i.fd // a file that is read, but ends before that place
	return map[string]*Image{"with the kernel's list": i, "without one": &blind, "with an unreadable one": &torn}
}

// TestKeptIsBounded has a batch write everything, and others next to nothing.
func TestKeptIsBounded(t *testing.T) {
	const pages = 64
	s := space(t, pages, image(t, pages))
	mem := s.Reallocate(pages * PageSize)
	private := func() int {
		n, err := s.Private()
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	reset := func() {
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; at < len(mem); at += 4096 {
		mem[at]++
	}
	if private() != len(mem) {
		t.Fatalf("%d bytes are its own of %d that were written", private(), len(mem))
	}
	if reset(); private() > kept {
		t.Errorf("%d bytes are kept of what one batch has written, %d may be", private(), kept)
	}
	mem[0]++
	if reset(); private() > 4*4096 {
		t.Errorf("%d bytes are kept that are not written any more", private())
	}
	for range sweepEvery {
		mem[0], mem[9*4096] = mem[0]+1, mem[9*4096]+1
		reset()
	}
	if n := private(); n != 2*4096 {
		t.Errorf("%d bytes are kept where each batch writes two pages", n)
	}
	for range sweepEvery {
		reset()
	}
	if n := private(); n != 0 {
		t.Errorf("%d bytes are kept where nobody writes", n)
	}
}
