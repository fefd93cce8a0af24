package scenario

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/proc"
)

// fanout (S2): one publisher keeps a window of messages to one room full.
func (b *bench) fanout(ctx context.Context) (Result, error) {
	conn, err := b.audience(ctx)
	if err != nil {
		return nil, err
	}
	p := &publisher{b: b, conn: conn}
	conn.Loop().Do(func() {
		conn.OnAck = func(int64) { p.acked++; p.send() }
		p.fill()
	})
	if err := p.watch(ctx, b.Warm); err != nil {
		return nil, err
	}
	start := load.Now()
	b.eng.Window(start, start+b.Measure.Nanoseconds())
	n0, cpu0 := b.eng.Delivered(), b.usage()
	if err := p.watch(ctx, b.Measure); err != nil {
		return nil, err
	}
	n, used := b.eng.Delivered()-n0, b.usage().since(cpu0)
	rss, _, err := proc.Memory(b.PID)
	if err != nil {
		return nil, err
	}
	conn.Loop().Do(func() { p.stop = true })
	expect := p.sent * int64(b.Conns)
	drained, err := b.drain(ctx, func() bool { return b.eng.Delivered() >= expect })
	if err != nil {
		return nil, err
	}
	res := Result{
		"conns": b.Conns, "deliveries_per_s": float64(n) / used.wall,
		"cpu_us_per_delivery": ratio(used.server*1e6, float64(n)),
		"stalls":              p.stalls,
		"lost_pct":            100 * ratio(float64(expect-b.eng.Delivered()), float64(expect)),
		"drain_s":             drained.Seconds(),
		"rss_mb":              mb(rss),
	}
	res.latency(b.eng.Latency())
	res.cores(used)
	return res, nil
}

// publisher sends a message for each one that is acknowledged. It is used under
// its loop's lock; stalls belongs to watch.
type publisher struct {
	b           *bench
	conn        *load.Conn
	sent, acked int64
	stop        bool
	stalls      int
	body, frame []byte
}

func (p *publisher) send() {
	if p.stop {
		return
	}
	p.body = load.AppendBody(p.body[:0], load.Now())
	p.frame = p.b.eng.Driver.Publish(p.frame[:0], p.conn, firstID+uint32(p.sent), p.body)
	p.sent++
	p.conn.Send(p.frame)
}

func (p *publisher) fill() {
	for range p.b.Window {
		p.send()
	}
}

// watch waits for d. A server that drops messages may drop the copies that stand
// for acknowledgements: after half a second without any, the window is filled
// again.
func (p *publisher) watch(ctx context.Context, d time.Duration) error {
	var seen int64
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := pause(ctx, min(time.Until(end), 500*time.Millisecond)); err != nil {
			return err
		}
		p.conn.Loop().Do(func() {
			if p.acked == seen {
				p.stalls++
				p.fill()
			}
			seen = p.acked
		})
	}
	return nil
}
