package socket

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// What a connection's reading goroutine tells the wheel.
const (
	silent   uint32 = iota // nothing was heard since the last beat
	alive                  // something was
	handling               // the handler has a frame: silence is the server's own
)

const (
	minSlots = 8
	maxSlots = 256
	slotTime = 100 * time.Millisecond
)

// wheel is one timer for all connections, and their register too: each is in one
// slot for its whole life, and every slot is visited once in a heartbeat.
type wheel struct {
	slots []slot
	turn  atomic.Uint32 // spreads new connections evenly
	tick  time.Duration
}

type slot struct {
	mu    sync.Mutex
	conns []*Conn
}

func newWheel(interval time.Duration) *wheel {
	n := min(max(int(interval/slotTime), minSlots), maxSlots)
	return &wheel{slots: make([]slot, n), tick: max(interval/time.Duration(n), time.Millisecond)}
}

func (w *wheel) add(c *Conn) {
	c.slot = w.turn.Add(1) % uint32(len(w.slots))
	s := &w.slots[c.slot]
	s.mu.Lock()
	c.slotIndex = uint32(len(s.conns))
	s.conns = append(s.conns, c)
	s.mu.Unlock()
}

func (w *wheel) remove(c *Conn) {
	s := &w.slots[c.slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.conns) - 1
	if int(c.slotIndex) > last || s.conns[c.slotIndex] != c {
		return
	}
	moved := s.conns[last]
	s.conns[c.slotIndex], moved.slotIndex = moved, c.slotIndex
	s.conns[last] = nil
	s.conns = s.conns[:last]
	if cap(s.conns) > 64 && last < cap(s.conns)/4 {
		s.conns = append(make([]*Conn, 0, 2*last), s.conns...)
	}
}

// each calls f for every connection until it returns false. No lock is held
// meanwhile.
func (w *wheel) each(f func(*Conn) bool) {
	var some []*Conn
	for i := range w.slots {
		some = w.slots[i].snapshot(some)
		for _, c := range some {
			if !f(c) {
				return
			}
		}
	}
}

func (s *slot) snapshot(into []*Conn) []*Conn {
	clear(into)
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(into[:0], s.conns...)
}

// run beats for all connections until ctx ends.
func (w *wheel) run(ctx context.Context, srv *Server) {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	var some []*Conn
	for at := 0; ; at = (at + 1) % len(w.slots) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		some = w.slots[at].snapshot(some)
		if len(some) == 0 {
			continue
		}
		now := srv.clock()
		ping := pingFrame(now)
		for _, c := range some {
			c.beat(ping, now)
		}
	}
}

// pingFrame carries the time on the server's clock, for the pong to bring back.
func pingFrame(now time.Duration) []byte {
	return binary.BigEndian.AppendUint64([]byte{0x89, 8}, uint64(now))
}

// beat looks after one connection, once in a heartbeat.
func (c *Conn) beat(ping []byte, now time.Duration) {
	if c.quiet {
		return
	}
	unheard := c.life.Load() == silent
	if !unheard {
		c.life.CompareAndSwap(alive, silent)
	}
	c.mu.Lock()
	q := &c.quality
	if unheard {
		q.missed++
	} else {
		q.missed = 0
	}
	gone := int(q.missed) >= c.srv.cfg.Heartbeat.MaxMissed
	changed := q.regrade()
	report := q.report()
	behind := c.waiting
	if !behind {
		q.pinged = now
	}
	c.mu.Unlock()
	if unheard {
		c.srv.missed.Add(1)
	}
	if gone {
		c.end(ending{kind: fault.HeartbeatTimeout, cut: true, abrupt: true})
		return
	}
	if changed {
		c.srv.regraded(c, report)
	}
	if !behind { // a client that takes nothing has its own deadline
		c.control(ping)
	}
}

// pong measures, if it answers the last ping.
func (c *Conn) pong(payload []byte) {
	if len(payload) != 8 {
		return
	}
	sent := time.Duration(binary.BigEndian.Uint64(payload))
	c.mu.Lock()
	q := &c.quality
	answers := sent == q.pinged && sent != 0
	if answers {
		q.pinged = 0
	}
	c.mu.Unlock()
	if answers {
		c.Measured(c.srv.clock() - sent)
	}
}

// Measured takes in one round trip to the client, also of a ping that was none of
// WebSocket's (Handshake.Quiet). OnQuality is called on this goroutine.
func (c *Conn) Measured(rtt time.Duration) {
	c.mu.Lock()
	q := &c.quality
	q.measure(rtt)
	changed := q.regrade()
	report := q.report()
	c.mu.Unlock()
	c.srv.rtt.Observe(rtt)
	c.srv.jitter.Observe(report.Jitter)
	if changed {
		c.srv.regraded(c, report)
	}
}
