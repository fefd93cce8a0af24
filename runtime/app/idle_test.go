//go:build linux

package app

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a session may cost that has been opened, has joined two rooms beside its
// own, and does nothing. Stacks are 2 KiB, or 4 if anything below Workers.Do has
// grown. The heap is about a tenth above what was measured when this was last set.
const (
	idleHeap  = 4500
	idleStack = 2300
)

// TestIdleSessionIsCheap holds that. The clients are bare file descriptors, which
// cost the Go heap nothing.
func TestIdleSessionIsCheap(t *testing.T) {
	if raceEnabled || runtime.GOARCH != "amd64" {
		t.Skip("frames and shadows of other sizes")
	}
	const sessions = 2000
	n := serve(t, "socket.handshake.rate_per_ip=0", "socket.heartbeat.interval=10m")
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	more := func() {
		for range sessions {
			fds = append(fds, n.openRaw(t, fmt.Sprint("u", len(fds))))
		}
	}
	more() // pools and tables grow with the first ones
	heap0, objects0, stack0 := memory()
	more()
	var heap1, objects1, stack1 int64
	var heap, stack float64
	for range 20 { // a loaded machine takes its time to end what they began
		heap1, objects1, stack1 = memory()
		heap, stack = float64(heap1-heap0)/sessions, float64(stack1-stack0)/sessions
		if heap <= idleHeap && stack <= idleStack {
			break
		}
	}
	t.Logf("an idle session costs %.0f B of heap in %.1f objects, and %.0f B of stack", heap, float64(objects1-objects0)/sessions, stack)
	if heap > idleHeap || stack > idleStack {
		t.Errorf("more than %d B of heap and %d B of stack", idleHeap, idleStack)
	}
}

// openRaw connects and opens a session.
func (n *node) openRaw(t testing.TB, user string) int {
	t.Helper()
	var a, b, c, d byte
	var port int
	if _, err := fmt.Sscanf(n.app.Addr().String(), "%d.%d.%d.%d:%d", &a, &b, &c, &d, &port); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{a, b, c, d}})
	}
	ask := func(p []byte) {
		if err == nil {
			_, err = unix.Write(fd, p)
		}
		var buf [4096]byte
		if err == nil {
			_, err = unix.Read(fd, buf[:])
		}
	}
	ask([]byte("GET /v1/ws HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: heddle.v1.json, heddle.token." + mint(t, claims("acme", user)) + "\r\n\r\n"))
	ask(masked(opText, []byte(envelope("session:open", "", "1", `{"rooms":["channel:1","channel:2"]}`))))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// memory is live heap, its objects, and stacks, when none changes any more.
func memory() (heap, objects, stack int64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/objects:objects"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for range 4 {
		runtime.GC()
		<-time.After(50 * time.Millisecond)
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64()), int64(samples[2].Value.Uint64())
}
