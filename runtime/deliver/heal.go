package deliver

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// hold keeps records that came too early. What does not fit is read from history
// with the rest of the gap.
func (f *feed) hold(records []event.Record) {
	news := behind(records, f.top)
	f.repeats(len(records) - len(news))
	if len(news) == 0 {
		return
	}
	f.hub.Gaps.Add(uint64(len(news)))
	if f.held == nil {
		f.held = map[uint64]event.Record{}
	}
	for i := range news {
		if len(f.held) >= f.hub.cfg.Reorder {
			break
		}
		f.held[news[i].Offset] = news[i]
	}
	f.ahead = max(f.ahead, news[len(news)-1].Offset)
	f.mend()
}

// suspect notes records of another life of the room than the feed's, not from its
// first on: either it is over, or its first record was lost.
func (f *feed) suspect(records []event.Record) {
	f.hub.Gaps.Add(uint64(len(records)))
	f.astray(records[len(records)-1].Position)
}

// astray notes a position of another life. With f.mu held.
func (f *feed) astray(p event.Position) {
	if f.stray.Epoch == p.Epoch {
		p.Offset = max(p.Offset, f.stray.Offset)
	}
	f.stray = p
	f.mend()
}

// mend has a goroutine heal the feed. With f.mu held.
func (f *feed) mend() {
	if !f.healing {
		f.healing = true
		f.hub.wg.Go(f.heal) // until nothing is missing or it is given up, or the hub's context ends
	}
}

// heal reads what is missing before the records that came too early, once for all
// subscribers. If it can not, they are told that the room is lost.
func (f *feed) heal() {
	h := f.hub
	for {
		at, stray, missing := f.gap()
		if !missing {
			return
		}
		var err error
		if stray != "" {
			err = f.ask(stray)
		} else {
			err = f.fill(at)
		}
		if h.ctx.Err() != nil {
			return
		}
		if err != nil {
			h.deps.Log.Error("a gap in a room could not be filled", "tenant", f.key.tenant, "room", f.key.room, "after", at.Offset, "error", err)
			f.giveUp(err)
		}
	}
}

// gap is where records are missing, and the life of which it is not known whether it
// is over. Nothing else ends healing: what is held from now on has a goroutine that
// sees it.
func (f *feed) gap() (at event.Position, stray string, missing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healing = f.known && (f.top < f.ahead || f.stray.Epoch != "")
	if !f.healing {
		f.held = nil
	}
	return event.Position{Epoch: f.epoch, Offset: f.top}, f.stray.Epoch, f.healing
}

// ask finds out whether a life of the room is the one that it has now. If so, the
// feed begins anew with it; otherwise what came of it is dropped.
func (f *feed) ask(epoch string) (err error) {
	defer f.hub.contain("heal", f.key, &err)
	ctx, cancel := context.WithTimeout(f.hub.ctx, f.hub.cfg.Timeout)
	defer cancel()
	// What was published is durable: the answer is not older.
	head, err := f.hub.deps.History.Head(ctx, f.key.tenant, f.key.room)
	if err != nil {
		return fault.Wrap("deliver.heal", fault.Unavailable, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.stray.Epoch != epoch: // its first record has come meanwhile, or those of yet another life
	case head.Epoch != epoch:
		f.stray = event.Position{}
	case f.epoch != epoch:
		f.stand(epoch, 0)
	default: // a subscriber knew it
		f.ahead, f.stray = max(f.ahead, f.stray.Offset), event.Position{}
	}
	return nil
}

// fill delivers what comes behind a position: what is held, or else a page of history.
func (f *feed) fill(at event.Position) (err error) {
	defer f.hub.contain("heal", f.key, &err)
	records := f.next()
	if len(records) == 0 {
		if records, err = f.hub.read(f.key, at); err != nil {
			return err
		}
		if len(records) == 0 || records[0].Offset != at.Offset+1 {
			return fault.Wrap("deliver.heal", fault.Unavailable, errHole)
		}
	}
	for len(records) > 0 {
		n := run(records)
		f.hub.observe(f.key, f, f.filled(at.Epoch, records[:n]))
		records = records[n:]
	}
	return nil
}

// next takes those of the records held that follow the feed's position, and drops
// those that came from history too.
func (f *feed) next() (records []event.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.held, func(offset uint64, _ event.Record) bool { return offset <= f.top })
	for {
		at := f.top + uint64(len(records)) + 1
		r, ok := f.held[at]
		if !ok {
			return records
		}
		delete(f.held, at)
		records = append(records, r)
	}
}

// filled is accept for records that may be of a life that has ended meanwhile.
func (f *feed) filled(epoch string, records []event.Record) (fresh []event.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || f.epoch != epoch {
		return nil
	}
	return f.accept(records)
}

// giveUp forgets where the room stands and tells its subscribers. Who observes users'
// own rooms is told of what was held.
func (f *feed) giveUp(err error) {
	f.mu.Lock()
	rest := slices.SortedFunc(maps.Values(f.held), func(a, b event.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	f.known, f.held, f.ahead, f.stray, f.leaving = false, nil, 0, event.Position{}, 0
	subs := slices.Clone(f.subs)
	for _, s := range subs {
		f.pause(s)
	}
	f.mu.Unlock()
	for _, s := range subs {
		s.to.Lost(s, err)
	}
	_ = f.hub.bring(f.key, nil, rest) // a panic is logged, and there is nobody else to tell
}
