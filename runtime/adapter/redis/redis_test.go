package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/session/storetest"
)

func TestMain(m *testing.M) {
	// rueidis' own, which end seconds after its client.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func connect(t testing.TB, s *redistest.Server) *Client {
	t.Helper()
	return reach(t, &redistest.Group{Addresses: []string{s.Addr}})
}

// at is how servers are reached.
func at(g *redistest.Group) Config {
	return Config{Addresses: g.Addresses, Sentinel: Sentinel{Master: g.Master}, Prefix: "heddle:", Timeout: 2 * time.Second, Pipelines: 1}
}

func reach(t testing.TB, g *redistest.Group) *Client {
	t.Helper()
	return with(t, at(g))
}

func with(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestSessions(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		storetest.Run(t, func(t *testing.T) session.Store {
			g.Flush(t)
			return NewSessions(reach(t, g), time.Now)
		})
	})
}

// TestSessionsExpire: nothing is left of them.
func TestSessionsExpire(t *testing.T) {
	server := redistest.Start(t)
	s := NewSessions(connect(t, server), time.Now)
	r := session.Record{Tenant: "acme", User: "ann", ID: "s1", Expires: time.Now().Add(time.Hour).UnixMilli()}
	for range 2 {
		if err := s.Save(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{s.record("acme", "s1"), s.list("acme", "ann")} {
			if at := server.Do(t, "PEXPIRETIME", key); at != fmt.Sprint(r.Expires) {
				t.Errorf("%s ends at %s, want %d", key, at, r.Expires)
			}
		}
		r.Expires++
	}
}

// TestSessionsWithoutRedis says that it is worth another try, within the timeout.
func TestSessionsWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server)
	c.cfg.Timeout = 200 * time.Millisecond
	s := NewSessions(c, time.Now)
	server.Kill()
	_, _, loaded := s.Load(t.Context(), "acme", "s1")
	_, listed := s.OfUser(t.Context(), "acme", "ann", 1)
	for what, err := range map[string]error{
		"save": s.Save(t.Context(), session.Record{Tenant: "acme", ID: "s1", Expires: time.Now().Add(time.Hour).UnixMilli()}),
		"load": loaded, "list": listed, "delete": s.Delete(t.Context(), "acme", "s1", 0),
	} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	server.Run(t)
	for end := time.Now().Add(patience); ; {
		if _, found, err := s.Load(t.Context(), "acme", "s1"); err == nil && !found {
			break
		} else if time.Now().After(end) {
			t.Fatal(found, err)
		}
	}
}

// member is a node in a test.
type member struct {
	*Nodes
	stop func()

	mu    sync.Mutex
	views []View
}

func join(t *testing.T, c *Client, id string) *member {
	t.Helper()
	m := &member{}
	m.Nodes = NewNodes(c, NodesConfig{Heartbeat: 20 * time.Millisecond, Lease: 300 * time.Millisecond}, Node{ID: id, Roles: []string{"edge"}, Address: id + ":8080"}, slog.New(slog.DiscardHandler), func(v View) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.views = append(m.views, v)
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

// sees waits until a node sees exactly these.
func (m *member) sees(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) { // until Redis was asked again
		got = nil
		for _, n := range m.View().Nodes {
			name := n.ID
			if n.Draining {
				name += "!"
			}
			got = append(got, name)
		}
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("it sees %v, want %v", got, want)
}

func TestNodes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		a := join(t, reach(t, g), "a")
		a.sees(t, "a")
		b, c := join(t, reach(t, g), "b"), join(t, reach(t, g), "c")
		for _, n := range []*member{a, b, c} {
			n.sees(t, "a", "b", "c")
		}
		if n := a.View().Nodes[1]; n.Address != "b:8080" || !slices.Equal(n.Roles, []string{"edge"}) {
			t.Errorf("%+v", n)
		}
		b.Drain()
		a.sees(t, "a", "b!", "c")
		b.stop() // gives its lease up
		a.sees(t, "a", "c")
		before := time.Now()
		c.c.Close() // as one that is cut off: it cannot
		a.sees(t, "a")
		if took := time.Since(before); took < 200*time.Millisecond {
			t.Errorf("its lease has ended after %v", took)
		}
		// Redis forgets everything, and learns it anew; meanwhile the last view holds.
		g.Flush(t)
		a.sees(t, "a")
		d := join(t, reach(t, g), "d")
		a.sees(t, "a", "d")
		d.sees(t, "a", "d")
		a.mu.Lock()
		defer a.mu.Unlock()
		for i := 1; i < len(a.views); i++ {
			if fmt.Sprint(a.views[i].Nodes) == fmt.Sprint(a.views[i-1].Nodes) {
				t.Errorf("it was told twice of %v", a.views[i].Nodes)
			}
		}
	})
}

// TestOverFailures: all that is kept can be read and changed again when another Redis has
// taken over, or a killed one is back and empty.
func TestOverFailures(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		cfg := at(g)
		cfg.Timeout = 500 * time.Millisecond
		c := with(t, cfg)
		sessions, counters, node := NewSessions(c, time.Now), NewCounters(c), join(t, c, "a")
		cells := asStore{NewCells(c)}
		works := func() bool { // in many slots
			for i := range 20 {
				tenant := fmt.Sprint("tenant", i)
				r := session.Record{Tenant: tenant, User: "ann", ID: "s", Expires: time.Now().Add(time.Hour).UnixMilli(), Rooms: map[string]event.Position{}}
				if err := sessions.Save(t.Context(), r); err != nil {
					return false
				}
				list, err := sessions.OfUser(t.Context(), tenant, "ann", 10)
				if err != nil || len(list) != 1 {
					return false
				}
				if err := cells.PutCells(t.Context(), tenant, "kv", cell.Cell{Key: "a", Value: []byte("1")}); err != nil {
					return false
				}
				if err := counters.Settle(t.Context(), []limit.Taking{{Budget: tenant, Cost: time.Second}}); err != nil {
					return false
				}
			}
			return c.Check(t.Context()) == nil && time.Since(node.View().Asked) < time.Second
		}
		redistest.Eventually(t, "it works", works)
		if g.Cluster {
			g.MoveSlot(t, slot("7/tenant0")) // of cells
			if v, found, err := cells.Cell(t.Context(), "tenant0", "kv", "a"); err != nil || !found || string(v) != "1" {
				t.Errorf("behind the slot's move: %q, %v, %v", v, found, err)
			}
			redistest.Eventually(t, "it works with the slot elsewhere", works)
		}
		if len(g.Data) > 1 {
			g.FailOver(t)
			redistest.Eventually(t, "it works with another master", works)
			g.KillMaster(t)
		} else {
			g.Data[0].Kill()
			g.Data[0].Run(t)
		}
		redistest.Eventually(t, "it works after a death", works)
		node.sees(t, "a")
	})
}
