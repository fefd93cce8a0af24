package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config says where and how to connect.
type Config struct {
	Addr    string // the server's IPv4 address and port
	Loops   int    // threads that serve connections
	Dialing int    // handshakes under way at once, for each loop
	// PerSource is how many connections come from one address of the loopback
	// network; the next ones come from the address after it. A source has 28,000
	// ports unless the kernel is told otherwise. 0 leaves the choice to the kernel.
	PerSource int
}

// Engine is a set of loops that all connect to one server.
type Engine struct {
	Driver Driver
	Loops  []*Loop

	cfg      Config
	addr     netip.AddrPort
	dialed   atomic.Int64
	joined   atomic.Int64
	closed   atomic.Int64
	failures atomic.Int64
	lastJoin atomic.Int64
	first    atomic.Pointer[string]
}

// New makes the loops. Run serves them, and must be called.
func New(cfg Config, d Driver) (*Engine, error) {
	ap, err := netip.ParseAddrPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if !ap.Addr().Is4() || cfg.Loops < 1 || cfg.Dialing < 1 {
		return nil, errors.New("load: needs an IPv4 address, a loop and a handshake")
	}
	e := &Engine{Driver: d, cfg: cfg, addr: ap}
	for range cfg.Loops {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("load: epoll_create: %w", err)
		}
		e.Loops = append(e.Loops, &Loop{eng: e, ep: ep, buf: make([]byte, 256<<10)})
	}
	return e, nil
}

// Run serves all loops until the context ends, then resets all connections. It
// fails if the kernel fails it.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(e.Loops))
	for i, l := range e.Loops {
		wg.Go(func() { errs[i] = l.run(ctx) }) // ends with ctx
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Dial queues one connection to room on loop l.
func (e *Engine) Dial(l *Loop, room string) *Conn {
	c := &Conn{Room: room, Number: int(e.dialed.Add(1)) - 1, loop: l, fd: -1}
	l.Do(func() { l.pending = append(l.pending, c) })
	return c
}

// WaitJoined returns when n connections have joined, with the time of the last.
// The first failure ends it.
func (e *Engine) WaitJoined(ctx context.Context, n int, limit time.Duration) (int64, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); e.joined.Load() < int64(n); {
		if e.failures.Load() > 0 || time.Now().After(end) {
			return 0, fmt.Errorf("%d of %d joined: %s", e.joined.Load(), n, e.FirstFailure())
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
	return e.lastJoin.Load(), nil
}

// Window makes messages stamped in [since, until) count for latency, and
// forgets what was counted before.
func (e *Engine) Window(since, until int64) {
	for _, l := range e.Loops {
		l.Do(func() { l.since, l.until, l.latency = since, until, Hist{} })
	}
}

// Delivered is the number of messages received so far.
func (e *Engine) Delivered() (n int64) {
	for _, l := range e.Loops {
		l.Do(func() { n += l.delivered })
	}
	return n
}

// Latency is what the current window has counted.
func (e *Engine) Latency() *Hist { return e.merge(func(l *Loop) *Hist { return &l.latency }) }

// Connects is the time from dial to joined of every connection.
func (e *Engine) Connects() *Hist { return e.merge(func(l *Loop) *Hist { return &l.connects }) }

func (e *Engine) merge(of func(*Loop) *Hist) *Hist {
	sum := new(Hist)
	for _, l := range e.Loops {
		l.Do(func() { sum.Merge(of(l)) })
	}
	return sum
}

// Closed is the number of connections lost.
func (e *Engine) Closed() int64 { return e.closed.Load() }

// Failures is the number of all failures, lost connections among them.
func (e *Engine) Failures() int64 { return e.failures.Load() }

// FirstFailure describes the first failure, if there was one.
func (e *Engine) FirstFailure() string {
	if s := e.first.Load(); s != nil {
		return *s
	}
	return ""
}

func (e *Engine) fail(what string) {
	e.first.CompareAndSwap(nil, &what)
	e.failures.Add(1)
}
