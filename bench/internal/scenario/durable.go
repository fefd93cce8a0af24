package scenario

import (
	"context"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// durable (S6): every connection has one message unacknowledged, in a room of its
// own unless told otherwise; latency is the time from sending to the ack.
func (b *bench) durable(ctx context.Context) (Result, error) {
	conns, _, err := b.join(ctx, b.Conns)
	if err != nil {
		return nil, err
	}
	loops := map[*load.Loop]*acks{}
	for _, l := range b.eng.Loops {
		loops[l] = &acks{}
	}
	for _, c := range conns {
		s := &sender{b: b, conn: c, acks: loops[c.Loop()]}
		c.Loop().Do(func() {
			c.OnAck = s.acked
			s.send()
		})
	}
	if err := pause(ctx, b.Warm); err != nil {
		return nil, err
	}
	since := load.Now()
	for l, a := range loops {
		l.Do(func() { a.since, a.until = since, since+b.Measure.Nanoseconds() })
	}
	cpu0 := b.usage()
	if err := pause(ctx, b.Measure); err != nil {
		return nil, err
	}
	used := b.usage().since(cpu0)
	sum := new(load.Hist)
	for l, a := range loops {
		l.Do(func() { a.stop = true; sum.Merge(&a.hist) })
	}
	n := float64(sum.Count())
	res := Result{
		"conns": b.Conns, "rooms": b.Rooms, "msgs_per_s": n / b.Measure.Seconds(),
		"cpu_us_per_msg": ratio(used.server*1e6, n),
	}
	res.latency(sum)
	res.cores(used)
	return res, nil
}

// acks is what the senders of one loop count, under its lock: acks that arrive in
// [since, until).
type acks struct {
	since, until int64
	stop         bool
	hist         load.Hist
}

// sender sends its next message when the last one is acknowledged.
type sender struct {
	b           *bench
	conn        *load.Conn
	acks        *acks
	at          int64 // when the last message was sent
	sent        uint32
	body, frame []byte
}

func (s *sender) send() {
	s.at = load.Now()
	s.body = load.AppendBody(s.body[:0], s.at)
	s.frame = s.b.eng.Driver.Publish(s.frame[:0], s.conn, firstID+s.sent, s.body)
	s.sent++
	s.conn.Send(s.frame)
}

func (s *sender) acked(now int64) {
	if now >= s.acks.since && now < s.acks.until {
		s.acks.hist.Add(now - s.at)
	}
	if !s.acks.stop {
		s.send()
	}
}
