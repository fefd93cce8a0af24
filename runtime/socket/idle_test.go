//go:build linux

package socket

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleBound is what an idle connection may cost, heap and stack together. It is
// about 10 % above what was measured when it was last set.
const idleBound = 4250

// TestIdleConnectionIsCheap holds the memory of idle connections. The clients
// are bare file descriptors, which cost the Go heap nothing.
func TestIdleConnectionIsCheap(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps shadows of all memory")
	}
	const conns = 2000
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.Handshake.RatePerIP, c.Heartbeat.Interval = 0, time.Hour })
	fds := make([]int, 0, 2*conns)
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	more := func() {
		for range conns {
			fds = append(fds, dialRaw(t, s, request("/v1/ws", "User-Agent: idle client")))
			<-a.opened
		}
	}
	more() // pools and tables grow with the first ones
	heap0, stack0 := memory()
	more()
	var heap, stack float64
	for range 20 { // a loaded machine takes its time to end what they began
		heap1, stack1 := memory()
		if heap, stack = float64(heap1-heap0)/conns, float64(stack1-stack0)/conns; heap+stack <= idleBound {
			break
		}
	}
	t.Logf("an idle connection costs %.0f B of heap and %.0f B of stack", heap, stack)
	if heap+stack > idleBound {
		t.Errorf("%.0f B are more than %d", heap+stack, idleBound)
	}
}

// dialRaw connects and takes the answer to its handshake.
func dialRaw(t *testing.T, s *Server, req string) int {
	t.Helper()
	var a, b, c, d byte
	var port int
	if _, err := fmt.Sscanf(s.Addr().String(), "%d.%d.%d.%d:%d", &a, &b, &c, &d, &port); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{a, b, c, d}})
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(req))
	}
	var buf [512]byte
	if err == nil {
		_, err = unix.Read(fd, buf[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// memory is live heap and stacks, when neither changes any more.
func memory() (heap, stack int64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for range 4 {
		runtime.GC()
		<-time.After(20 * time.Millisecond)
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
}
