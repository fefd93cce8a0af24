package scenario

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// pacer publishes at a fixed rate, one small burst each millisecond, from
// every connection in turn. A message's timestamp is the time at which it was
// due, so a sender that falls behind shows as latency.
type pacer struct {
	b     *bench
	conns []*load.Conn
	turn  int    // the next connection
	sent  uint32 // messages in all
}

// pace is one period at one rate.
type pace struct {
	rate         int   // messages a second
	since, until int64 // what is due in [since, until) counts
	counted      int64 // messages that count
	late         int64 // the longest delay of a burst that counts, in nanoseconds
}

// run publishes until stop is closed.
func (p *pacer) run(at *pace, stop <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const step = int64(time.Millisecond)
	var body, frame []byte
	due, owed := load.Now(), 0
	for ; ; due += step {
		if wait := due - load.Now(); wait > 0 {
			ts := unix.NsecToTimespec(wait)
			_ = unix.Nanosleep(&ts, nil) // interrupted: the burst is early, and dated when it was due
		} else if due >= at.since {
			at.late = max(at.late, -wait)
		}
		select {
		case <-stop:
			return
		default:
		}
		body = load.AppendBody(body[:0], due)
		for owed += at.rate; owed >= 1000; owed -= 1000 {
			c := p.conns[p.turn]
			p.turn = (p.turn + 1) % len(p.conns)
			frame = p.b.eng.Driver.Publish(frame[:0], c, firstID+p.sent, body)
			p.sent++
			c.Send(frame)
			if due >= at.since && due < at.until {
				at.counted++
			}
		}
	}
}
