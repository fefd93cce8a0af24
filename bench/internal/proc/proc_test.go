package proc

import (
	"net/http"
	"net/http/httptest"
	_ "net/http/pprof" // serves on the default mux
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestOwnProcess(t *testing.T) {
	// Use some CPU: on a loaded machine that takes longer than it counts.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		_ = strings.Repeat("x", 1000)
		if cpu, err := CPU(os.Getpid()); err != nil || cpu > 0 && Self() >= 20*time.Millisecond {
			break
		}
	}
	if cpu, err := CPU(os.Getpid()); err != nil || cpu <= 0 || cpu > All() {
		t.Errorf("CPU = %v, %v, all %v", cpu, err, All())
	}
	if Self() < 20*time.Millisecond {
		t.Errorf("Self = %v", Self())
	}
	if rss, pss, err := Memory(os.Getpid()); err != nil || rss < 1<<20 || pss > rss {
		t.Errorf("Memory = %d, %d, %v", rss, pss, err)
	}
	if n := Threads(os.Getpid()); n < 1 {
		t.Errorf("Threads = %d", n)
	}
	if _, err := CPU(0); err == nil {
		t.Error("process 0 has used CPU")
	}
}

func TestSockets(t *testing.T) {
	const stat = "sockets: used 24\nTCP: inuse 2 orphan 0 tw 40 alloc 2 mem 499\nUDP: inuse 0 mem 7\n"
	if n, err := buffers(strings.NewReader(stat)); err != nil || n != 499*int64(os.Getpagesize()) {
		t.Errorf("buffers = %d, %v", n, err)
	}
	const info = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n" +
		"tw_sock_TCP 192 200 256 16 1\nTCP 52 60 2368 13 8\nfilp 10 20 192 21 1\n"
	used, objects, err := slabs(strings.NewReader(info))
	if err != nil || used != 52*2368+10*192 || objects != 2368+192 {
		t.Errorf("slabs = %d, %d, %v", used, objects, err)
	}
	if _, _, err := slabs(strings.NewReader("TCP many 60 2368\n")); err == nil {
		t.Error("a count that is no number was taken")
	}
	if _, err := Sockets(); err != nil {
		t.Error(err)
	}
}

func TestGo(t *testing.T) {
	s := httptest.NewServer(http.DefaultServeMux)
	defer s.Close()
	ballast := make([]byte, 8<<20)
	got, err := Go(t.Context(), s.Listener.Addr().String())
	if err != nil || got.Goroutines < 2 || got.HeapLive < int64(len(ballast)) || got.Stacks < 1<<12 {
		t.Errorf("Go = %+v, %v", got, err)
	}
	runtime.KeepAlive(ballast)
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	if _, err := Go(t.Context(), empty.Listener.Addr().String()); err == nil {
		t.Error("a server without pprof has figures")
	}
}
