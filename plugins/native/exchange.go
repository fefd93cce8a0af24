package native

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// maxBatchBytes bounds one message; an item that is larger goes alone.
const maxBatchBytes = 1 << 20

// window is how many batches may be on their way, not answered.
const window = 4

var (
	errFull  = errors.New("too many items wait for the plugin")
	errEnded = errors.New("the node stops")
	errLarge = errors.New("the item is larger than the plugin's queue or messages")
	errGone  = errors.New("the program ended before it had answered")
)

// call is an item on its way.
type call[Q, A any] struct {
	item   Q
	size   int
	number uint64 // of the last time that it was sent
	tries  int
	sent   time.Time
	done   func(A, error) // nil: nobody waits any more
}

// flow is the stream of a kind, in our words.
type flow[Q, A any] interface {
	send(batch []*call[Q, A]) error
	recv() ([]answer[A], error)
	finish() error
}

type answer[A any] struct {
	number uint64
	value  A
}

// exchange is the lane of kinds that answer item by item.
type exchange[Q, A any] struct {
	*supervisor
	link  func(ctx context.Context, conn grpc.ClientConnInterface) (flow[Q, A], error)
	tries int           // how often an item is sent at most
	stall time.Duration // how long the program may owe answers and give none
	drop  bool          // a full queue drops its oldest, rather than refuse
	wake  chan struct{} // holds one

	mu       sync.Mutex
	flow     flow[Q, A]
	waiting  fifo[*call[Q, A]]
	asked    map[uint64]*call[Q, A] // sent and not answered
	bytes    int64                  // of both
	last     uint64                 // newest number
	progress time.Time              // of the last answer, or of the first item that became open
	busy     bool                   // with answers that have come
	alone    bool                   // what is asked may have ended the program: nothing is asked beside it
	ended    bool

	batch []*call[Q, A] // of pump alone
}

func newExchange[Q, A any](s *supervisor, stall time.Duration, link func(context.Context, grpc.ClientConnInterface) (flow[Q, A], error)) *exchange[Q, A] {
	return &exchange[Q, A]{supervisor: s, link: link, tries: 1, stall: stall, wake: make(chan struct{}, 1), asked: map[uint64]*call[Q, A]{}}
}

// put takes an item; done is called once, by another goroutine, unless put fails.
func (x *exchange[Q, A]) put(c *call[Q, A]) error {
	dropped, err := x.enter(c)
	for _, d := range dropped {
		x.stats.dropped.Add(1)
		var none A
		d.done(none, errFull)
	}
	if err == nil {
		x.signal()
	}
	return err
}

func (x *exchange[Q, A]) enter(c *call[Q, A]) (dropped []*call[Q, A], err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ended:
		return nil, errEnded
	case int64(c.size) > x.cfg.largest():
		x.stats.dropped.Add(1)
		return nil, errLarge
	}
	for x.waiting.len()+len(x.asked) >= x.cfg.Queue || x.bytes+int64(c.size) > int64(x.cfg.QueueBytes) {
		switch {
		case x.waiting.len() > 0 && (*x.waiting.first()).done == nil:
			x.bytes -= int64(x.waiting.pop().size)
		case x.waiting.len() > 0 && x.drop:
			d := x.waiting.pop()
			x.bytes -= int64(d.size)
			dropped = append(dropped, d)
		default:
			x.stats.dropped.Add(1)
			return dropped, errFull
		}
	}
	x.bytes += int64(c.size)
	x.waiting.push(c)
	return dropped, nil
}

// forget says that nobody waits for an item any more: done is not called, unless that
// has begun.
func (x *exchange[Q, A]) forget(c *call[Q, A]) {
	x.mu.Lock()
	c.done = nil
	x.mu.Unlock()
}

func (x *exchange[Q, A]) signal() {
	select {
	case x.wake <- struct{}{}:
	default: // pump looks at all there is
	}
}

func (x *exchange[Q, A]) woken() <-chan struct{} { return x.wake }

func (x *exchange[Q, A]) open(ctx context.Context, conn grpc.ClientConnInterface) error {
	f, err := x.link(ctx, conn)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.flow = f
	x.mu.Unlock()
	x.signal()
	return nil
}

func (x *exchange[Q, A]) pump() (bool, error) {
	if x.take(); len(x.batch) == 0 {
		return false, nil
	}
	x.stats.batches.Add(1)
	x.stats.sent.Add(uint64(len(x.batch)))
	return true, x.flow.send(x.batch)
}

// take makes a batch of what waits.
func (x *exchange[Q, A]) take() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.batch = x.batch[:0]
	now := x.now()
	if len(x.asked) == 0 {
		x.progress = now
	}
	for bytes := 0; len(x.batch) < x.cfg.Batch && len(x.asked) < window*x.cfg.Batch && !x.alone && x.waiting.len() > 0; {
		c := *x.waiting.first()
		if c.done == nil {
			x.bytes -= int64(x.waiting.pop().size)
			continue
		}
		x.alone = c.tries > 0 // only what was lost with the program: that is in front of all else
		if bytes += c.size; bytes > maxBatchBytes && len(x.batch) > 0 {
			return
		}
		x.last++
		c.number, c.sent = x.last, now
		c.tries++
		x.asked[c.number] = x.waiting.pop()
		x.batch = append(x.batch, c)
	}
}

func (x *exchange[Q, A]) receive() error {
	answers, err := x.flow.recv()
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.busy = true
	x.mu.Unlock()
	for _, a := range answers {
		if err := x.answered(a); err != nil {
			return err
		}
	}
	x.mu.Lock()
	x.busy, x.progress = false, x.now()
	x.mu.Unlock()
	x.signal()
	return nil
}

func (x *exchange[Q, A]) answered(a answer[A]) error {
	x.mu.Lock()
	c, asked := x.asked[a.number]
	if !asked {
		x.mu.Unlock()
		return fmt.Errorf("the program answers number %d, which is not open", a.number)
	}
	delete(x.asked, a.number)
	x.alone = x.alone && len(x.asked) > 0
	x.bytes -= int64(c.size)
	done := c.done
	x.mu.Unlock()
	x.stats.answered.Add(1)
	x.stats.latency.Observe(x.now().Sub(c.sent))
	if done != nil {
		done(a.value, nil)
	}
	return nil
}

func (x *exchange[Q, A]) finish() error { return x.flow.finish() }

// lost puts items that may be sent again in front of what waits, and gives the others
// up.
func (x *exchange[Q, A]) lost() {
	x.mu.Lock()
	x.busy, x.alone = false, false
	var again, failed []*call[Q, A]
	for _, n := range slices.Sorted(maps.Keys(x.asked)) {
		c := x.asked[n]
		if c.done != nil && c.tries < x.tries {
			again = append(again, c)
			continue
		}
		x.bytes -= int64(c.size)
		failed = append(failed, c)
	}
	clear(x.asked)
	x.waiting.back(again)
	x.mu.Unlock()
	x.giveUp(failed, errGone)
}

// giveUp tells those who still wait for the items.
func (x *exchange[Q, A]) giveUp(calls []*call[Q, A], why error) {
	for _, c := range calls {
		x.mu.Lock()
		done := c.done
		x.mu.Unlock()
		if done != nil {
			x.stats.failed.Add(1)
			var none A
			done(none, why)
		}
	}
}

func (x *exchange[Q, A]) empty() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.waiting.len()+len(x.asked) == 0
}

func (x *exchange[Q, A]) stalled(now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.asked) > 0 && !x.busy && now.Sub(x.progress) > x.stall
}

func (x *exchange[Q, A]) end() {
	x.mu.Lock()
	x.ended = true
	var left []*call[Q, A]
	for x.waiting.len() > 0 {
		left = append(left, x.waiting.pop())
	}
	x.bytes = 0
	x.mu.Unlock()
	x.giveUp(left, errEnded)
}

// depth fills in what waits.
func (x *exchange[Q, A]) depth(st *Stats) {
	x.mu.Lock()
	defer x.mu.Unlock()
	st.Waiting, st.Open, st.Bytes = x.waiting.len(), len(x.asked), x.bytes
}
