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
	pagemap int    // of the process; -1: it cannot be read
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
	if i.pagemap, err = unix.Open(pagemapFile, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		i.pagemap = -1 // some containers have none: Reset is slower
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

// Size is how many bytes it has.
func (i *Image) Size() int64 { return int64(len(i.content)) }

// Close gives it up; no Space may use it any more.
func (i *Image) Close() error {
	err := unix.Munmap(i.content)
	i.content = nil
	for _, fd := range []int{i.fd, i.pagemap} {
		if fd < 0 {
			continue
		}
		if e := unix.Close(fd); err == nil {
			err = e
		}
	}
	return err
}

// bring maps the image over the beginning of space, copy-on-write.
func (i *Image) bring(space []byte) error {
	at := unsafe.Pointer(unsafe.SliceData(space))
	_, err := unix.MmapPtr(i.fd, 0, at, uintptr(len(i.content)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	return err
}

// reserve maps addresses that take memory only where they are written.
func reserve(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func release(b []byte) { _ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))) }
