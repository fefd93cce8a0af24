package notification

import "sync/atomic"

type counters struct {
	observed, dropped, failed, events, quiet, seen, early atomic.Uint64
	waiting                                               atomic.Int64
}

// Stats is what has happened since New, and what waits.
type Stats struct {
	Observed uint64            // messages that somebody may have to be notified of
	Dropped  uint64            // of these, given up because too many waited
	Failed   uint64            // messages, or notifications, given up because the store failed
	Events   uint64            // notification:new, each to a user's sessions
	Quiet    uint64            // not told to a user who does not want to be disturbed
	Seen     uint64            // not told to a user who has the room in front, has come back or has read it
	Early    uint64            // handed over early because too many waited
	Queued   int               // messages that wait to be looked at
	Waiting  int64             // notifications that wait for more
	Sent     map[string]Handed // by notifier
}

// Handed is what became of one notifier's notifications.
type Handed struct {
	Sent    uint64
	Failed  uint64 // given up by the notifier
	Dropped uint64 // given up because too many waited for it
}

// Stats reads the counters.
func (n *Notifications) Stats() Stats {
	st := Stats{
		Observed: n.observed.Load(), Dropped: n.dropped.Load(), Failed: n.failed.Load(), Events: n.events.Load(), Quiet: n.quiet.Load(),
		Seen: n.seen.Load(), Early: n.early.Load(), Queued: n.backlog.len(), Waiting: n.waiting.Load(), Sent: map[string]Handed{},
	}
	for _, p := range n.outbox.posts {
		st.Sent[p.Name] = Handed{p.sent.Load(), p.failed.Load(), p.dropped.Load()}
	}
	return st
}
