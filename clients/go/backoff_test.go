package heddle

import (
	"testing"
	"time"
)

// TestBackoff: whenever the server comes back, the client does soon after.
func TestBackoff(t *testing.T) {
	const base, limit = 500 * time.Millisecond, 10 * time.Second
	away := time.Duration(0) // if every delay were as long as it may be
	for attempt := range 100 {
		most := min(limit, base+away/2)
		longest := time.Duration(0)
		for range 200 {
			d := backoff(base, limit, attempt)
			if d < 0 || d > most+time.Microsecond {
				t.Fatalf("attempt %d: %v behind a server that was away for %v", attempt, d, away)
			}
			longest = max(longest, d)
		}
		if longest < most/2 {
			t.Errorf("attempt %d: 200 delays, none over %v: clients come back in step", attempt, longest)
		}
		away += most
	}
}
