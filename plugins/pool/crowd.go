package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is where the guests of those tenants run that have lately used more of the
// processors than their part: all of them together on as many goroutines as one tenant
// has, and in turn. The others' guests are not concerned.
//
// So it makes no difference how many tenants misbehave. Without it each may have half of
// the processors, and two have all. With it, of n tenants,
//
//   - those in the crowd have half of the processors together,
//   - those outside have a quarter together: each has 1/n of that, and a second's of it
//     at once. A tenant that uses more is in the crowd, and stays there until what it
//     has used is forgiven, which is at the same pace,
//   - a quarter is nobody's guests', and what a well-behaved tenant finds beside them is
//     what it finds beside one tenant that spins. BenchmarkSpinners measures that.
//
// Counted is what guests use in calls, and for these: to be started, to initialise
// themselves, to be told their seeds, to be reset; and what the node does behind a call, by
// the clock: it reads what the guest has said, looks whether that can be done, and writes to
// the store. All of that is done in the crowd, but for writes that wait for a call of the
// same plugin that runs alone: that one may wait for its turn there. Not counted, and not of
// the crowd, are guests that tidy up, which one goroutine has them do, and those that a
// deploy starts and runs fixtures on, for bounded times: as many deploys are under way as
// there are processors, two at least and one of a tenant.
//
// A tenant is known for what it is when a call of its own is over, and that ends at its
// deadline: a tenant that begins to spin has each of its lanes for that long, and for the
// next call's instance to be told its seed or to initialise itself (which is no longer than
// a call, see guest.Program), once, and pays for it afterwards. Until then Go's scheduler
// gives each that waits its 10 ms.
//
// Events that wait in the crowd wait where they harm nobody else: each tenant has its own
// lanes and Slots, which a leader takes first, so that it has no more than those in the
// line; and workers that wait for plugins do not count as such (runtime/pipeline).
//
// A call of a tenant outside that says nothing costs an atomic addition and two loads; the
// clock is looked at behind others, and when so much was used that it matters.
type Crowd struct {
	Waited  atomic.Uint64 // calls that waited for their turn
	Tenants atomic.Int64  // that have plugins: set by whoever keeps these

	slots Slots
	pace  time.Duration // what those outside may use together in a second
	now   func() time.Time
}

// NewCrowd is one of so many goroutines, on so many processors.
func NewCrowd(goroutines, processors int, now func() time.Time) *Crowd {
	return &Crowd{slots: make(Slots, goroutines), pace: time.Duration(processors) * time.Second / 4, now: now}
}

// Share is what a tenant uses of the processors. nil counts nothing.
type Share struct {
	crowd *Crowd
	used  atomic.Int64 // nanoseconds that are not forgiven
	look  atomic.Int64 // when so many are used the clock is looked at
	heavy atomic.Bool  // it is in the crowd

	mu sync.Mutex
	at time.Time // up to which is forgiven
}

// Bounds of what is used.
const (
	leastBurst = 50 * time.Millisecond // however many tenants there are: a call may last that long
	forgiven   = time.Minute           // however much was used
	step       = time.Millisecond      // used by one in the crowd before the clock is looked at
)

// Share is a tenant's.
func (c *Crowd) Share() *Share {
	s := &Share{crowd: c, at: c.now()}
	s.look.Store(int64(leastBurst))
	return s
}

// charge counts what a guest has used.
func (s *Share) charge(d time.Duration) {
	if s != nil && s.used.Add(int64(d)) >= s.look.Load() {
		s.weigh()
	}
}

// weigh forgives what time has gone by for, and decides where the tenant's guests run.
func (s *Share) weigh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.crowd.now()
	second := s.crowd.pace / time.Duration(max(1, s.crowd.Tenants.Load()))
	burst := max(leastBurst, second)
	passed := min(forgiven, max(0, now.Sub(s.at)))
	s.at = now
	used := time.Duration(s.used.Load())
	less := min(used, time.Duration(passed.Seconds()*float64(second)))
	less = max(less, used-burst-time.Duration(forgiven.Seconds()*float64(second)))
	used = time.Duration(s.used.Add(-int64(less)))
	s.heavy.Store(used > burst)
	if used > burst {
		burst = used + step
	}
	s.look.Store(int64(burst))
}

// Heavy reports whether the tenant's guests run in the crowd.
func (s *Share) Heavy() bool {
	if s == nil || !s.heavy.Load() {
		return false
	}
	s.weigh()
	return s.heavy.Load()
}

// enter has a guest run for jobs: at once, or in its turn. The error says that the time of
// one of them was over before that; crowded, that leave is to be called.
func (s *Share) enter(jobs []*Job) (crowded bool, err error) {
	if s == nil || !s.heavy.Load() {
		return false, nil
	}
	select {
	case s.crowd.slots <- struct{}{}:
		return true, nil
	default:
	}
	if !s.Heavy() {
		return false, nil
	}
	s.crowd.Waited.Add(1)
	select {
	case s.crowd.slots <- struct{}{}:
		return true, nil
	case <-jobs[0].ctx.Done():
	case <-soonest(jobs).Done():
	}
	return false, errLate
}

// soonest is the context of the job whose time is over first. Who leads may have all the
// time there is.
func soonest(jobs []*Job) context.Context {
	first := jobs[0].ctx
	for _, j := range jobs[1:] {
		end, bound := j.ctx.Deadline()
		if least, found := first.Deadline(); bound && (!found || end.Before(least)) {
			first = j.ctx
		}
	}
	return first
}

func (s *Share) leave() { <-s.crowd.slots }

// slowest is how long one unit of fuel takes at most.
const slowest = 50 * time.Nanosecond

// cost is what a guest has used by its time and fuel. Of the time some is not its own:
// when there is more to do than processors, who did little would be charged for what
// others did.
func cost(took time.Duration, fuel int64) time.Duration {
	return min(took, time.Duration(fuel)*slowest)
}
