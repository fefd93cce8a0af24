package heddle

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// settled is how long a connection must have been active for the next failure
// to count as the first.
const settled = 5 * time.Second

// Client is one session with a node. All methods may be called from any
// goroutine, before and during Run.
type Client struct {
	opt    Options
	prefix string        // of request ids
	slots  chan struct{} // one for each request without an answer
	wake   chan struct{} // tells the writer that there is something to write
	events chan Event    // what waits for OnEvent
	herald *herald       // calls OnSession

	mu      sync.Mutex
	state   State
	run     bool               // Run was called
	cancel  context.CancelFunc // ends Run
	session *Session
	serial  uint64
	pending map[string]*request // by id
	queue   []*request          // of pending: to be written, in order
	streams map[string]*stream  // rooms joined, by name
	stats   Stats
}

// New makes a client; Run connects it.
func New(opt Options) (*Client, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	c := &Client{
		opt: opt, prefix: rand.Text()[:16] + "-", pending: map[string]*request{}, streams: map[string]*stream{},
		slots: make(chan struct{}, opt.MaxPending), wake: make(chan struct{}, 1), events: make(chan Event, opt.Queue), herald: newHerald(),
	}
	for _, room := range opt.Rooms {
		c.streams[room] = &stream{}
	}
	return c, nil
}

// Run connects, and reconnects, until ctx ends or Close has ended the session;
// then it returns nil. It returns an error if something must change before a
// connection can succeed: an *Error, or a *CloseError.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.run {
		c.mu.Unlock()
		return ErrRunning
	}
	c.run = true
	ctx, c.cancel = context.WithCancel(ctx)
	defer c.cancel()
	c.mu.Unlock()

	var told sync.WaitGroup
	told.Go(func() { // ends when events is closed below
		for ev := range c.events {
			c.herald.wait()
			c.opt.OnEvent(ev)
			c.markHandled(&ev)
		}
	})
	told.Go(func() { c.herald.run(c.opt.OnSession) }) // ends when the herald is stopped below
	err := c.connections(ctx)
	c.setState(Closed, err)
	c.failAll()
	close(c.events)
	c.herald.stop()
	told.Wait()
	return err
}

// connections is the loop over connections.
func (c *Client) connections(ctx context.Context) error {
	attempt, refused := 0, false
	for {
		c.setState(Connecting, nil)
		end := c.connection(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if end.active > 0 {
			refused = false
		}
		if end.active > settled || errors.Is(end.err, errDrained) {
			attempt = 0
		}
		switch end.next {
		case reopen:
			c.forget()
		case refresh:
			if c.opt.Token != "" || refused {
				return end.err
			}
			refused = true
		case stop:
			var closed *CloseError
			if errors.As(end.err, &closed) && closed.Code == 1000 {
				return nil
			}
			return end.err
		}
		delay := end.after + backoff(c.opt.BackoffMin, c.opt.BackoffMax, attempt)
		if errors.Is(end.err, errDrained) {
			delay = 0
		}
		attempt++
		c.lost(end.err)
		c.setState(Waiting, end.err)
		if !sleep(ctx, delay) {
			return nil
		}
	}
}

// backoff is a delay between 0 and the smaller of limit and base·1.5^attempt: no longer
// than half of the time that the server has been away, and base. Doubling would let it
// be twice that time.
func backoff(base, limit time.Duration, attempt int) time.Duration {
	d := float64(base)
	for i := 0; i < attempt && d < float64(limit); i++ {
		d *= 1.5
	}
	return mathrand.N(min(time.Duration(d), limit) + 1)
}

// jitter is a delay between 0 and the smaller of limit and base·2^attempt.
func jitter(base, limit time.Duration, attempt int) time.Duration {
	d := limit
	if attempt < 30 && base<<attempt < limit && base<<attempt > 0 {
		d = base << attempt
	}
	return mathrand.N(d + 1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// forget drops the session, so that the next connection opens a new one.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = nil
}

func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
