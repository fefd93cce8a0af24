package deliver

import (
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/planted"
)

// feed is one room on this node: who receives it, and how far its stream has
// come. A live subscriber stands where the feed stands; one that is behind is fed
// from history until it stands there too, and turns live under the lock.
type feed struct {
	hub *Hub
	key roomKey

	mu      sync.RWMutex
	subs    []*Sub
	targets []target // what delivering to subs needs, in the same order
	known   bool     // epoch and top are what this node has seen; before, nobody is live
	epoch   string
	top     uint64
	seen    uint64 // up to here records were given to observe; top may be ahead, as history had it
	leaving uint64 // the end of a membership that is being observed, 0 for none

	// While healing, that goroutine alone delivers, and publish holds.
	healing bool
	held    map[uint64]event.Record // ahead of top, at most Config.Reorder
	ahead   uint64                  // the furthest record that came too early
	stray   event.Position          // the furthest of another life, of which the first record has not come
}

// target is a subscriber as the loops over all of them see it: side by side, so
// that a delivery touches the connection and nothing else of the session.
type target struct {
	sink  Sink
	enc   Encoder
	index uint8  // of enc
	live  bool   // stands where the feed stands
	ahead uint64 // of a live one: what it has beyond that, because history held it before it was published
}

// Sub is one session's subscription to one room.
type Sub struct {
	Member event.Membership

	feed  *feed
	to    Receiver
	index int // in feed.subs; -1 once removed

	// Guarded by feed.mu. The position counts only while the subscriber is not live.
	pumping bool // in its receiver's Catchup, or taken from there
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
	return s.feed.position(s)
}

func (f *feed) position(s *Sub) event.Position {
	if s.index >= 0 && f.targets[s.index].live {
		return event.Position{Epoch: f.epoch, Offset: max(f.top, f.targets[s.index].ahead)}
	}
	return event.Position{Epoch: s.epoch, Offset: s.at}
}

// pause ends being live: from here on the subscriber has a position of its own.
func (f *feed) pause(s *Sub) {
	p := f.position(s)
	s.epoch, s.at = p.Epoch, p.Offset
	if s.index >= 0 {
		f.targets[s.index].live = false
	}
}

func (f *feed) add(s *Sub) {
	f.mu.Lock()
	s.index = len(f.subs)
	f.subs = append(f.subs, s)
	enc := s.to.Encoder()
	f.targets = append(f.targets, target{sink: s.to.Sink(), enc: enc, index: uint8(enc.Index())})
	f.mu.Unlock()
}

// remove returns how many subscribers are left, and whether s was one.
func (f *feed) remove(s *Sub) (left int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.index < 0 {
		return len(f.subs), false
	}
	f.pause(s)
	if s.pumping && s.to.Catchup().drop(s) {
		s.pumping = false
	}
	last := len(f.subs) - 1
	moved := f.subs[last]
	f.subs[s.index], f.targets[s.index] = moved, f.targets[last]
	moved.index = s.index
	f.subs[last], f.targets[last] = nil, target{}
	f.subs, f.targets = f.subs[:last], f.targets[:last]
	s.index = -1
	return last, true
}

func (f *feed) emit(env *event.Envelope, merge string) {
	var frames [maxDialects]*frame.Frame
	f.mu.RLock()
	defer f.mu.RUnlock()
	var refused uint64
	for i := range f.targets {
		t := &f.targets[i]
		fr := frames[t.index]
		if fr == nil {
			fr = t.enc.Encode(env, frame.Ephemeral, merge)
			if env.Expires != 0 {
				fr.Until(env.Expires, nil)
			}
			frames[t.index] = fr
		}
		if !t.sink.Push(fr) {
			refused++
		}
	}
	f.count(len(f.targets), refused)
}

func (f *feed) count(deliveries int, refused uint64) {
	f.hub.Deliveries.Add(uint64(deliveries))
	if refused > 0 {
		f.hub.Refused.Add(refused)
	}
}

// publish takes records of one epoch with contiguous offsets, of which the last one
// alone may end memberships. It delivers what follows the feed's position, and returns
// what is to be observed; or it leaves both to the goroutine that heals.
func (f *feed) publish(records []event.Record) (fresh []event.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch first := &records[0]; {
	case !f.known:
		f.stand(first.Epoch, first.Offset-1)
	case first.Epoch == f.epoch:
	case first.Offset == 1:
		f.stand(first.Epoch, 0)
	default:
		f.suspect(records)
		return nil
	}
	if f.healing {
		f.hold(records)
		return nil
	}
	return f.accept(records)
}

// stand puts the feed at a position.
func (f *feed) stand(epoch string, top uint64) {
	if epoch != f.epoch {
		f.epoch, f.seen, f.leaving, f.held, f.ahead = epoch, 0, 0, nil, 0
		for i := range f.targets {
			f.targets[i].ahead = 0
		}
		if f.stray.Epoch == epoch {
			f.ahead = f.stray.Offset
		}
		f.stray = event.Position{}
	}
	f.known, f.top = true, top
}

// accept delivers records of the feed's epoch that follow its position, and holds
// those that are ahead. It returns what is to be observed.
func (f *feed) accept(records []event.Record) (fresh []event.Record) {
	news := behind(records, f.top)
	f.repeats(len(records) - len(news))
	last := &records[len(records)-1]
	if len(news) > 0 {
		if news[0].Offset > f.top+1 && !planted.GapIgnored {
			f.hold(news)
			return nil
		}
		f.deliver(news)
		f.top = last.Offset
		if last.Ends {
			f.end()
		}
	}
	if fresh = behind(records, f.seen); len(fresh) > 0 {
		f.seen = last.Offset
		if parting(last) && f.hub.deps.Observe != nil {
			f.leaving = last.Offset
		}
	}
	return fresh
}

// behind are those of contiguous records that lie behind an offset.
func behind(records []event.Record, offset uint64) []event.Record {
	skip := offset + 1 - min(records[0].Offset, offset+1)
	return records[min(skip, uint64(len(records))):]
}

func (f *feed) repeats(n int) {
	if n > 0 {
		f.hub.Repeats.Add(uint64(n))
	}
}

// deliver gives records to those who stand where the feed stands.
func (f *feed) deliver(records []event.Record) {
	batch := encoded{now: f.hub.now()}
	delivered, refused := 0, uint64(0)
	for i := range f.targets {
		t := &f.targets[i]
		if !t.live {
			continue
		}
		has := min(t.ahead-min(t.ahead, f.top), uint64(len(records)))
		if has == uint64(len(records)) {
			continue
		}
		delivered += len(records) - int(has)
		if !t.sink.PushAll(batch.get(int(t.index), t.enc, records)[has:]) {
			refused++
		}
	}
	f.count(delivered, refused)
}

// parted is called when all who are members no more have left.
func (f *feed) parted() {
	f.mu.Lock()
	f.leaving = 0
	f.mu.Unlock()
}

// end tells the subscribers that have all of a room that was deleted. With f.mu
// held, which Ended needs: so a goroutine tells them, all in turn.
func (f *feed) end() {
	var live []*Sub
	for i, s := range f.subs {
		if f.targets[i].live {
			live = append(live, s)
		}
	}
	f.hub.wg.Go(func() {
		for _, s := range live {
			s.to.Ended(s)
		}
	})
}
