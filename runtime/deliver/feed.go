package deliver

import (
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// feed is one room on this node: who receives it, and how far its stream has
// come. A live subscriber stands where the feed stands; one that is behind is fed
// from history until it stands there too, and turns live under the lock.
type feed struct {
	hub *Hub
	key roomKey

	mu      sync.RWMutex
	subs    []*Sub
	known   bool // epoch and top are what this node has seen; before, nobody is live
	epoch   string
	top     uint64
	held    map[uint64]event.Record // ahead of top, at most Config.Reorder
	ahead   uint64                  // the furthest record that came too early
	healing bool
}

// Sub is one session's subscription to one room.
type Sub struct {
	Member event.Membership

	feed  *feed
	to    Receiver
	index int // in feed.subs; -1 once removed

	// Guarded by feed.mu. While live, the position is the feed's, or at if that is
	// further: history may hold what the committer is about to publish.
	live    bool
	pumping bool
	rewound bool // since the page at hand was begun
	epoch   string
	at      uint64
}

// Room is the name of the room.
func (s *Sub) Room() string { return s.feed.key.room }

// Position is the last durable event that was queued for the subscriber.
func (s *Sub) Position() event.Position {
	s.feed.mu.RLock()
	defer s.feed.mu.RUnlock()
	if s.live {
		return event.Position{Epoch: s.feed.epoch, Offset: max(s.feed.top, s.at)}
	}
	return event.Position{Epoch: s.epoch, Offset: s.at}
}

func (f *feed) add(s *Sub) {
	f.mu.Lock()
	s.index = len(f.subs)
	f.subs = append(f.subs, s)
	f.mu.Unlock()
}

// remove returns how many subscribers are left, and whether s was one.
func (f *feed) remove(s *Sub) (left int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.index < 0 {
		return len(f.subs), false
	}
	last := len(f.subs) - 1
	moved := f.subs[last]
	f.subs[s.index] = moved
	moved.index = s.index
	f.subs[last] = nil
	f.subs = f.subs[:last]
	s.index, s.live = -1, false
	return last, true
}

func (f *feed) emit(env *event.Envelope, merge string) {
	var frames [maxDialects]*frame.Frame
	f.mu.RLock()
	defer f.mu.RUnlock()
	var refused uint64
	for _, s := range f.subs {
		enc := s.to.Encoder()
		fr := frames[enc.Index()]
		if fr == nil {
			fr = enc.Encode(env, frame.Ephemeral, merge)
			frames[enc.Index()] = fr
		}
		if !s.to.Push(fr) {
			refused++
		}
	}
	f.count(len(f.subs), refused)
}

func (f *feed) count(deliveries int, refused uint64) {
	f.hub.Deliveries.Add(uint64(deliveries))
	if refused > 0 {
		f.hub.Refused.Add(refused)
	}
}

// publish takes records of one epoch with contiguous offsets.
func (f *feed) publish(records []event.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accept(records)
	for len(f.held) > 0 {
		r, ok := f.held[f.top+1]
		if !ok {
			break
		}
		delete(f.held, f.top+1)
		f.accept([]event.Record{r})
	}
}

// accept delivers what follows the feed's position, drops what it has, and holds
// what is ahead while a goroutine reads what is missing.
func (f *feed) accept(records []event.Record) {
	first := records[0].Offset
	if f.known && records[0].Epoch != f.epoch {
		if first != 1 {
			f.hub.Repeats.Add(uint64(len(records)))
			return // of a life that is over
		}
		f.top, f.held, f.ahead = 0, nil, 0
		for _, s := range f.subs {
			if s.live {
				s.at = 0
			}
		}
	}
	if !f.known {
		f.known = true
		f.top = first - 1
	}
	f.epoch = records[0].Epoch
	if skip := f.top + 1 - min(first, f.top+1); skip > 0 {
		f.hub.Repeats.Add(min(skip, uint64(len(records))))
		if skip >= uint64(len(records)) {
			return
		}
		records = records[skip:]
		first = records[0].Offset
	}
	if first > f.top+1 {
		f.hold(records)
		return
	}
	var batch encoded
	delivered, refused := 0, uint64(0)
	for _, s := range f.subs {
		if !s.live {
			continue
		}
		has := min(s.at-min(s.at, f.top), uint64(len(records)))
		if has == uint64(len(records)) {
			continue
		}
		delivered += len(records) - int(has)
		if !s.to.PushAll(batch.get(s.to.Encoder(), records)[has:]) {
			refused++
		}
	}
	f.count(delivered, refused)
	f.top = records[len(records)-1].Offset
}

// hold keeps records that came too early. What does not fit is read from history
// with the rest of the gap.
func (f *feed) hold(records []event.Record) {
	f.hub.Gaps.Add(uint64(len(records)))
	if f.held == nil {
		f.held = map[uint64]event.Record{}
	}
	for i := range records {
		if len(f.held) >= f.hub.cfg.Reorder {
			break
		}
		f.held[records[i].Offset] = records[i]
	}
	f.ahead = max(f.ahead, records[len(records)-1].Offset)
	if !f.healing {
		f.healing = true
		f.hub.wg.Add(1)
		go f.heal()
	}
}
