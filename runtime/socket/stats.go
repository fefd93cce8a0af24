package socket

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// counters are what happens seldom enough to be counted in one place; the
// flushers count the rest.
type counters struct {
	opened                          atomic.Uint64
	refused, refusedHead, refusedIP atomic.Uint64
	byClient, byCode, panics        atomic.Uint64
	byKind                          [64]atomic.Uint64 // more than fault has kinds
}

func (n *counters) ending(e ending) {
	switch {
	case e.remote:
		n.byClient.Add(1)
	case e.code == 0:
		n.byKind[e.kind].Add(1)
	default:
		n.byCode.Add(1)
	}
}

// cut counts a connection that is cut for a fault, without a close frame.
func (n *counters) cut(cause error) {
	if f := (*fault.Error)(nil); errors.As(cause, &f) {
		n.byKind[f.Kind].Add(1)
	}
}

// Stats is a snapshot for metrics. Counters count from the start of the process.
type Stats struct {
	Connections int64 // open now, and handshakes that were admitted
	Opened      uint64

	Refused      uint64 // handshakes answered with an error
	Unreadable   uint64 // connections without a whole, proper request in time
	TooManyPerIP uint64 // connections cut because their address has too many handshakes under way

	ClosedByClient uint64                // with a close frame
	ClosedByCode   uint64                // by us, with a code of RFC 6455
	Closed         map[fault.Kind]uint64 // by us, for a fault
	Panics         uint64

	FramesIn  uint64 // messages
	FramesOut uint64
	BytesOut  uint64
	Writes    uint64 // system calls
	Blocked   uint64 // times a socket was full
	Merged    uint64 // ephemeral frames that took the place of another
	Shed      uint64 // ephemeral frames dropped

	QueuedBytes int64
	Pressure    int           // 0 none, 1 ephemeral frames are shed, 2 connections are closed
	WriteDelay  time.Duration // added to writes now
	RTT         observe.Summary
	Jitter      observe.Summary
	Missed      uint64 // heartbeats without a sign of life before the next
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	n := &s.count
	st := Stats{
		Connections: s.live.Load(), Opened: n.opened.Load(),
		Refused: n.refused.Load(), Unreadable: n.refusedHead.Load(), TooManyPerIP: n.refusedIP.Load(),
		ClosedByClient: n.byClient.Load(), ClosedByCode: n.byCode.Load(), Panics: n.panics.Load(),
		Closed:      make(map[fault.Kind]uint64),
		QueuedBytes: s.queued(), Pressure: int(s.load.pressure.Load()),
		WriteDelay: time.Duration(s.load.delay.Load()),
		RTT:        s.rtt.Summary(),
		Jitter:     s.jitter.Summary(),
		Missed:     s.missed.Load(),
	}
	for _, k := range fault.Kinds() {
		if c := n.byKind[k].Load(); c > 0 {
			st.Closed[k] = c
		}
	}
	for _, f := range s.flushers {
		st.FramesIn += f.received.Load()
		st.FramesOut += f.frames.Load()
		st.BytesOut += f.bytes.Load()
		st.Writes += f.writes.Load()
		st.Blocked += f.blocked.Load()
		st.Merged += f.merged.Load()
		st.Shed += f.shed.Load()
	}
	return st
}

// furthestBehind picks the connections with the longest queues which together
// hold at least excess bytes.
func furthestBehind(each func(func(*Conn) bool), excess int64) []*Conn {
	type queue struct {
		c     *Conn
		bytes int
	}
	var all []queue
	each(func(c *Conn) bool {
		if n := c.Queued(); n > 0 && c.state.Load() == open {
			all = append(all, queue{c, n})
		}
		return true
	})
	slices.SortFunc(all, func(a, b queue) int { return cmp.Compare(b.bytes, a.bytes) })
	var picked []*Conn
	for _, q := range all {
		if excess <= 0 {
			break
		}
		excess -= int64(q.bytes)
		picked = append(picked, q.c)
	}
	return picked
}
