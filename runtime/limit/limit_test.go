package limit

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestBucket(t *testing.T) {
	var b bucket
	p := paceOf(10, 5)
	now := int64(time.Hour)
	for i := range 5 {
		if wait := b.take(now, p); wait != 0 {
			t.Fatalf("event %d of a burst of 5 has to wait %v", i, wait)
		}
	}
	if wait := b.take(now, p); wait != 100*time.Millisecond {
		t.Errorf("the sixth waits %v, want 100ms", wait)
	}
	now += int64(100 * time.Millisecond)
	if wait := b.take(now, p); wait != 0 {
		t.Errorf("after that time it waits %v more", wait)
	}
	now += int64(time.Hour)
	for i := range 6 {
		if wait := b.take(now, p); (wait == 0) != (i < 5) {
			t.Errorf("an hour later event %d waits %v", i, wait)
		}
	}
}

func TestPaces(t *testing.T) {
	for name, c := range map[string]struct {
		rate, burst float64
		slow        float64
		events      int // at once
		wait        time.Duration
	}{
		"no limit":                 {0, 5, 0, math.MaxInt, 0},
		"a burst of its own":       {10, 3, 0, 3, 100 * time.Millisecond},
		"the burst of a second":    {4, 0, 0, 4, 250 * time.Millisecond},
		"less than one a second":   {0.5, 0, 0, 1, 2 * time.Second},
		"a burst with a fraction":  {10, 2.9, 0, 2, 100 * time.Millisecond},
		"the fastest":              {1e6, 3, 0, 3, time.Microsecond},
		"slowed to a tenth":        {10, 50, 0.1, 5, time.Second},
		"slowed below one":         {10, 2, 0.1, 1, time.Second},
		"the slowest, and slowed":  {0.01, 1e6, 0.001, 1000, 100 * 1000 * time.Second},
		"larger than what we keep": {1e-9, 1e6, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := paceOf(c.rate, c.burst)
			if c.slow != 0 {
				p = p.slowed(c.slow)
			}
			if c.events == math.MaxInt {
				if p != (pace{}) {
					t.Error(p)
				}
				return
			}
			var b bucket
			for i := range c.events {
				if wait := b.take(1e9, p); wait != 0 {
					t.Fatalf("event %d waits %v", i, wait)
				}
			}
			if wait := b.take(1e9, p); wait <= 0 || c.wait != 0 && wait != c.wait {
				t.Errorf("the next waits %v, want %v", wait, c.wait)
			}
		})
	}
}

// TestSharedAgreesWithBucket: without a race both are the same, and whatever
// comes, no more passes than rate and burst allow.
func TestSharedAgreesWithBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := paceOf(float64(rapid.IntRange(1, 1000).Draw(t, "rate")), float64(rapid.IntRange(0, 20).Draw(t, "burst")))
		var one bucket
		var many shared
		now, start, passed := int64(1e9), int64(1e9), int64(0)
		for range 200 {
			now += rapid.Int64Range(0, 1e7).Draw(t, "later")
			a := one.take(now, p)
			b, ok := take(&many.ahead, now, p)
			if a != b || !ok {
				t.Fatalf("bucket waits %v, shared %v", a, b)
			}
			if a == 0 {
				passed++
			}
			if passed > p.room/p.every+(now-start)/p.every+1 {
				t.Fatalf("%d passed in %v", passed, time.Duration(now-start))
			}
		}
	})
}

func TestAFloodIsRefusedThenClosed(t *testing.T) {
	s := New(Config{MessageRate: 1, MessageBurst: 2, ControlRate: 1, ControlBurst: 1, QueryRate: 1, QueryBurst: 1, CloseAfter: 10})
	h := connect("acme", "ann", "192.0.2.1")
	for range 2 {
		if err := does(s, h, sends(), 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		f := fault.Of(does(s, h, sends(), 0))
		if f.Kind != fault.RateLimited || f.After < time.Second || f.After > 1100*time.Millisecond || f.Msg != "more message events than allowed on one connection" {
			t.Fatalf("event %d over the budget: %v", i, f)
		}
		if (len(h.closed) == 1) != (i == 9) {
			t.Fatalf("after %d refused events it is closed %v", i+1, h.closed)
		}
	}
	if err := does(s, h, pings(), 0); err != nil {
		t.Error("one class ran on the other's account")
	}
}

// TestSharedBudgets: which connections draw on which budget, and what a client
// reads.
func TestSharedBudgets(t *testing.T) {
	two := Budget{Rate: 1, Burst: 2}
	first := func() *holder { return connect("acme", "ann", "192.0.2.1") }
	for name, c := range map[string]struct {
		set   func(*Config, *Quota)
		other *holder // who shares the budget
		apart *holder // who does not
		want  string
	}{
		"user":     {func(c *Config, _ *Quota) { c.User = two }, connect("acme", "ann", "192.0.2.2"), connect("globex", "ann", "192.0.2.1"), "more events than allowed for one user"},
		"address":  {func(c *Config, _ *Quota) { c.IP = two }, connect("acme", "bob", "192.0.2.1"), connect("acme", "ann", "192.0.2.2"), "more events than allowed from one address"},
		"tenant":   {func(c *Config, _ *Quota) { c.Tenant = two }, connect("acme", "bob", "192.0.2.2"), connect("globex", "ann", "192.0.2.1"), "more events than the tenant may have"},
		"action":   {func(c *Config, _ *Quota) { c.Actions = map[string]Budget{"message:send": two} }, connect("acme", "ann", "192.0.2.2"), connect("acme", "bob", "192.0.2.1"), "more message:send than allowed for one user"},
		"messages": {func(_ *Config, q *Quota) { q.Messages = 1 }, connect("acme", "bob", "192.0.2.2"), connect("globex", "ann", "192.0.2.1"), "more message events than the tenant may have"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, quota := plenty(), Quota{}
			c.set(&cfg, &quota)
			s := New(cfg)
			if err := s.Reload(cfg, map[string]Tenant{"acme": {Quota: quota}, "globex": {}}); err != nil {
				t.Fatal(err)
			}
			h := first()
			for _, who := range []*holder{h, c.other} {
				if err := does(s, who, sends(), 0); err != nil {
					t.Fatal(err)
				}
			}
			for _, who := range []*holder{h, c.other} {
				f := fault.Of(does(s, who, sends(), 0))
				if f.Kind != fault.RateLimited || f.Msg != c.want || f.After < time.Second || f.After > 1100*time.Millisecond {
					t.Errorf("%v", f)
				}
			}
			if err := does(s, c.apart, sends(), 0); err != nil {
				t.Errorf("another pays: %v", err)
			}
			if err := does(s, h, sends(), 1001*time.Millisecond); err != nil {
				t.Errorf("a second later: %v", err)
			}
			if s.Stats().Refused[name] != 2 {
				t.Errorf("%+v", s.Stats())
			}
		})
	}
}

// TestTheServerIsNoUser: what is everybody's who is a user is not the server's, but
// the tenant's budgets hold for it too.
func TestTheServerIsNoUser(t *testing.T) {
	one := Budget{Rate: 1, Burst: 1}
	for name, c := range map[string]struct {
		set   func(*Config, *Quota)
		holds bool
	}{
		"user":     {func(c *Config, _ *Quota) { c.User = one }, false},
		"action":   {func(c *Config, _ *Quota) { c.Actions = map[string]Budget{"message:send": one} }, false},
		"address":  {func(c *Config, _ *Quota) { c.IP = one }, false},
		"tenant":   {func(c *Config, _ *Quota) { c.Tenant = Budget{Rate: 1, Burst: 2} }, true},
		"messages": {func(_ *Config, q *Quota) { q.Messages = 1 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, quota := plenty(), Quota{}
			c.set(&cfg, &quota)
			s := New(cfg)
			if err := s.Reload(cfg, map[string]Tenant{"acme": {Quota: quota}}); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				ev := &event.Event{Origin: &server{id: &event.Identity{Tenant: "acme"}}, Spec: sends(), Received: int64(time.Hour), Envelope: event.Envelope{Tenant: "acme"}}
				if _, err := s.Process(t.Context(), ev); fault.Is(err, fault.RateLimited) != (c.holds && i == 2) {
					t.Errorf("event %d: %v", i, err)
				}
			}
			if err := does(s, connect("acme", "ann", "192.0.2.1"), sends(), 0); c.holds == (err == nil) {
				t.Errorf("a user of the tenant: %v", err)
			}
		})
	}
}

// TestNarrowBudgetsFirst: what is over a user's budget does not cost its tenant.
func TestNarrowBudgetsFirst(t *testing.T) {
	cfg := plenty()
	cfg.User, cfg.Tenant, cfg.CloseAfter = Budget{Rate: 1, Burst: 1}, Budget{Rate: 1, Burst: 3}, 5
	s := New(cfg)
	ann := connect("acme", "ann", "192.0.2.1")
	for range 100 {
		_ = does(s, ann, sends(), 0)
	}
	for _, user := range []string{"bob", "cid"} {
		if err := does(s, connect("acme", user, "192.0.2.1"), sends(), 0); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if len(ann.closed) != 1 {
		t.Error("a flood over the user's budget does not close")
	}
	// What is over the tenant's is nobody's own doing.
	cfg.User = Budget{}
	s = New(cfg)
	dan := connect("acme", "dan", "192.0.2.1")
	for i := range 20 {
		if err := does(s, dan, sends(), 0); (err == nil) != (i < 3) {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if len(dan.closed) != 0 {
		t.Error("closed for the tenant's budget")
	}
}

func TestActionsOfOneUserApart(t *testing.T) {
	cfg := plenty()
	cfg.Actions = map[string]Budget{"typing:start": {Rate: 1, Burst: 1}, "message:send": {Rate: 1, Burst: 2}, "room:create": {}}
	s := New(cfg)
	h := connect("acme", "ann", "192.0.2.1")
	want := []struct {
		a  *event.Action
		ok bool
	}{{types(), true}, {types(), false}, {sends(), true}, {sends(), true}, {sends(), false}, {pings(), true}}
	for i, w := range want {
		if err := does(s, h, w.a, 0); (err == nil) != w.ok {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

func TestIPv6NetworksShare(t *testing.T) {
	cfg := plenty()
	cfg.IP = Budget{Rate: 1, Burst: 1}
	s := New(cfg)
	if err := does(s, connect("acme", "ann", "2001:db8::1"), sends(), 0); err != nil {
		t.Fatal(err)
	}
	if err := does(s, connect("acme", "bob", "2001:db8::ffff"), sends(), 0); err == nil {
		t.Error("two addresses of one network have two budgets")
	}
	if err := does(s, connect("acme", "bob", "2001:db8:0:1::1"), sends(), 0); err != nil {
		t.Error(err)
	}
	if err := does(s, connect("acme", "cid", "::ffff:192.0.2.9"), sends(), 0); err != nil {
		t.Error(err)
	}
	if err := does(s, connect("acme", "cid", "192.0.2.9"), sends(), 0); err == nil {
		t.Error("IPv4 in IPv6 is another address")
	}
	if err := does(s, &holder{id: &event.Identity{Tenant: "acme", User: "x"}}, sends(), 0); err != nil {
		t.Errorf("no address: %v", err)
	}
}

func TestReloadOfBudgets(t *testing.T) {
	cfg := plenty()
	s := New(cfg)
	three, rate := Budget{Rate: 1, Burst: 3}, 1.0
	tenants := map[string]Tenant{"acme": {Limit: Override{User: &three, Actions: map[string]Budget{"typing:start": {Rate: 1, Burst: 1}}}}, "globex": {}}
	if err := s.Reload(cfg, tenants); err != nil {
		t.Fatal(err)
	}
	ann, bob := connect("acme", "ann", "192.0.2.1"), connect("globex", "bob", "192.0.2.1")
	count := func(h *holder, a *event.Action, at time.Duration) (n int) {
		for n < 10 && does(s, h, a, at) == nil {
			n++
		}
		return n
	}
	if n, m := count(ann, sends(), 0), count(bob, sends(), 0); n != 3 || m != 10 {
		t.Errorf("acme %d, globex %d", n, m)
	}
	tenants["globex"] = Tenant{Limit: Override{MessageRate: &rate, MessageBurst: &three.Burst}}
	tenants["acme"] = Tenant{}
	if err := s.Reload(cfg, tenants); err != nil {
		t.Fatal(err)
	}
	if n, m := count(ann, sends(), time.Minute), count(bob, sends(), time.Minute); n != 10 || m != 3 {
		t.Errorf("after a reload: acme %d, globex %d", n, m)
	}
	if err := s.Reload(cfg, map[string]Tenant{}); err != nil {
		t.Fatal(err)
	}
	if n := count(bob, sends(), 2*time.Minute); n != 10 {
		t.Errorf("a tenant that is gone has %d", n)
	}

	for name, c := range map[string]struct {
		change func(*Config, *Tenant)
		want   string
	}{
		"a negative rate": {func(c *Config, _ *Tenant) { c.User.Rate = -1 }, "limit.user: a negative"},
		"not a number":    {func(c *Config, _ *Tenant) { c.IP.Burst = math.NaN() }, "limit.ip: a negative"},
		"no rate":         {func(c *Config, _ *Tenant) { c.MessageRate = 0 }, "limit.message_rate: want"},
		"no action":       {func(_ *Config, t *Tenant) { t.Limit.Actions = map[string]Budget{"typing": {}} }, "tenants.acme.limit.actions.typing: want the name"},
		"a quota":         {func(_ *Config, t *Tenant) { t.Quota.Rooms = -1 }, "tenants.acme.quota: a negative"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, tenant := cfg, Tenant{Limit: Override{User: &Budget{Rate: 1, Burst: 1}}}
			c.change(&bad, &tenant)
			if err := s.Reload(bad, map[string]Tenant{"acme": tenant}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if n := count(connect("acme", "x", "192.0.2.1"), sends(), 0); n != 10 {
				t.Error("a faulty reload changed something")
			}
		})
	}
}

// TestForgottenBuckets: a bucket that is forgotten while a connection holds it is
// found again, and nobody gets a second budget by it.
func TestForgottenBuckets(t *testing.T) {
	cfg := plenty()
	cfg.User, cfg.Entries = Budget{Rate: 1, Burst: 2}, shards // one a shard
	s := New(cfg)
	ann := connect("acme", "ann", "192.0.2.1")
	if err := does(s, ann, sends(), 0); err != nil {
		t.Fatal(err)
	}
	old := ann.account.user
	for i := range 2000 {
		if err := does(s, connect("acme", fmt.Sprint("u", i), "192.0.2.1"), sends(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Users; n > shards {
		t.Errorf("%d users are remembered", n)
	}
	if old.ahead.Load() != forgotten {
		t.Fatal("ann was not forgotten")
	}
	other := connect("acme", "ann", "192.0.2.2")
	for i, h := range []*holder{ann, other, ann, other} {
		if err := does(s, h, sends(), time.Hour+time.Millisecond); (err == nil) != (i < 2) {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

// TestIdleBucketsMakeRoom: without a flood of names the table does not grow to its
// bound.
func TestIdleBucketsMakeRoom(t *testing.T) {
	tab := newTable(func(netip.Addr) *shared { return &shared{} })
	tab.bound(1 << 20)
	for i := range 20000 {
		now := int64(i) * int64(100*time.Millisecond)
		b := tab.of(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
		take(&b.ahead, now, paceOf(1, 1))
	}
	if n := tab.len(); n > 2000 { // 600 came in the last minute
		t.Errorf("%d entries", n)
	}
	tab.bound(shards) // lowered by a reload
	for i := range 1000 {
		tab.of(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 0)
	}
	if n := tab.len(); n > shards {
		t.Errorf("%d entries after the bound was lowered", n)
	}
}

// TestAtOnce: many connections of one user, with forgetting and reloads going on,
// get no more than the user may have.
func TestAtOnce(t *testing.T) {
	cfg := plenty()
	cfg.User, cfg.Entries = Budget{Rate: 0.01, Burst: 100}, 1<<16
	cfg.Tenant, cfg.IP = Budget{Rate: 0.01, Burst: 1e6}, Budget{Rate: 0.01, Burst: 1e6}
	cfg.Actions = map[string]Budget{"typing:start": {Rate: 1, Burst: 5}}
	s := New(cfg)
	s.Suspects = NewSuspects(ScoreConfig{HalfLife: time.Minute, Flood: 1}, SuspectsDeps{})
	if err := s.Reload(cfg, map[string]Tenant{"acme": {}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for g := range 8 {
		wg.Go(func() {
			h := connect("acme", "ann", fmt.Sprintf("192.0.2.%d", g+1))
			n := 0
			for i := range 200 {
				if does(s, h, sends(), 0) == nil {
					n++
				}
				_ = does(s, h, types(), 0)
				_ = does(s, connect("acme", fmt.Sprint("u", g, i), "192.0.2.99"), sends(), 0)
			}
			mu.Lock()
			passed += n
			mu.Unlock()
		})
	}
	for range 50 {
		if err := s.Reload(cfg, map[string]Tenant{"acme": {}}); err != nil {
			t.Error(err)
		}
		s.Stats()
	}
	wg.Wait()
	if passed > 100 || passed < 50 { // typing draws on it too
		t.Errorf("%d passed", passed)
	}
}

func TestErrorsAreFaults(t *testing.T) {
	cfg := plenty()
	cfg.User = Budget{Rate: 1, Burst: 1}
	s, h := New(cfg), connect("acme", "ann", "192.0.2.1")
	_ = does(s, h, sends(), 0)
	var f *fault.Error
	if err := does(s, h, sends(), 0); !errors.As(err, &f) || f.Kind.Code() != "rate_limited" || !f.Kind.Retryable() {
		t.Error(err)
	}
}
