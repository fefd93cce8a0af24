package proc

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Memory is the resident and the proportional set size of pid in bytes.
func Memory(pid int) (rss, pss int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() // read only
	s := bufio.NewScanner(f)
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Rss:":
			rss = kb << 10
		case "Pss:":
			pss = kb << 10
		}
	}
	return rss, pss, s.Err()
}

// Threads is the number of threads of pid; 0 if it has ended.
func Threads(pid int) int {
	d, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(d)
}

// Kernel is what the kernel keeps for the sockets of all processes, in bytes. A
// connection over the loopback interface has both its ends in it.
type Kernel struct {
	// Buffers is what is queued in TCP sockets: the pages of "TCP: mem" in
	// /proc/net/sockstat.
	Buffers int64
	// Slabs are the objects in use of the caches that socketSlabs names, from
	// /proc/slabinfo; 0 where that cannot be read, since only root may.
	Slabs int64
	// Objects is one object of each of these caches: what one end of a connection
	// over IPv4 takes, whatever other processes do meanwhile.
	Objects int64
}

// socketSlabs are the caches whose objects a TCP connection in an epoll set
// holds: socket, inode, file, and its place in the set. Its directory entry (192
// bytes) is left out: whatever else uses files changes that cache by far more.
func socketSlabs() []string {
	return []string{"TCP", "sock_inode_cache", "filp", "eventpoll_epi"}
}

// Sockets reads all figures.
func Sockets() (k Kernel, err error) {
	f, err := os.Open("/proc/net/sockstat")
	if err != nil {
		return k, err
	}
	defer f.Close() // read only
	if k.Buffers, err = buffers(f); err != nil {
		return k, err
	}
	s, err := os.Open("/proc/slabinfo")
	if err != nil {
		return k, nil // see Kernel.Slabs
	}
	defer s.Close() // read only
	k.Slabs, k.Objects, err = slabs(s)
	return k, err
}

func buffers(r io.Reader) (bytes int64, err error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 3 || f[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(f); i += 2 {
			if f[i] == "mem" {
				pages, err := strconv.ParseInt(f[i+1], 10, 64)
				return pages * int64(os.Getpagesize()), err
			}
		}
	}
	return 0, s.Err()
}

// slabs adds up objects in use times their size, and the sizes (slabinfo(5)).
func slabs(r io.Reader) (used, objects int64, err error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 4 || !slices.Contains(socketSlabs(), f[0]) {
			continue
		}
		active, err1 := strconv.ParseInt(f[1], 10, 64)
		size, err2 := strconv.ParseInt(f[3], 10, 64)
		if err1 != nil || err2 != nil {
			return 0, 0, fmt.Errorf("proc: slabinfo: %q", s.Text())
		}
		used += active * size
		objects += size
	}
	return used, objects, s.Err()
}
