package host

import (
	"testing"
	"time"
)

// TestWrites: all of a tenant's plugins have one budget, which is not another tenant's; the
// operator may change it at any time.
func TestWrites(t *testing.T) {
	now := time.Unix(0, 0)
	policy := &Policy{Writes: 100, WritesOnce: 1000}
	h := New(Config{Lanes: 1}, Deps{Now: func() time.Time { return now }, Policy: func(tenant string) *Policy {
		if tenant == "gone" {
			return nil
		}
		return policy
	}})
	for i, step := range []struct {
		tenant string
		later  time.Duration
		bytes  int64
		want   bool
		change *Policy
	}{
		{"acme", 0, 1001, false, nil},
		{"acme", 0, 900, true, nil},
		{"acme", 0, 101, false, nil},
		{"acme", 0, 100, true, nil},
		{"globex", 0, 1000, true, nil},
		{"acme", time.Second, 101, false, nil},
		{"acme", 0, 100, true, nil},
		{"acme", 0, 1 << 40, true, &Policy{}}, // no bound
		{"acme", 0, 2000, true, &Policy{Writes: 200, WritesOnce: 2000}},
		{"acme", time.Second, 200, true, nil},
		{"acme", time.Second, 300, false, &Policy{Writes: 300, WritesOnce: 2000}},
		{"acme", time.Second, 300, true, nil},
		{"gone", 0, 1, false, nil},
	} {
		now = now.Add(step.later)
		if step.change != nil {
			policy = step.change
		}
		if got := h.Writes(step.tenant, step.bytes); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
