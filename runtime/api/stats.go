package api

import (
	"maps"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// counter counts the requests of one route.
type counter struct {
	route string
	took  observe.Histogram

	mu       sync.Mutex
	byStatus map[int]uint64
}

func newCounter(route string) *counter { return &counter{route: route, byStatus: map[int]uint64{}} }

func (c *counter) add(status int, took time.Duration) {
	c.took.Observe(took)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byStatus[status]++
}

// Counts are the requests of one route by their answers.
type Counts struct {
	Route    string // method and path; "none" of what is no route
	ByStatus map[int]uint64
	Took     observe.Summary // from the request's head to its answer
}

// Stats reads the counters of all routes.
func (a *API) Stats() []Counts {
	out := make([]Counts, len(a.counts))
	for i, c := range a.counts {
		c.mu.Lock()
		out[i] = Counts{Route: c.route, ByStatus: maps.Clone(c.byStatus), Took: c.took.Summary()}
		c.mu.Unlock()
	}
	return out
}
