package deliver

import (
	"context"
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// errHole says that history does not hold what the feed has delivered.
var errHole = errors.New("deliver: history ends before the room's position")

// Start lets durable events flow to a subscriber: at once if it stands where the
// room stands, otherwise from history first, on a goroutine of its own.
func (h *Hub) Start(ctx context.Context, sub *Sub) {
	f := sub.feed
	f.mu.Lock()
	if !f.known {
		// Whatever was made durable before this read is in its answer, and whatever
		// comes after is published to this feed.
		f.mu.Unlock()
		head, err := h.deps.History.Head(ctx, f.key.tenant, f.key.room)
		if err != nil {
			sub.to.Lost(sub, err)
			return
		}
		f.mu.Lock()
		if !f.known {
			f.known, f.epoch, f.top = true, head.Epoch, head.Offset
		}
	}
	defer f.mu.Unlock()
	if f.stands(sub) || sub.index < 0 || sub.pumping {
		return
	}
	sub.pumping = true
	h.wg.Add(1)
	go h.pump(sub)
}

// stands turns a subscriber live if it has all that the feed has. With f.mu held.
func (f *feed) stands(s *Sub) bool {
	if s.epoch != f.epoch && s.at == 0 {
		s.epoch = f.epoch
	}
	if s.epoch != f.epoch || s.at < f.top {
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

// pump feeds one subscriber from history until it stands where the room stands.
func (h *Hub) pump(sub *Sub) {
	defer h.wg.Done()
	for {
		done, err := h.page(sub)
		if err != nil && h.ctx.Err() == nil {
			sub.to.Lost(sub, err)
		}
		if done || err != nil {
			return
		}
	}
}

// page sends one page of history; done means that the subscriber is live or gone.
func (h *Hub) page(sub *Sub) (done bool, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timeout)
	defer cancel()
	f := sub.feed
	f.mu.Lock()
	at := event.Position{Epoch: sub.epoch, Offset: sub.at}
	sub.rewound = false
	f.mu.Unlock()

	records, err := h.read(ctx, f.key, at)
	if err != nil {
		return h.finish(sub), err
	}
	frames := make([]*frame.Frame, len(records))
	size := 0
	for i := range records {
		frames[i] = sub.to.Encoder().Encode(records[i].Delivered(), frame.Durable, "")
		size += frames[i].Size()
	}
	// Wait until the page before has gone, so that history alone never overflows a
	// queue: at most two pages wait.
	if err := sub.to.Drained(ctx, h.cfg.PageBytes); err != nil {
		return h.finish(sub), fmt.Errorf("deliver: the client does not take history: %w", err)
	}
	if len(frames) > 0 && !sub.to.Sink().PushAll(frames) {
		return h.finish(sub), nil // its connection is closing
	}
	h.CaughtUp.Add(uint64(len(frames)))

	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(records); n > 0 && !sub.rewound {
		sub.epoch, sub.at = records[n-1].Epoch, records[n-1].Offset
	}
	if sub.index < 0 || f.stands(sub) {
		sub.pumping = false
		return true, nil
	}
	if len(records) == 0 && !sub.rewound {
		sub.pumping = false
		return true, errHole
	}
	return false, nil
}

func (h *Hub) finish(sub *Sub) bool {
	sub.feed.mu.Lock()
	sub.pumping = false
	sub.feed.mu.Unlock()
	return true
}

// read takes a turn at history.
func (h *Hub) read(ctx context.Context, k roomKey, at event.Position) ([]event.Record, error) {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return h.deps.History.After(ctx, k.tenant, k.room, at, h.cfg.Page, h.cfg.PageBytes)
}

// heal reads what is missing before the records that came too early, once for all
// subscribers. If it can not, they are told that the room is lost.
func (f *feed) heal() {
	h := f.hub
	defer h.wg.Done()
	for {
		f.mu.Lock()
		at := event.Position{Epoch: f.epoch, Offset: f.top}
		if f.top >= f.ahead {
			f.healing = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timeout)
		records, err := h.read(ctx, f.key, at)
		cancel()
		if err == nil && len(records) == 0 {
			err = errHole
		}
		if err != nil {
			f.giveUp(err)
			return
		}
		f.publish(records)
	}
}

// giveUp forgets where the room stands and tells its subscribers.
func (f *feed) giveUp(err error) {
	if f.hub.ctx.Err() == nil {
		f.hub.deps.Log.Error("a gap in a room could not be filled", "tenant", f.key.tenant, "room", f.key.room, "after", f.top, "error", err)
	}
	f.mu.Lock()
	f.known, f.held, f.ahead, f.healing = false, nil, 0, false
	subs := make([]*Sub, len(f.subs))
	copy(subs, f.subs)
	for _, s := range subs {
		f.pause(s)
	}
	f.mu.Unlock()
	for _, s := range subs {
		s.to.Lost(s, err)
	}
}
