package kv

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/cell"
)

// sweepPause is how long after a part was looked through that begins again.
const sweepPause = time.Minute

// sweepPage is how many keys are looked at before it is another part's turn: with their
// values they have 7 MiB at most.
const sweepPage = 100

// progress is how far a part was looked through.
type progress struct {
	after string    // the key that was the last
	from  time.Time // when it goes on
}

// Sweep removes keys whose time is over, and returns how many. It looks at so many keys of
// the parts that are open, and at a page of each in turn, and goes on behind these the next
// time: however many one plugin has, the others' go, too. What was looked through is left
// alone for a minute. It returns an error after it has tried all.
func (s *Store) Sweep(ctx context.Context, most int) (removed int, err error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	for _, p := range s.due() {
		if most <= 0 || ctx.Err() != nil {
			break
		}
		looked, gone, failed := p.look(ctx)
		most -= max(1, looked)
		removed += gone
		err = cmp.Or(err, failed)
		s.swept = p.name
	}
	return removed, err
}

// due are the parts that are to be looked at, those behind the last one first.
func (s *Store) due() (parts []*Part) {
	now := s.now()
	s.mu.Lock()
	for _, p := range s.parts {
		if !now.Before(p.sweep.from) && s.sweeps(p.name) {
			parts = append(parts, p)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(parts, func(a, b *Part) int { return a.name.compare(b.name) })
	next := slices.IndexFunc(parts, func(p *Part) bool { return p.name.compare(s.swept) > 0 })
	return slices.Concat(parts[max(0, next):], parts[:max(0, next)])
}

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.tenant, o.tenant), cmp.Compare(n.plugin, o.plugin))
}

// look removes what is over among the next page of keys.
func (p *Part) look(ctx context.Context) (looked, removed int, err error) {
	now := p.store.now()
	list, err := p.store.cells.Cells(ctx, p.name.tenant, p.table, p.sweep.after, sweepPage)
	for i := range list {
		if list[i].Key == gate {
			continue
		}
		if v, expires := unpack(list[i].Value, now.UnixMilli()); err == nil && v == nil && expires != 0 {
			var gone bool
			if gone, err = p.expire(ctx, list[i].Key); gone {
				removed++
			}
		}
	}
	switch {
	case err != nil: // the page comes again, and others meanwhile
		p.sweep.from = now.Add(sweepPause)
	case len(list) < sweepPage:
		p.sweep = progress{from: now.Add(sweepPause)}
	default:
		p.sweep.after = list[len(list)-1].Key
	}
	return len(list), removed, err
}

// expire removes a key unless it has been written again.
func (p *Part) expire(ctx context.Context, key string) (gone bool, err error) {
	if p.store.shared != nil {
		return p.expireShared(ctx, key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alone != nil || p.dropped || !p.counted {
		return false, nil // next time
	}
	raw, found, err := p.store.cells.Cell(ctx, p.name.tenant, p.table, key)
	if v, expires := unpack(raw, p.store.now().UnixMilli()); err != nil || !found || v != nil || expires == 0 {
		return false, err
	}
	if err := p.store.own.PutCellsSoon(p.name.tenant, p.table, cell.Cell{Key: key}); err != nil {
		return false, err
	}
	p.used.add(-size(key, raw), -1)
	return true, nil
}
