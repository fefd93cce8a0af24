package limit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// ledger is one in memory.
type ledger struct {
	mu    sync.Mutex
	away  error
	ahead map[string]time.Time
}

func (l *ledger) Settle(_ context.Context, all []Taking) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away != nil {
		return l.away
	}
	for i, t := range all {
		to := l.ahead[t.Budget]
		if now := time.Now(); to.Before(now) {
			to = now
		}
		l.ahead[t.Budget] = to.Add(t.Cost)
		all[i].Ahead = time.Until(l.ahead[t.Budget])
	}
	return nil
}

func (l *ledger) leave(err error) { l.mu.Lock(); l.away = err; l.mu.Unlock() }

// edge is a node in a cluster of several; the clock of each has begun at another time.
type edge struct {
	*Stage
	pool  *Pool
	began time.Time
	user  *holder
}

func cluster(t *testing.T, nodes int, cfg Config, tenant Tenant) (*ledger, []*edge) {
	l := &ledger{ahead: map[string]time.Time{}}
	var out []*edge
	for i := range nodes {
		e := &edge{Stage: New(cfg), began: time.Now().Add(-time.Duration(1+i) * time.Hour), user: connect("acme", "ann", "192.0.2.1")}
		e.pool = NewPool(PoolConfig{Every: 100 * time.Millisecond}, l, func() int { return nodes }, slog.New(slog.DiscardHandler))
		e.Share(e.pool, func() int64 { return int64(time.Since(e.began)) })
		if err := e.Reload(cfg, map[string]Tenant{"acme": tenant}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.pool.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
		out = append(out, e)
	}
	return l, out
}

// sends counts how many events pass of so many.
func (e *edge) sends(n int) (passed int) {
	for range n {
		ev := &event.Event{
			Origin: e.user, Spec: sends(), Received: int64(time.Since(e.began)),
			Envelope: event.Envelope{Tenant: "acme", From: event.Sender{User: "ann"}},
		}
		if _, err := e.Process(context.Background(), ev); err == nil {
			passed++
		}
	}
	return passed
}

// TestPool has a user, or a tenant, send as fast as three nodes let it. For long it is what
// one node would allow; at first it is more, by what is stated.
func TestPool(t *testing.T) {
	const rate, burst, nodes = 100, 50, 3
	for name, set := range map[string]func(*Config, *Tenant){
		"user":     func(c *Config, _ *Tenant) { c.User = Budget{rate, burst} },
		"tenant":   func(c *Config, _ *Tenant) { c.Tenant = Budget{rate, burst} },
		"messages": func(_ *Config, tn *Tenant) { tn.Quota.Messages = rate },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, tenant := plenty(), Tenant{}
				set(&cfg, &tenant)
				_, edges := cluster(t, nodes, cfg, tenant)
				passed := 0
				const took = 60 * time.Second
				for range took / (10 * time.Millisecond) {
					for _, e := range edges {
						passed += e.sends(10)
					}
					time.Sleep(10 * time.Millisecond)
				}
				least, most := rate*took.Seconds()*0.9, rate*(took.Seconds()+nodes*0.1)+nodes*2*rate // the tenant's burst is two seconds'
				if float64(passed) < least || float64(passed) > most {
					t.Errorf("%d events in %v, want between %.0f and %.0f", passed, took, least, most)
				}
			})
		})
	}
}

// TestPoolOfOneUserOnOneNode: who is on one node alone has the whole budget there.
func TestPoolOfOneUserOnOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plenty()
		cfg.User = Budget{100, 50}
		_, edges := cluster(t, 3, cfg, Tenant{})
		edges[0].sends(1)
		time.Sleep(time.Second) // the ledger has answered
		if n := edges[0].sends(1000); n != 50 {
			t.Errorf("%d at once, want 50", n)
		}
		time.Sleep(time.Second)
		if n := edges[1].sends(1000); n != 50 { // full again
			t.Errorf("%d at once elsewhere, want 50", n)
		}
	})
}

// TestPoolWithoutALedger: each node allows its part, and all together what they may.
func TestPoolWithoutALedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plenty()
		cfg.User = Budget{100, 50}
		l, edges := cluster(t, 5, cfg, Tenant{})
		l.leave(errors.New("away"))
		for range 20 { // so that all know, and what they have taken before is over
			for _, e := range edges {
				e.sends(1)
			}
			time.Sleep(time.Second)
		}
		passed := 0
		for range 1000 {
			for _, e := range edges {
				passed += e.sends(10)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if passed < 1000 || passed > 1000+50+5 {
			t.Errorf("%d in ten seconds, want 1000 and 50 at once", passed)
		}
		if edges[0].pool.Failed.Load() == 0 {
			t.Error("no failure was counted")
		}
		l.leave(nil)
		edges[0].sends(1)
		time.Sleep(10 * time.Second)
		if n := edges[0].sends(1000); n != 50 {
			t.Errorf("%d at once with the ledger, want 50", n)
		}
	})
}

// TestPoolTakesAtOnce: nothing that many take at the same time is lost.
func TestPoolTakesAtOnce(t *testing.T) {
	l := &ledger{ahead: map[string]time.Time{}}
	p := NewPool(PoolConfig{Every: time.Millisecond}, l, func() int { return 1 }, slog.New(slog.DiscardHandler))
	m := &member{every: time.Hour}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5000 {
				p.Took(m, &m.tally, 1)
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }() // ends with them
	for going := true; going; {
		select {
		case <-over:
			going = false
		default:
		}
		if err := p.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := time.Until(l.ahead["m"]).Round(time.Hour); got != 20000*time.Hour || len(p.taken) != 0 {
		t.Errorf("it is %v ahead, %d are left", got, len(p.taken))
	}
}

type member struct {
	every time.Duration
	tally Tally
}

func (*member) Budget() string         { return "m" }
func (m *member) Every() time.Duration { return m.every }
func (*member) Raise(time.Duration)    {}

// TestBudgetsOfTenantsHaveNames that do not run into each other.
func TestBudgetsOfTenantsHaveNames(t *testing.T) {
	s, names := New(plenty()), map[string]bool{}
	for _, of := range [][2]string{{"acme", "ann"}, {"acm", "eann"}, {"acme1", "ann"}, {"", "acmeann"}, {"1:acme", "ann"}} {
		tn := newTenant(s, of[0])
		for _, name := range []string{(&shared{user: userKey{tn, of[1]}}).Budget(), tn.all.Budget(), tn.messages.Budget()} {
			if names[name] {
				t.Errorf("%s is two budgets' name", name)
			}
			names[name] = true
		}
	}
	if len(names) != 15 {
		t.Error(fmt.Sprint(names))
	}
}
