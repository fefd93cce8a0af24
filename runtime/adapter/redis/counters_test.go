package redis

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/limit"
)

// settle takes from budgets, and expects how far they are ahead; less by what has passed.
func settle(t *testing.T, k *Counters, cost time.Duration, want map[string]time.Duration) {
	t.Helper()
	var all []limit.Taking
	for budget := range want {
		all = append(all, limit.Taking{Budget: budget, Cost: cost})
	}
	if err := k.Settle(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for _, got := range all {
		if most := want[got.Budget]; got.Ahead > most || got.Ahead < most-10*time.Second {
			t.Errorf("%s is %v ahead, want %v", got.Budget, got.Ahead, most)
		}
	}
}

func TestCounters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		a, b := NewCounters(reach(t, g)), NewCounters(reach(t, g))
		settle(t, a, time.Minute, map[string]time.Duration{"user:4:acmeann": time.Minute, "tenant:4:acme": time.Minute})
		settle(t, b, 2*time.Minute, map[string]time.Duration{"user:4:acmeann": 3 * time.Minute, "user:4:acmeben": 2 * time.Minute})
		settle(t, a, 0, map[string]time.Duration{"user:4:acmeann": 3 * time.Minute})
		settle(t, a, 0, nil)
	})
}

// TestCountersForget what is over.
func TestCountersForget(t *testing.T) {
	server := redistest.Start(t)
	k := NewCounters(connect(t, server))
	settle(t, k, 20*time.Millisecond, map[string]time.Duration{"x": 20 * time.Millisecond})
	redistest.Eventually(t, "it is gone", func() bool { return server.Do(t, "DBSIZE") == "0" })
	settle(t, k, time.Hour, map[string]time.Duration{"x": time.Hour})
	server.Kill()
	if err := k.Settle(t.Context(), []limit.Taking{{Budget: "x"}}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
