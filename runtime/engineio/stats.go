package engineio

import (
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// counters are what happens.
type counters struct {
	polling, sockets                atomic.Int64
	queued                          atomic.Int64
	opened, openedSockets           atomic.Uint64
	upgraded, unfinished            atomic.Uint64
	polls, posts, bytesIn, bytesOut atomic.Uint64
	merged, shed, panics            atomic.Uint64
	refused                         [reasons]atomic.Uint64
	closed                          [64]atomic.Uint64 // by fault.Kind; more than there are
}

// Stats is a snapshot for metrics. Counters count from the start of the process.
type Stats struct {
	Polling   int64 // connections over polling now
	WebSocket int64 // and over WebSocket

	OpenedPolling   uint64
	OpenedWebSocket uint64 // without an upgrade
	Upgraded        uint64
	UpgradeFailed   uint64 // WebSockets of polling connections that did not take over

	Polls    uint64 // answered with packets
	Posts    uint64 // taken in
	BytesIn  uint64 // of POSTs
	BytesOut uint64 // of polls' answers

	Refused map[string]uint64     // requests and WebSockets, by reason
	Closed  map[fault.Kind]uint64 // connections over polling, by us
	Panics  uint64

	Merged      uint64 // ephemeral frames that took the place of another
	Shed        uint64 // ephemeral frames dropped
	QueuedBytes int64  // that wait for connections over polling
}

// Stats reads the counters.
func (s *Server) Stats() Stats {
	n := &s.count
	st := Stats{
		Polling: n.polling.Load(), WebSocket: n.sockets.Load(),
		OpenedPolling: n.opened.Load(), OpenedWebSocket: n.openedSockets.Load(),
		Upgraded: n.upgraded.Load(), UpgradeFailed: n.unfinished.Load(),
		Polls: n.polls.Load(), Posts: n.posts.Load(), BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(),
		Refused: make(map[string]uint64), Closed: make(map[fault.Kind]uint64), Panics: n.panics.Load(),
		Merged: n.merged.Load(), Shed: n.shed.Load(), QueuedBytes: n.queued.Load(),
	}
	for r := range reasons {
		st.Refused[r.row().name] = n.refused[r].Load()
	}
	for _, k := range fault.Kinds() {
		if c := n.closed[k].Load(); c > 0 {
			st.Closed[k] = c
		}
	}
	return st
}
