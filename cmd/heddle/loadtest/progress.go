package loadtest

import (
	"fmt"
	"io"
	"maps"
	"os"
	"time"
)

// progress prints a line at a time until done is closed.
func (t *test) progress(done <-chan struct{}) {
	every := 5 * time.Second
	if terminal(t.opt.Progress) {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var sent, delivered uint64
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		s, d, lat := t.sent.Load(), t.delivered.Load(), t.latency.Summary()
		fmt.Fprintf(t.opt.Progress, "%4.0fs  joined %d/%d  sent %.0f/s  delivered %.0f/s  p99 %.1f ms  out of order %d  reconnects %d  errors %d\n",
			t.now().Seconds(), t.joined.Load(), t.opt.Conns, float64(s-sent)/every.Seconds(), float64(d-delivered)/every.Seconds(),
			ms(lat.Quantile(.99)), t.late.Load(), t.reconnects.Load(), t.errorCount())
		sent, delivered = s, d
	}
}

// terminal tells whether w is a character device.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (t *test) errorCount() (n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.errors {
		n += k
	}
	return n
}

func (t *test) errorsSoFar() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.errors)
}

// report adds everything up.
func (t *test) report(p *played) Report {
	r := Report{
		Scenario: t.opt.Scenario, Dialect: t.opt.Dialect.String(), Durable: t.opt.Durable, Conns: t.opt.Conns, Rooms: t.opt.Rooms,
		Seconds: p.seconds, ResumeTime: p.resumed, Memory: p.memory,
		Joined: int(t.joined.Load()), JoinTime: time.Duration(t.lastJoin.Load()).Seconds(), Reconnects: t.reconnects.Load(), Recovered: t.recovered.Load(),
		Sent: t.sent.Load(), Acked: t.acked.Load(), Refused: t.refused.Load(), Skipped: t.skipped.Load(), Delivered: t.delivered.Load(),
		Repeated: t.repeated.Load(), OutOfOrder: t.late.Load(), Contradicted: t.contradicted.Load(), EpochChanges: t.epochs.Load(),
		Join: timesOf(&t.joinTook), Ack: timesOf(&t.ack), Latency: timesOf(&t.latency), Errors: t.errorsSoFar(),
	}
	if p.seconds > 0 {
		r.SentRate, r.DeliveredRate = float64(p.sent)/p.seconds, float64(p.delivered)/p.seconds
	}
	expected := t.expected()
	for _, m := range t.members {
		m.mu.Lock()
		if m.known {
			r.Unanswered += uint64(len(m.pending))
			r.Lost += m.track.missing(m.room.top.Load())
			expected -= min(expected, m.got)
			if m.step != ready {
				r.Away++
			}
		}
		m.mu.Unlock()
	}
	r.LostEphemeral = expected
	for _, l := range t.rooms {
		twice, disordered := l.audit()
		r.StoredTwice += twice
		r.OutOfOrder += disordered
	}
	return r
}
