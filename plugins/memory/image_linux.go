package memory

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Image is a memory as it was captured, which never changes.
type Image struct {
	fd      int
	content []byte // mapped read-only
}

// NewImage captures a memory, whole pages.
func NewImage(content []byte) (*Image, error) {
	if len(content) == 0 || len(content)%PageSize != 0 {
		return nil, fmt.Errorf("memory: an image of %d bytes is not of whole pages", len(content))
	}
	fd, err := unix.MemfdCreate("heddle-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memory: memfd: %w", err)
	}
	i := &Image{fd: fd}
	if err := i.fill(content); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("memory: image: %w", err)
	}
	return i, nil
}

// fill writes what is not zero, so that the rest takes no memory, and seals it.
func (i *Image) fill(content []byte) error {
	if err := unix.Ftruncate(i.fd, int64(len(content))); err != nil {
		return err
	}
	page := os.Getpagesize()
	for at := 0; at < len(content); at += page {
		if p := content[at : at+page]; !empty(p) {
			if _, err := unix.Pwrite(i.fd, p, int64(at)); err != nil {
				return err
			}
		}
	}
	if _, err := unix.FcntlInt(uintptr(i.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL); err != nil {
		return err
	}
	var err error
	i.content, err = unix.Mmap(i.fd, 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
	return err
}

func empty(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// Close gives it up; no Space may use it any more.
func (i *Image) Close() error {
	err := unix.Munmap(i.content)
	i.content = nil
	if e := unix.Close(i.fd); err == nil {
		err = e
	}
	return err
}

// bring maps the image over the beginning of space, copy-on-write.
func (i *Image) bring(space []byte) error {
	at := unsafe.Pointer(unsafe.SliceData(space))
	_, err := unix.MmapPtr(i.fd, 0, at, uintptr(len(i.content)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	return err
}

// restore throws the pages away that were written: those of the image show again.
func (i *Image) restore(mapped []byte) error { return unix.Madvise(mapped, unix.MADV_DONTNEED) }

// reserve maps addresses that take memory only where they are written.
func reserve(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func release(b []byte) { _ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))) }

// Private is how many bytes of the memory are the instance's own, not the image's.
func (s *Space) Private() (int, error) {
	page := os.Getpagesize()
	f, err := os.Open("/proc/self/pagemap")
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
		const present, ofFile = 1 << 7, 1 << 5 // bits 63 and 61 of the entry
		if e[7]&present != 0 && e[7]&ofFile == 0 {
			n += page
		}
	}
	return n, nil
}
