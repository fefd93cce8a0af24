package memory

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// content is an image with something on its first and its last page of n.
func content(n int) []byte {
	b := make([]byte, n*PageSize)
	copy(b, "first")
	copy(b[len(b)-4:], "last")
	return b
}

func image(t testing.TB, n int) *Image {
	t.Helper()
	i, err := NewImage(content(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func space(t testing.TB, pages int, i *Image) *Space {
	t.Helper()
	s, err := New(pages*PageSize, i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Free)
	return s
}

func TestResetGivesTheImageBack(t *testing.T) {
	for name, pages := range map[string]int{"small": 2, "large": 12} {
		t.Run(name, func(t *testing.T) {
			i := image(t, pages)
			one, other := space(t, pages+8, i), space(t, pages+8, i)
			mem := one.Allocate(0, 0).Reallocate(uint64(pages * PageSize))
			theirs := other.Reallocate(uint64(pages * PageSize))
			for range 3 {
				if !bytes.Equal(mem, content(pages)) {
					t.Fatal("it does not begin as the image")
				}
				for at := 0; at < len(mem); at += 1000 {
					mem[at] = 0xff
				}
				if !bytes.Equal(theirs, content(pages)) {
					t.Fatal("what one instance writes, another one sees")
				}
				if err := one.Reset(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestResetAfterAnything writes anywhere, as much as one likes, again and again: a few
// pages, the same ones, many, all. It ends when the memory has grown.
func TestResetAfterAnything(t *testing.T) {
	const pages = 70 // more than a look at the kernel's list shows
	r := rand.New(rand.NewPCG(1, 2))
	want := content(pages)
	for range len(want) / 9 {
		want[r.IntN(len(want))] = byte(r.Int())
	}
	clear(want[9*PageSize : 11*PageSize]) // holes
	i, err := NewImage(want)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	for name, list := range everyWay(i) {
		t.Run(name, func(t *testing.T) {
			s := space(t, pages+4, list)
			mem := s.Reallocate(pages * PageSize)
			usual := r.Perm(pages * 16)[:20] // pages of 4 KiB that each batch writes
			for round := range 160 {
				scribble(r, mem, usual, round)
				if err := s.Reset(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(mem, want) {
					t.Fatalf("round %d: the memory is not the image", round)
				}
			}
			grown := s.Reallocate((pages + 2) * PageSize)
			grown[len(grown)-1] = 1
			if s.CanReset() || s.Reset() == nil {
				t.Error("it has grown, and is said to be as it was")
			}
		})
	}
}

// scribble writes to memory as the batch of a round does.
func scribble(r *rand.Rand, mem []byte, usual []int, round int) {
	for _, p := range usual {
		mem[p*4096+r.IntN(4096)]++
	}
	for range r.IntN(8) { // anywhere
		from := r.IntN(len(mem))
		clear(mem[from:min(len(mem), from+r.IntN(3*4096))])
	}
	switch {
	case round%50 == 7: // much
		for at := r.IntN(4096); at < len(mem); at += 3 * 4096 {
			mem[at]++
		}
	case round%100 == 11: // all
		for at := range mem {
			mem[at] = ^mem[at]
		}
	}
}

func TestGrowing(t *testing.T) {
	s := space(t, 4, image(t, 2))
	mem := s.Reallocate(2 * PageSize)
	if !s.CanReset() {
		t.Error("it has not grown")
	}
	grown := s.Reallocate(4 * PageSize)
	if &grown[0] != &mem[0] || !bytes.Equal(grown[2*PageSize:], make([]byte, 2*PageSize)) {
		t.Error("grown memory moves, or is not empty")
	}
	if s.Reallocate(4*PageSize+1) != nil {
		t.Error("it grows over its limit")
	}
	if s.CanReset() || s.Reset() == nil {
		t.Error("grown memory cannot go back")
	}
	if s.Size() != 4*PageSize || s.Limit() != 4*PageSize {
		t.Error(s.Size(), s.Limit())
	}
}

func TestWithoutImage(t *testing.T) {
	s := space(t, 4, nil)
	if s.CanReset() || !bytes.Equal(s.Reallocate(PageSize), make([]byte, PageSize)) {
		t.Error("it has an image")
	}
	s.Free()
	s.Free()
	if err := s.Reset(); err == nil {
		t.Error("freed memory is reset")
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	i := image(t, 2)
	for name, make := range map[string]func() error{
		"no page":             func() error { _, err := New(0, nil); return err },
		"part of a page":      func() error { _, err := New(PageSize+1, nil); return err },
		"less than the image": func() error { _, err := New(PageSize, i); return err },
		"more than addresses": func() error { _, err := New(1<<62, nil); return err },
		"empty image":         func() error { _, err := NewImage(nil); return err },
		"part of an image":    func() error { _, err := NewImage([]byte{1}); return err },
	} {
		if make() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPrivateCountsWhatWasWritten(t *testing.T) {
	s := space(t, 64, image(t, 32))
	mem := s.Reallocate(32 * PageSize)
	before, err := s.Private()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	_ = mem[5*PageSize] // reading takes none
	mem[PageSize], mem[9*PageSize] = 1, 1
	if after, err := s.Private(); err != nil || before != 0 || after == 0 || after > 4*PageSize {
		t.Errorf("%d and then %d bytes, %v", before, after, err)
	}
}

func BenchmarkNew(b *testing.B) {
	i := image(b, 54) // a Go guest
	for b.Loop() {
		s, err := New(64<<20, i)
		if err != nil {
			b.Fatal(err)
		}
		s.Free()
	}
}

// BenchmarkReset writes so many pages of 4 KiB and takes it back.
func BenchmarkReset(b *testing.B) {
	for name, n := range map[string]struct{ pages, touched int }{"C": {3, 4}, "Go": {54, 40}} {
		b.Run(name, func(b *testing.B) {
			s := space(b, n.pages, image(b, n.pages))
			mem := s.Reallocate(uint64(n.pages * PageSize))
			for b.Loop() {
				for i := range n.touched {
					mem[i*4096] = 1
				}
				if err := s.Reset(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
