//go:build linux && !race

package engineio

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a connection that polls may cost, heap and stack together, without the poll
// and with one that waits. The latter is about 20 % above what was measured when it
// was last set; the former leaves room for tables that grow.
const (
	idleBound = 1400
	pollBound = 26000
)

// TestIdlePollIsCheap holds the memory of connections that poll and hear nothing. The
// clients are bare file descriptors, which cost the Go heap nothing.
func TestIdlePollIsCheap(t *testing.T) {
	const conns = 500
	a := newApp()
	n := serve(t, a, func(s *settings) {
		s.socket.Handshake.RatePerIP, s.socket.MaxHTTP, s.UnopenedShare = 0, 4*conns, 1
		s.socket.Heartbeat.Interval = time.Hour
	})
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	handshake := func() (ids []string) {
		for range conns {
			ids = append(ids, n.dial("/engine.io/").id)
		}
		return ids
	}
	poll := func(ids []string) {
		for _, id := range ids {
			fds = append(fds, n.ask(fmt.Sprintf("GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nUser-Agent: idle client\r\n\r\n", id)))
		}
		n.eventually("polls that wait", func() bool {
			for _, id := range ids {
				c := n.conn(id)
				c.mu.Lock()
				parked := c.p.parked
				c.mu.Unlock()
				if !parked {
					return false
				}
			}
			return true
		})
	}
	poll(handshake()) // pools and tables grow with the first ones
	before := memory()
	ids := handshake()
	within := func(what string, before int64, bound float64) int64 {
		var now int64
		var each float64
		for range 20 { // a loaded machine takes its time to end what they began
			now = memory()
			if each = float64(now-before) / conns; each <= bound {
				break
			}
		}
		t.Logf("%s costs %.0f B", what, each)
		if each > bound {
			t.Errorf("%s costs %.0f B, more than %.0f", what, each, bound)
		}
		return now
	}
	idle := within("a connection without a poll", before, idleBound)
	poll(ids)
	within("a poll that waits", idle, pollBound)
}

// ask sends a request and returns its connection.
func (n *node) ask(request string) int {
	n.t.Helper()
	var a, b, c, d byte
	var port int
	if _, err := fmt.Fscanf(strings.NewReader(n.sockets.Addr().String()), "%d.%d.%d.%d:%d", &a, &b, &c, &d, &port); err != nil {
		n.t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{a, b, c, d}})
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(request))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return fd
}

// memory is live heap and stacks, when neither changes any more.
func memory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for range 4 {
		runtime.GC()
		<-time.After(20 * time.Millisecond)
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}
