package native

import (
	"sync"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// State is what a plugin's supervisor is doing.
type State uint8

// The states. They are the values of a metric's label.
const (
	Stopped  State = iota // before Run, and after
	Starting              // the program is started, and not ready yet
	Ready
	Backoff // the program has failed; the supervisor waits
)

var states = [...]string{"stopped", "starting", "ready", "backoff"}

func (s State) String() string { return states[s] }

// Stats is what a plugin has done since New, and what waits.
type Stats struct {
	Name, Kind string
	State      State
	Restarts   uint64 // starts after the first
	Failure    string // why the program has last failed, "" if it never has
	Waiting    int    // items that are not sent yet
	Open       int    // items that are sent and not answered
	Bytes      int64  // of both
	Batches    uint64
	Sent       uint64 // items, some more than once
	Answered   uint64
	Dropped    uint64 // items refused or given up because too many waited or because they were too large; of a sink also because the node stopped
	Failed     uint64 // items given up because the program failed with them, did not answer in time or answered what it may not
	LinesLost  uint64 // lines of the program's output that were not logged
	Latency    observe.Summary
}

type counters struct {
	restarts, batches, sent, answered, dropped, failed, lines atomic.Uint64
	latency                                                   observe.Histogram // of an item, from its message to the answer

	mu      sync.Mutex
	state   State
	failure string
}

func (c *counters) set(s State) {
	c.mu.Lock()
	c.state = s
	c.mu.Unlock()
}

func (c *counters) fail(why string) {
	c.mu.Lock()
	c.failure = why
	c.mu.Unlock()
}

// read fills in what is counted.
func (c *counters) read(st *Stats) {
	c.mu.Lock()
	st.State, st.Failure = c.state, c.failure
	c.mu.Unlock()
	st.Restarts, st.Batches, st.Sent, st.Answered = c.restarts.Load(), c.batches.Load(), c.sent.Load(), c.answered.Load()
	st.Dropped, st.Failed, st.LinesLost, st.Latency = c.dropped.Load(), c.failed.Load(), c.lines.Load(), c.latency.Summary()
}
