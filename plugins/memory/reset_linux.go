package memory

import (
	"bytes"
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A page that was written is the instance's own. To give it back to the kernel is
// cheap; but then the next batch that writes it takes a page fault, which costs ten to
// twenty times as much as to copy the page back, and a message to all processors. So
// Reset asks the kernel which pages are the instance's own, copies the image's back
// over those, and keeps them.
const (
	kept       = 256 << 10 // bytes of pages that an instance keeps at most
	sweepEvery = 256       // resets, after which it gives those back that it did not write
	window     = 1024      // pages that are asked for at a time
)

// The kernel's word for each page of the process, 8 bytes: see its
// Documentation/admin-guide/mm/pagemap.rst.
const (
	pagemapFile = "/proc/self/pagemap"
	pageSwapped = 1 << 62 // the highest bit stands for one that is in memory
	pageOfFile  = 1 << 61 // the image's
)

// own reports whether a page is the instance's own: in memory, or swapped out, and not
// of the image.
func own(entry uint64) bool { return entry >= pageSwapped && entry&pageOfFile == 0 }

// resetting is what a Space needs for Reset.
type resetting struct {
	entries []uint64 // of a window
	resets  int
	left    int  // pages that may yet be kept
	crowded bool // there were more
	from    int  // pages to be given back begin here
	to      int  // and end here
}

// restore makes the memory what the image is.
func (s *Space) restore() error {
	r, page := &s.resetting, os.Getpagesize()
	if s.image.pagemap < 0 {
		return s.giveBack(0, s.size)
	}
	if r.entries == nil {
		r.entries = make([]uint64, min(window, s.size/page))
	}
	r.resets++
	sweep := r.crowded || r.resets%sweepEvery == 0
	r.left, r.crowded, r.from, r.to = kept/page, false, 0, 0
	first := int64(uintptr(unsafe.Pointer(unsafe.SliceData(s.reserved)))) / int64(page)
	for at := 0; at < s.size; {
		list := r.entries[:min(len(r.entries), (s.size-at)/page)]
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), 8*len(list))
		if n, err := unix.Pread(s.image.pagemap, raw, 8*(first+int64(at/page))); err != nil || n != len(raw) {
			return s.giveBack(0, s.size)
		}
		for i, entry := range list {
			if !own(entry) {
				continue
			}
			if err := s.page(at+i*page, page, sweep); err != nil {
				return err
			}
		}
		at += len(list) * page
	}
	return s.giveBack(r.from, r.to)
}

// page restores one that is the instance's own.
func (s *Space) page(at, size int, sweep bool) error {
	r := &s.resetting
	mine, its := s.reserved[at:at+size], s.image.content[at:at+size]
	same := bytes.Equal(mine, its)
	if r.left > 0 && !(same && sweep) {
		if r.left--; !same {
			copy(mine, its)
		}
		return nil
	}
	r.crowded = r.crowded || r.left == 0
	if at != r.to {
		if err := s.giveBack(r.from, r.to); err != nil {
			return err
		}
		r.from = at
	}
	r.to = at + size
	return nil
}

// giveBack throws pages away: the image shows there again.
func (s *Space) giveBack(from, to int) error {
	if from == to {
		return nil
	}
	return unix.Madvise(s.reserved[from:to], unix.MADV_DONTNEED)
}

// Private is how many bytes of the memory are the instance's own, not the image's.
func (s *Space) Private() (int, error) {
	page := os.Getpagesize()
	f, err := os.Open(pagemapFile)
	if err != nil {
		return 0, err
	}
	defer f.Close() // read only: nothing to lose
	from := int64(uintptr(unsafe.Pointer(unsafe.SliceData(s.reserved)))) / int64(page)
	entries := make([]byte, s.size/page*8)
	if _, err := f.ReadAt(entries, from*8); err != nil {
		return 0, err
	}
	n := 0
	for e := entries; len(e) > 0; e = e[8:] {
		if own(binary.NativeEndian.Uint64(e)) {
			n += page
		}
	}
	return n, nil
}
