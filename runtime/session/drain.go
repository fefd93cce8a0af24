package session

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Drain tells all clients when to come back, spread over the time given, waits
// for their unanswered events, and closes them in that order. It ends early with
// ctx.
func (m *Manager) Drain(ctx context.Context, over time.Duration) {
	type leaving struct {
		s  *Session
		at time.Duration
	}
	var list []leaving
	for _, s := range m.each() {
		at := rand.N(over*3/4 + 1)
		list = append(list, leaving{s, at})
		s.machine.move(&m.states, Draining)
		s.send("session:drain", append(appendNumber(nil, `{"reconnect_in_ms":`, uint64(at.Milliseconds())), '}'))
	}
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for len(list) > 0 && ctx.Err() == nil {
		late := time.Since(start) > over
		rest := list[:0]
		for _, l := range list {
			if late || time.Since(start) >= l.at && l.s.line.Pending() == 0 {
				l.s.conn.CloseWith(fault.Draining, "")
			} else {
				rest = append(rest, l)
			}
		}
		list = rest
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Quality tells the client how good its connection is.
func (s *Session) Quality(grade string, rtt, jitter time.Duration, missed int) {
	if !s.Opened() {
		return
	}
	b := appendText(nil, `{"grade":`, grade)
	b = appendMillis(b, `,"rtt_ms":`, rtt)
	b = appendMillis(b, `,"jitter_ms":`, jitter)
	s.send("session:quality", append(appendNumber(b, `,"missed":`, uint64(missed)), '}'))
}

func appendMillis(b []byte, name string, d time.Duration) []byte {
	return strconv.AppendFloat(append(b, name...), float64(d.Microseconds())/1e3, 'f', -1, 64)
}
