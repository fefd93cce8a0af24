package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/session/storetest"
)

func TestMain(m *testing.M) {
	// rueidis' own, which ends a second after its client.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func connect(t testing.TB, s *redistest.Server) *Client {
	t.Helper()
	c, err := Connect(Config{Addresses: []string{s.Addr}, Prefix: "heddle:", Timeout: 2 * time.Second, Pipelines: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestSessions(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) session.Store {
		c := connect(t, server)
		if err := c.r.Do(t.Context(), c.r.B().Flushall().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		return NewSessions(c, time.Now)
	})
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
		"load": loaded, "list": listed, "delete": s.Delete(t.Context(), "acme", "s1"),
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
	server := redistest.Start(t)
	a := join(t, connect(t, server), "a")
	a.sees(t, "a")
	b, c := join(t, connect(t, server), "b"), join(t, connect(t, server), "c")
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
	server.Kill()
	server.Run(t)
	a.sees(t, "a")
	d := join(t, connect(t, server), "d")
	a.sees(t, "a", "d")
	d.sees(t, "a", "d")
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 1; i < len(a.views); i++ {
		if fmt.Sprint(a.views[i].Nodes) == fmt.Sprint(a.views[i-1].Nodes) {
			t.Errorf("it was told twice of %v", a.views[i].Nodes)
		}
	}
}

func TestConnectRefuses(t *testing.T) {
	if _, err := Connect(Config{}); err == nil {
		t.Error("without an address")
	}
	server := redistest.Start(t, "--requirepass", "secret")
	_, err := Connect(Config{Addresses: []string{server.Addr}, Timeout: time.Second, Password: "wrong"})
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the wrong password: %v", err)
	}
	if _, err := Connect(Config{Addresses: []string{"127.0.0.1:1"}, Timeout: time.Second}); err == nil {
		t.Error("nobody is there")
	}
}
