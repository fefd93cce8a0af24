package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"
)

// played is what a scenario leaves for the report besides the counters.
type played struct {
	seconds, resumed float64
	sent, delivered  uint64 // in the measured part
	memory           *Memory
}

var errNobody = errors.New("loadtest: no connection could join its room")

// play runs the scenario. Connections live as long as life.
func (t *test) play(ctx, life context.Context) (p played, err error) {
	var before map[string]float64
	if t.opt.MetricsURL != "" {
		if before, err = scrape(ctx, t.opt.MetricsURL); err != nil {
			return p, fmt.Errorf("loadtest: metrics: %w", err)
		}
	}
	if err := t.gather(ctx, life); err != nil {
		return p, err
	}
	sent, delivered, from := t.sent.Load(), t.delivered.Load(), time.Now()
	switch t.opt.Scenario {
	case Idle:
		pause(ctx, t.opt.Duration)
	case Fanout:
		t.fanout(ctx)
	case Chat:
		t.chat(ctx)
	case Storm:
		if t.opt.Resume {
			p.resumed = t.dropAll(ctx)
		}
	}
	p.seconds = time.Since(from).Seconds()
	p.sent, p.delivered = t.sent.Load()-sent, t.delivered.Load()-delivered
	if before != nil {
		held, err := scrape(ctx, t.opt.MetricsURL)
		if err != nil {
			return p, fmt.Errorf("loadtest: metrics: %w", err)
		}
		p.memory = memoryOf(before, held, int(t.joined.Load()))
	}
	return p, nil
}

// gather connects the rooms' owners, who create them, and then everybody else.
func (t *test) gather(ctx, life context.Context) error {
	deadline, cancel := context.WithTimeout(ctx, t.opt.Patience)
	defer cancel()
	for _, part := range [][]*member{t.members[:t.opt.Rooms], t.members[t.opt.Rooms:]} {
		before := t.joined.Load()
		for _, m := range part {
			t.wg.Go(func() { m.run(life) }) // ends when life does
		}
		t.await(deadline, func() bool { return t.joined.Load()-before+t.given(part) >= uint64(len(part)) })
	}
	if t.joined.Load() == 0 {
		return fmt.Errorf("%w: %v", errNobody, t.errorsSoFar())
	}
	return nil
}

// given is how many of the members were refused before they had joined.
func (t *test) given(part []*member) (n uint64) {
	for _, m := range part {
		m.mu.Lock()
		if m.over && !m.known {
			n++
		}
		m.mu.Unlock()
	}
	return n
}

func (t *test) await(ctx context.Context, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// fanout lets the first member keep its window full. Answers refill it; the
// ticks make up for those that never come.
func (t *test) fanout(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.opt.Duration)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	t.filling.Store(true)
	defer t.filling.Store(false)
	for {
		t.fill(t.members[0])
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// answered follows an ack.
func (t *test) answered(m *member) {
	if t.filling.Load() && m.id == 0 {
		t.fill(m)
	}
}

func (t *test) fill(m *member) {
	m.mu.Lock()
	free := t.opt.Window - len(m.pending)
	m.mu.Unlock()
	for range free {
		m.send(t.now())
	}
}

// chat sends at the fixed rate from a few goroutines, each with its share of the
// members, so that each member has one sender.
func (t *test) chat(ctx context.Context) {
	n := min(runtime.GOMAXPROCS(0), 8, t.opt.Conns, t.opt.Rate)
	var senders sync.WaitGroup
	for i := range n {
		share := (t.opt.Rate + i) / n // adds up to the rate
		senders.Go(func() { t.pace(ctx, i, n, share) })
	}
	senders.Wait()
}

// pace sends rate messages a second from every n-th member in turn, for the
// test's duration. A message carries the time at which it was due, so a sender
// that falls behind shows as latency.
func (t *test) pace(ctx context.Context, first, n, rate int) {
	turn, start := first, t.now()
	every := float64(time.Second) / float64(rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := 0; ; k++ {
		offset := time.Duration(float64(k) * every)
		if offset >= t.opt.Duration || ctx.Err() != nil {
			return
		}
		due := start + offset
		if wait := due - t.now(); wait > 500*time.Microsecond {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		t.members[turn].send(due)
		if turn += n; turn >= len(t.members) {
			turn = first
		}
	}
}

// missedWhileAway is how many durable messages each room gets while its members
// are away.
const missedWhileAway = 3

// dropAll cuts all connections but the owners', lets those send while the others
// are away, and returns the seconds until all had caught up, or gave up.
func (t *test) dropAll(ctx context.Context) float64 {
	began := time.Now()
	for _, m := range t.members[t.opt.Rooms:] {
		m.mu.Lock()
		ws := m.ws
		if ws != nil {
			m.step = opening
			t.reconnects.Add(1)
		}
		m.mu.Unlock()
		if ws == nil {
			continue
		}
		if tcp, ok := ws.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as of a network that went away
		}
		_ = ws.NetConn().Close()
	}
	for _, m := range t.members[:t.opt.Rooms] {
		for i := 0; t.opt.Durable && i < missedWhileAway; i++ {
			m.send(t.now())
		}
	}
	t.settle(ctx)
	return time.Since(began).Seconds()
}
