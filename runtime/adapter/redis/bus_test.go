package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
)

func TestTagsSpreadOverShards(t *testing.T) {
	if got := slot("123456789"); got != 0x31c3%slots {
		t.Fatalf("the slot is %d", got)
	}
	for _, n := range []int{1, 3, 16, 64, 256, 1024} {
		all := tags(n)
		for _, shards := range []int{1, 2, 3, 5, 16} {
			has := make([]int, shards)
			for _, tag := range all {
				has[slot(tag)*shards/slots]++
			}
			if lo, hi := slices.Min(has), slices.Max(has); hi-lo > 1+n/64 {
				t.Errorf("%d partitions over %d shards: %v", n, shards, has)
			}
		}
	}
}

// station is a node's bus.
type station struct {
	*Bus
	stop func()

	mu        sync.Mutex
	received  []string
	published [][]string // by partition
	missed    int
}

func onAir(t *testing.T, c *Client, node string) *station {
	t.Helper()
	s := &station{published: make([][]string, 4)}
	s.Bus = NewBus(c, BusConfig{Queue: 2000}, BusDeps{
		Node: node, Partitions: 4, Log: slog.New(slog.DiscardHandler),
		Received:  func(m []byte) { s.mu.Lock(); s.received = append(s.received, string(m)); s.mu.Unlock() },
		Published: func(p int, m []byte) { s.mu.Lock(); s.published[p] = append(s.published[p], string(m)); s.mu.Unlock() },
		Missed:    func(int) { s.mu.Lock(); s.missed++; s.mu.Unlock() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(s.stop)
	return s
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) { // until it does
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func (s *station) with(f func() bool) func() bool {
	return func() bool { s.mu.Lock(); defer s.mu.Unlock(); return f() }
}

// tuned waits until what is published to every partition arrives.
func tuned(t *testing.T, from *station, at ...*station) {
	t.Helper()
	for p := range 4 {
		for _, s := range at {
			eventually(t, "it is subscribed", func() bool {
				from.Publish(p, []byte("tune"))
				return s.with(func() bool { return slices.Contains(s.published[p], "tune") })()
			})
		}
	}
	for _, s := range at {
		eventually(t, "it is reached", func() bool {
			from.Send(s.deps.Node, []byte("tune"))
			return s.with(func() bool { return slices.Contains(s.received, "tune") })()
		})
	}
}

func without(all []string, what string) (out []string) {
	for _, s := range all {
		if s != what {
			out = append(out, s)
		}
	}
	return out
}

func TestBus(t *testing.T) {
	server := redistest.Start(t)
	a, b := onAir(t, connect(t, server), "a"), onAir(t, connect(t, server), "b")
	tuned(t, a, a, b)
	tuned(t, b, a)
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		a.Publish(1, []byte(want[i]))
		a.Send("b", []byte(want[i]))
	}
	a.Send("b", []byte("\x00\xff\r\n"))
	for _, s := range []*station{a, b} {
		eventually(t, "all has come", s.with(func() bool { return len(without(s.published[1], "tune")) == 500 }))
		if got := without(s.published[1], "tune"); !slices.Equal(got, want) {
			t.Errorf("%s got %v", s.deps.Node, got)
		}
	}
	eventually(t, "all has come", b.with(func() bool { return len(without(b.received, "tune")) == 501 }))
	if got := without(b.received, "tune"); !slices.Equal(got[:500], want) || got[500] != "\x00\xff\r\n" {
		t.Errorf("b got %v", got)
	}
	if len(without(a.received, "tune"))+len(without(b.published[0], "tune")) > 0 {
		t.Errorf("others got something")
	}
	if a.Failed.Load() > 0 || a.Missed.Load() > 0 {
		t.Errorf("%d failed, %d missed", a.Failed.Load(), a.Missed.Load())
	}
}

// TestBusWithoutRedis loses what is sent meanwhile, says so, and goes on by itself.
func TestBusWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	a, b := onAir(t, connect(t, server), "a"), onAir(t, connect(t, server), "b")
	tuned(t, a, b)
	server.Kill()
	for range 4000 {
		a.Publish(0, []byte("lost"))
	}
	eventually(t, "it is counted", func() bool { return a.Dropped.Load() > 0 && a.Failed.Load() > 0 })
	server.Run(t)
	eventually(t, "b knows", b.with(func() bool { return b.missed >= 4 }))
	eventually(t, "it goes on", func() bool {
		a.Publish(3, []byte("again"))
		return b.with(func() bool { return slices.Contains(b.published[3], "again") })()
	})
}
