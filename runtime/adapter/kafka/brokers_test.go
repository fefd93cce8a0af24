//go:build unix

package kafka

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka/kafkatest"
	"github.com/heddle-rt/heddle/runtime/sequence/logtest"
)

// TestBroker is what must hold of any brokers, with a real one.
func TestBroker(t *testing.T) {
	c := kafkatest.Brokers(t, 1)
	suites(t, func(*testing.T) listeners { return c })
}

// brokerSession is how long brokers wait for one that does not answer, and some more.
const brokerSession = 5 * time.Second

// TestBrokers: what was acknowledged is there, once and in its place, whatever happens to
// three real brokers. HEDDLE_KAFKA_FAULTS is how many things happen, 12 by default.
func TestBrokers(t *testing.T) {
	c := kafkatest.Brokers(t, 3)
	s := begin(t, c)
	s.progress(1)
	faults := s.withBrokers(c)
	var names []string
	n := 12
	if v, err := strconv.Atoi(os.Getenv("HEDDLE_KAFKA_FAULTS")); err == nil {
		n = v
	}
	for len(names) < n {
		for name := range faults {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the seed alone decides
	s.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:n] {
		begun := time.Now()
		faults[name]()
		happened := time.Since(begun)
		s.progress(1)
		t.Logf("%s: %v, and all went on after %v", name, happened.Round(time.Millisecond), (time.Since(begun) - happened).Round(time.Millisecond))
	}
	s.check()
}

// withBrokers are what can happen to real ones, by name.
func (s *storm) withBrokers(c *kafkatest.Cluster) map[string]func() {
	leader := func() int {
		return max(0, c.Leader(s.t, s.log.cfg.Topic, int32(s.rng.IntN(logtest.Partitions))))
	}
	return map[string]func(){
		"another": s.another,
		"leader killed": func() {
			i := leader()
			c.Kill(i)
			s.progress(1)
			c.Start(s.t, i)
		},
		"leader paused": func() {
			i := leader()
			c.Pause(i)
			pause(s.t.Context(), brokerSession)
			s.progress(1)
			c.Resume(i)
		},
		"paused for a moment": func() {
			i := leader()
			c.Pause(i)
			pause(s.t.Context(), time.Duration(s.rng.IntN(3000))*time.Millisecond)
			c.Resume(i)
		},
		"two away": func() {
			i := s.rng.IntN(3)
			c.Kill(i)
			c.Kill((i + 1) % 3)
			pause(s.t.Context(), brokerSession)
			c.Start(s.t, i, (i+1)%3)
		},
		"rolling restart": func() {
			for i := range 3 {
				c.Stop(i)
				c.Start(s.t, i)
			}
		},
		"all killed": func() {
			for i := range 3 {
				c.Kill(i)
			}
			c.Start(s.t, 0, 1, 2)
		},
	}
}
