package typing

import "sync/atomic"

type counters struct {
	starts, stops, throttled, timeouts, updates, typersFull, roomsFull atomic.Uint64
	typers                                                             atomic.Int64
}

// Stats is what has happened since New, and who types now.
type Stats struct {
	Starts     uint64 // typing:start that were permitted
	Throttled  uint64 // of these, passed over because they came too soon
	TypersFull uint64 // of these, passed over because too many type in the room
	RoomsFull  uint64 // of these, passed over because users type in too many rooms of the tenant
	Stops      uint64 // users who were told to have stopped
	Timeouts   uint64 // users who were silent for too long
	Updates    uint64 // typing:update events, each to a whole room
	Typers     int64  // now; one who types in two rooms counts twice
	Rooms      int    // now
}

// Stats reads the counters.
func (t *Typing) Stats() Stats {
	st := Stats{
		Starts: t.starts.Load(), Throttled: t.throttled.Load(), TypersFull: t.typersFull.Load(), RoomsFull: t.roomsFull.Load(),
		Stops: t.stops.Load(), Timeouts: t.timeouts.Load(), Updates: t.updates.Load(), Typers: t.typers.Load(),
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		st.Rooms += len(s.rooms)
		s.mu.Unlock()
	}
	return st
}
