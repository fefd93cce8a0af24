package tail

import (
	"context"
	"fmt"
	"math"

	"github.com/heddle-rt/heddle/runtime/room"
)

// item is one of a listing, or a note.
type item struct {
	key
	value any
	size  int
}

// span is from one key to another, the latter left out.
type span struct{ low, high key }

// behind are the items of a listing behind a name, or all of them.
func (l listing) behind(name string) span {
	s := span{key{table: l.table, kind: l.kind}, key{table: l.table, kind: l.kind + "\x00"}}
	if name != "" {
		s.low.name = name + "\x00"
	}
	return s
}

// merge puts what the cells say over what the base has. more says that the base was asked
// for no more items, and may have some.
func (e *entry) merge(s span, base []item, more bool, limit int) (out []item) {
	if e.complete(s.low) {
		base, more = nil, false
	}
	if more {
		s.high = base[len(base)-1].key
		s.high.name += "\x00"
	}
	cells := e.between(s)
	for (len(base) > 0 || len(cells) > 0) && (limit <= 0 || len(out) < limit) {
		if len(cells) == 0 || len(base) > 0 && compareKeys(base[0].key, cells[0].key) < 0 {
			if !e.outdated(base[0].key) {
				out = append(out, base[0])
			}
			base = base[1:]
			continue
		}
		c := cells[0]
		cells = cells[1:]
		if len(base) > 0 && base[0].key == c.key {
			base = base[1:]
		}
		if c.value != nil {
			out = append(out, item{key: c.key, value: c.value})
		}
	}
	return out
}

// outdated reports whether the base has a note of a record that was redacted since.
func (e *entry) outdated(k key) bool { return k.table == tableNote && e.redacted(k.offset) }

// lister asks the base for a page of a listing.
type lister func(ctx context.Context, after string, limit int) ([]item, error)

// page reads a listing from behind a name.
func (t *Tail) page(ctx context.Context, n name, l listing, after string, limit int, ask lister) ([]item, error) {
	if limit <= 0 {
		return nil, nil
	}
	s := l.behind(after)
	if out, ok := t.listed(n, s, limit); ok {
		return out, nil
	}
	if err := t.learnWhole(ctx, n, l, ask); err != nil {
		return nil, err
	}
	if out, ok := t.listed(n, s, limit); ok {
		return out, nil
	}
	return fetch(ctx, t, n, fmt.Sprintf("page %s %d", s.low, limit), func(ctx context.Context, e *entry) ([]item, error) {
		for size := limit; ; size *= 2 { // some of the base's items may be gone
			base, err := ask(ctx, after, size)
			if err != nil {
				return nil, err
			}
			more := len(base) == size
			t.mu.Lock()
			out := e.merge(s, base, more, limit)
			t.mu.Unlock()
			if len(out) == limit || !more {
				return out, nil
			}
		}
	})
}

// listed is what is in memory, if that is all.
func (t *Tail) listed(n name, s span, limit int) (out []item, ok bool) {
	t.use(n, func(e *entry) {
		if ok = e.complete(s.low); ok {
			out = e.merge(s, nil, false, limit)
		}
	})
	return out, ok
}

// learnWhole brings a listing into memory, unless it is known to be too large for that.
func (t *Tail) learnWhole(ctx context.Context, n name, l listing, ask lister) error {
	var known extent
	t.use(n, func(e *entry) { known = e.extents[l] })
	if known != 0 {
		return nil
	}
	_, err := fetch(ctx, t, n, fmt.Sprintf("whole %d %q", l.table, l.kind), func(ctx context.Context, e *entry) (struct{}, error) {
		t.use(n, func(e *entry) { known = e.extents[l] })
		if known != 0 {
			return struct{}{}, nil
		}
		base, err := ask(ctx, "", t.limits.whole+1)
		if err != nil {
			return struct{}{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(base) > t.limits.whole {
			e.extents[l] = large
			return struct{}{}, nil
		}
		for _, i := range base {
			e.learn(i.key, i.value, i.size)
		}
		e.extents[l] = whole
		return struct{}{}, nil
	})
	return err
}

// notes reads those of a range of records.
func (t *Tail) notes(ctx context.Context, n name, from, to uint64, limit int) ([]item, error) {
	s := span{key{table: tableNote, offset: from}, key{table: tableNote + 1}}
	if to < math.MaxUint64 {
		s.high = key{table: tableNote, offset: to + 1}
	}
	if out, ok := t.listed(n, s, limit); ok {
		return out, nil
	}
	return fetch(ctx, t, n, fmt.Sprintf("notes %d %d %d", from, to, limit), func(ctx context.Context, e *entry) ([]item, error) {
		for size := limit; ; size *= 2 { // as in page
			notes, err := t.base.Notes(ctx, n.tenant, n.room, from, to, size)
			if err != nil {
				return nil, err
			}
			more := size > 0 && len(notes) == size
			base := noteItems(notes)
			t.mu.Lock()
			out := e.merge(s, base, more, limit)
			if !more {
				e.learnNotes(from, to, base, t.limits.whole)
			}
			t.mu.Unlock()
			if !more || len(out) == limit {
				return out, nil
			}
		}
	})
}

// learnNotes keeps all notes of a range, if it ends where all are known, or at the head.
func (e *entry) learnNotes(from, to uint64, base []item, most int) {
	h, known := e.head()
	if !known || len(base) > most || to < h.Offset && to+1 < e.noted || from >= e.noted {
		return
	}
	for _, i := range base {
		if !e.outdated(i.key) {
			e.learn(i.key, i.value, i.size)
		}
	}
	e.noted = from
}

func noteItems(notes []room.Note) []item {
	out := make([]item, len(notes))
	for i := range notes {
		out[i] = item{noteKey(&notes[i]), notes[i].Value, len(notes[i].Value)}
	}
	return out
}
