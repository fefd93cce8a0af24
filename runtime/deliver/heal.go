package deliver

import (
	"maps"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

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
		f.hub.wg.Go(f.heal) // until the gap is filled or given up, or the hub's context ends
	}
}

// release drops what was held and came from history too. With f.mu held.
func (f *feed) release() {
	maps.DeleteFunc(f.held, func(offset uint64, _ event.Record) bool { return offset <= f.top })
	if len(f.held) == 0 {
		f.held = nil
	}
}

// heal reads what is missing before the records that came too early, once for all
// subscribers. If it can not, they are told that the room is lost.
func (f *feed) heal() {
	h := f.hub
	for {
		at, missing := f.gap()
		if !missing {
			return
		}
		err := f.fill(at)
		if h.ctx.Err() != nil {
			return
		}
		if err != nil {
			h.deps.Log.Error("a gap in a room could not be filled", "tenant", f.key.tenant, "room", f.key.room, "after", at.Offset, "error", err)
			f.giveUp(err)
		}
	}
}

// gap is where records are missing. Nothing else ends healing: what is held from
// now on has a goroutine that sees it.
func (f *feed) gap() (at event.Position, missing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healing = f.known && f.top < f.ahead
	return event.Position{Epoch: f.epoch, Offset: f.top}, f.healing
}

func (f *feed) fill(at event.Position) (err error) {
	defer f.hub.contain("heal", f.key, &err)
	records, err := f.hub.read(f.key, at)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fault.Wrap("deliver.heal", fault.Unavailable, errHole)
	}
	f.publish(records)
	return nil
}

// giveUp forgets where the room stands and tells its subscribers.
func (f *feed) giveUp(err error) {
	f.mu.Lock()
	f.known, f.held, f.ahead = false, nil, 0
	subs := slices.Clone(f.subs)
	for _, s := range subs {
		f.pause(s)
	}
	f.mu.Unlock()
	for _, s := range subs {
		s.to.Lost(s, err)
	}
}
