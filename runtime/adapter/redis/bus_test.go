package redis

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
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
	s.Bus = NewBus(c, BusConfig{Queue: 2000, QueueBytes: 1 << 20, Compress: 1000}, BusDeps{
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
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		a, b := onAir(t, reach(t, g), "a"), onAir(t, reach(t, g), "b")
		tuned(t, a, a, b)
		tuned(t, b, a)
		sent, _ := a.Traffic(1)
		var want []string
		for i := range 500 {
			want = append(want, fmt.Sprint(i))
			a.Publish(1, []byte(want[i]))
			a.Send("b", []byte(want[i]))
		}
		for _, s := range []*station{a, b} {
			eventually(t, "all has come", s.with(func() bool { return len(without(s.published[1], "tune")) == 500 }))
			if got := without(s.published[1], "tune"); !slices.Equal(got, want) {
				t.Errorf("%s got %v", s.deps.Node, got)
			}
		}
		eventually(t, "all has come", b.with(func() bool { return len(without(b.received, "tune")) == 500 }))
		if got := without(b.received, "tune"); !slices.Equal(got, want) {
			t.Errorf("b got %v", got)
		}
		if len(without(a.received, "tune"))+len(without(b.published[0], "tune")) > 0 {
			t.Errorf("others got something")
		}
		if a.Failed.Load() > 0 || a.Missed.Load() > 0 || a.Unreadable.Load() > 0 {
			t.Errorf("%d failed, %d missed, %d unreadable", a.Failed.Load(), a.Missed.Load(), a.Unreadable.Load())
		}
		eventually(t, "all is counted", func() bool { n, _ := a.Traffic(1); m, bytes := a.Waiting(); return n == sent+500 && m+bytes == 0 })
		eventually(t, "the lag is measured", func() bool { return a.Pongs.Load() > 0 && b.Pongs.Load() > 0 })
		if lag := a.Lag.Summary(); lag.Quantile(0.5) == 0 || lag.Quantile(0.5) > time.Minute {
			t.Errorf("the lag is %v", lag.Quantile(0.5))
		}
		oneConnection(t, g, 2)
	})
}

// oneConnection expects that so many clients have each one connection with subscriptions
// to each Redis that may be written to.
func oneConnection(t *testing.T, g *redistest.Group, clients int) {
	t.Helper()
	for _, s := range g.Masters() {
		if got := strings.Count(s.Do(t, "CLIENT", "LIST", "TYPE", "pubsub"), "name=heddle "); got != clients {
			t.Errorf("%s has %d connections with subscriptions, want %d", s.Addr, got, clients)
		}
	}
}

// TestBusMessages come as they were, also large ones and those that look like the bus' own.
func TestBusMessages(t *testing.T) {
	server := redistest.Start(t)
	a, b := onAir(t, connect(t, server), "a"), onAir(t, connect(t, server), "b")
	tuned(t, a, b)
	rng := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 5000)
	_, _ = rng.Read(noise)
	noise[0] = squeeze
	want := []string{"", "\x00\xff\r\n", "\xfc", "\xfd", "\xfe", "\xff", "\xfe\x05abcde", "\xff12345678b", strings.Repeat("x", 999), strings.Repeat("x", 1000), string(noise)}
	for _, m := range want {
		a.Send("b", []byte(m))
	}
	eventually(t, "all has come", b.with(func() bool { return len(without(b.received, "tune")) == len(want) }))
	if got := without(b.received, "tune"); !slices.Equal(got, want) {
		t.Errorf("b got %q", got)
	}
	if n := a.Compressed.Load(); n != 1 {
		t.Errorf("%d were compressed", n)
	}
	server.Do(t, "SPUBLISH", b.node("b"), "\xfe\x05")
	eventually(t, "it is counted", func() bool { return b.Unreadable.Load() == 1 })
}

func FuzzUnpack(f *testing.F) {
	f.Add("")
	f.Add("\xfd\xff")
	f.Add("\xfe\x05abc")
	f.Add("\xfe\xff\xff\xff\xff\x0f")
	b := &Bus{cfg: BusConfig{Compress: 100}}
	f.Fuzz(func(t *testing.T, packed string) {
		m, err := unpack(packed)
		if err != nil {
			return
		}
		if again, err := unpack(string(b.pack(m))); err != nil || string(again) != string(m) {
			t.Errorf("%q became %q, %v", m, again, err)
		}
	})
}

// TestBusIsBounded, by messages and by bytes.
func TestBusIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ size, fits int }{"messages": {1, 100}, "bytes": {100, 10}} {
		b := NewBus(&Client{}, BusConfig{Queue: 100, QueueBytes: 1000}, BusDeps{Node: "a", Partitions: 4})
		for i := range 300 {
			b.Publish(i%4, make([]byte, c.size))
		}
		if n, bytes := b.Waiting(); int(n) != c.fits || int(bytes) != c.fits*c.size || int(b.Dropped.Load()) != 300-c.fits {
			t.Errorf("%s: %d wait with %d bytes, %d dropped", name, n, bytes, b.Dropped.Load())
		}
	}
}

// again waits until what is published to every partition comes once more.
func again(t *testing.T, from, to *station, what string) {
	t.Helper()
	for p := range 4 {
		eventually(t, what+" goes on", func() bool {
			from.Publish(p, []byte(what))
			return to.with(func() bool { return slices.Contains(to.published[p], what) })()
		})
	}
}

// TestBusOverFailures: subscriptions follow masters and slots, and who has them knows.
func TestBusOverFailures(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		cfg := at(g)
		cfg.Timeout = 500 * time.Millisecond
		a, b := onAir(t, with(t, cfg), "a"), onAir(t, with(t, cfg), "b")
		tuned(t, a, b)
		missed := func() (n int) { b.with(func() bool { n = b.missed; return true })(); return n }
		if g.Cluster {
			g.MoveSlot(t, slot(tags(4)[0]))
			eventually(t, "b knows of the slot", func() bool { return missed() >= 1 })
			again(t, a, b, "moved")
		}
		if len(g.Data) == 1 {
			was := missed()
			g.Data[0].Pause(t)
			eventually(t, "both know that it hangs", func() bool { a.Publish(0, []byte("x")); return a.Failed.Load() > 0 && b.c.Subscribed.Load() > 1 })
			g.Data[0].Resume(t)
			eventually(t, "b knows that it hung", func() bool { return missed() >= was+4 })
			again(t, a, b, "paused")
			return
		}
		g.FailOver(t)
		again(t, a, b, "failed over") // in a Cluster, who was the master has all that the new one has
		was := missed()
		g.KillMaster(t)
		again(t, a, b, "killed")
		eventually(t, "b knows of the death", func() bool { return missed() > was })
	})
}

// TestBusWithoutRedis loses what is sent meanwhile, says so, and goes on by itself.
func TestBusWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	a, b := onAir(t, connect(t, server), "a"), onAir(t, connect(t, server), "b")
	tuned(t, a, b)
	server.Kill()
	eventually(t, "it is counted", func() bool {
		for range 4000 {
			a.Publish(0, []byte("lost"))
		}
		return a.Dropped.Load() > 0 && a.Failed.Load() > 0
	})
	server.Run(t)
	eventually(t, "b knows", b.with(func() bool { return b.missed >= 4 }))
	eventually(t, "it goes on", func() bool {
		a.Publish(3, []byte("again"))
		return b.with(func() bool { return slices.Contains(b.published[3], "again") })()
	})
}
