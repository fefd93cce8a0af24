package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// errHole says that history does not hold what the feed has delivered.
var errHole = errors.New("history ends before the room's position")

// errClosing says that the receiver needs no more.
var errClosing = errors.New("the connection is closing")

// Catchup is the queue of a receiver's rooms that are behind. They share one
// goroutine, because they share the client's queue: only one page at a time may
// find room in it. The zero Catchup is ready; it never holds more than the
// receiver's subscriptions, each once.
type Catchup struct {
	mu      sync.Mutex
	subs    []*Sub
	running bool
}

// add reports whether a goroutine has to be started. It is called with the feed's
// lock held, and so is drop.
func (c *Catchup) add(s *Sub) (start bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = append(c.subs, s)
	start = !c.running
	c.running = true
	return start
}

// drop reports whether s was waiting for its turn.
func (c *Catchup) drop(s *Sub) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.subs, s)
	if i < 0 {
		return false
	}
	c.subs = slices.Delete(c.subs, i, i+1)
	return true
}

// next puts the subscriber whose turn has been behind the others if it needs
// another, and takes the first; nil means that the goroutine is to end.
func (c *Catchup) next(again *Sub) *Sub {
	c.mu.Lock()
	defer c.mu.Unlock()
	if again != nil {
		c.subs = append(c.subs, again)
	}
	if len(c.subs) == 0 {
		c.subs, c.running = nil, false
		return nil
	}
	s := c.subs[0]
	c.subs = slices.Delete(c.subs, 0, 1)
	return s
}

// Start lets durable events flow to a subscriber: at once if it stands where the
// room stands, otherwise from history first. It does not block: the answer to a
// durable event, behind which rooms start, comes on a publishing goroutine. What is
// to be read, the receiver's goroutine reads.
func (h *Hub) Start(sub *Sub) {
	f := sub.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if sub.index < 0 || sub.pumping || f.known && f.stands(sub) {
		return
	}
	sub.pumping = true
	if c := sub.to.Catchup(); c.add(sub) {
		h.wg.Go(func() { h.pump(c) }) // until no room is behind; every turn fails once h.ctx has ended
	}
}

// stands turns a subscriber live if it has all that the feed has. With f.mu held.
func (f *feed) stands(s *Sub) bool {
	switch {
	case s.epoch == f.epoch:
	case s.at == 0:
		s.epoch = f.epoch
	case f.known && f.epoch == "":
		// The room's first events are durable, so that a reader has seen them, and about
		// to be published.
		f.epoch = s.epoch
	}
	if !f.known || s.epoch != f.epoch || s.at < f.top {
		return false
	}
	if s.index >= 0 {
		f.targets[s.index].live, f.targets[s.index].ahead = true, s.at
	}
	return true
}

// Rewind takes a subscriber back to an offset of the room's epoch; after the next
// Start it gets what follows once more.
func (h *Hub) Rewind(sub *Sub, offset uint64) {
	f := sub.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pause(sub)
	if sub.at > offset {
		sub.at, sub.rewound = offset, true
	}
}

// pump feeds a receiver's rooms from history, a page of each in turn, until they
// stand where the rooms stand.
func (h *Hub) pump(c *Catchup) {
	for sub := c.next(nil); sub != nil; {
		if h.turn(sub) {
			sub = c.next(sub)
		} else {
			sub = c.next(nil)
		}
	}
}

// turn sends a subscriber one page; it reports whether another has to follow.
func (h *Hub) turn(sub *Sub) (behind bool) {
	live, err := h.arrive(sub)
	if live {
		return false
	}
	var records []event.Record
	if err == nil {
		records, err = h.page(sub)
	}
	behind, err = sub.feed.advance(sub, records, err)
	if err != nil && !errors.Is(err, errClosing) && h.ctx.Err() == nil {
		sub.to.Lost(sub, err)
	}
	if n := len(records); n > 0 && records[n-1].Ends {
		sub.to.Ended(sub)
	}
	return behind
}

// Learn finds out where a subscriber's room stands, if nobody knows yet. It may wait
// for history: who can, calls it before Start, which is cheaper for that.
func (h *Hub) Learn(ctx context.Context, sub *Sub) error {
	f := sub.feed
	f.mu.RLock()
	known := f.known
	f.mu.RUnlock()
	if known {
		return nil
	}
	head, err := h.deps.History.Head(ctx, f.key.tenant, f.key.room)
	if err != nil {
		return fault.Wrap("deliver.start", fault.Unavailable, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// Whatever was made durable before the read is in its answer, and whatever came
	// after was published to this feed.
	if !f.known {
		f.stand(head.Epoch, head.Offset)
	}
	return nil
}

// arrive begins the turn of a subscriber whose room nobody knew at its Start. It
// reports whether the turn is over already: the subscriber stands where the room
// stands.
func (h *Hub) arrive(sub *Sub) (live bool, err error) {
	f := sub.feed
	defer h.contain("start", f.key, &err)
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timeout)
	defer cancel()
	if err := h.Learn(ctx, sub); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if live = sub.index >= 0 && f.stands(sub); live {
		sub.pumping = false
	}
	return live, nil
}

// page returns what it has sent.
func (h *Hub) page(sub *Sub) (records []event.Record, err error) {
	defer h.contain("catchup", sub.feed.key, &err)
	// The page before goes first, so that history alone never overflows a queue: at
	// most two pages wait there, and none in memory beside it.
	if err := h.drained(sub.to); err != nil {
		return nil, err
	}
	at, ok := sub.feed.begin(sub)
	if !ok {
		return nil, nil
	}
	records, err = h.read(sub.feed.key, at)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	enc, now := sub.to.Encoder(), h.now()
	frames := make([]*frame.Frame, len(records))
	for i := range records {
		frames[i] = encodeRecord(enc, &records[i], now)
	}
	n, err := sub.feed.push(sub, records, frames)
	h.CaughtUp.Add(uint64(n))
	return records[:n], err
}

// push queues a page, or as much of it as its subscriber may have by now, and says how
// much. It waited for its turn at history, and for that: whoever has left meanwhile
// gets nothing of it, and who has gone back gets it after what comes before.
func (f *feed) push(s *Sub, records []event.Record, frames []*frame.Frame) (n int, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if s.index < 0 || s.rewound {
		return 0, nil
	}
	n = f.allowed(records)
	if !s.to.Sink().PushAll(frames[:n]) {
		return 0, errClosing
	}
	return n, nil
}

// allowed is how many records of a page may be sent. History may be ahead of what was
// published: where a membership ends there, those who are members no more have not
// left yet, and the page ends with it.
func (f *feed) allowed(records []event.Record) int {
	last := records[len(records)-1].Position
	if last.Epoch != f.epoch || last.Offset <= f.top {
		return len(records)
	}
	for i := range records {
		if r := &records[i]; parting(r) && (r.Offset > f.top || r.Offset == f.leaving) {
			return i + 1
		}
	}
	return len(records)
}

// drained waits until a receiver has taken most of what it was sent.
func (h *Hub) drained(to Receiver) error {
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timeout)
	defer cancel()
	switch err := to.Drained(ctx, int(h.cfg.PageBytes)); {
	case err == nil:
		return h.ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap("deliver.catchup", fault.SlowConsumer, err)
	default:
		return errClosing
	}
}

// begin is the position behind which a page is read, if the subscriber still
// wants one.
func (f *feed) begin(s *Sub) (event.Position, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.rewound = false
	return event.Position{Epoch: s.epoch, Offset: s.at}, s.index >= 0
}

// advance notes the outcome of a subscriber's turn. It is behind until it is
// live, gone or lost.
func (f *feed) advance(s *Sub, records []event.Record, err error) (behind bool, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.pumping = false
	if s.index < 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if n := len(records); n > 0 && !s.rewound {
		s.epoch, s.at = records[n-1].Epoch, records[n-1].Offset
	}
	if f.stands(s) {
		return false, nil
	}
	if len(records) == 0 && !s.rewound {
		return false, fault.Wrap("deliver.catchup", fault.Unavailable, fmt.Errorf("%w: nothing behind %s/%d, and the room is at %s/%d", errHole, s.epoch, s.at, f.epoch, f.top))
	}
	s.pumping = true
	return true, nil
}

// read waits for a turn at history, however long the others take, and then reads
// one page.
func (h *Hub) read(k roomKey, at event.Position) ([]event.Record, error) {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-h.ctx.Done():
		return nil, h.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timeout)
	defer cancel()
	records, err := h.deps.History.After(ctx, k.tenant, k.room, at, h.cfg.Page, int(h.cfg.PageBytes))
	return records, fault.Wrap("deliver.history", fault.Unavailable, err)
}
