package tail

import (
	"context"
	"fmt"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Head is the newest position of a room (room.History).
func (t *Tail) Head(ctx context.Context, tenant, id string) (event.Head, error) {
	h, err := t.SequenceHead(ctx, tenant, id)
	return h.Head, err
}

// SequenceHead is Head as the room's committer needs it.
func (t *Tail) SequenceHead(ctx context.Context, tenant, id string) (sequence.Head, error) {
	v, err := t.point(ctx, name{tenant, id}, key{table: tableHead}, func(ctx context.Context) (any, int, error) {
		h, err := t.base.SequenceHead(ctx, tenant, id)
		return h, len(h.Epoch), err
	})
	h, _ := v.(sequence.Head)
	return h, err
}

// After returns the records behind a position (room.History). A position that is ahead of
// the room is ErrTrimmed too.
func (t *Tail) After(ctx context.Context, tenant, id string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	q := query{
		what: "after", at: p, limit: limit, bytes: maxBytes,
		fill: func(e *entry, to *page, base heard) (bool, error) { return e.after(to, p, base) },
		ask: func(ctx context.Context, limit, maxBytes int) ([]event.Record, error) {
			return t.base.After(ctx, tenant, id, p, limit, maxBytes)
		},
	}
	return t.records(ctx, name{tenant, id}, &q)
}

// Before returns records, newest first (room.History).
func (t *Tail) Before(ctx context.Context, tenant, id string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	from := offset // what memory has is left out
	q := query{
		what: "before", at: event.Position{Offset: offset}, limit: limit, bytes: maxBytes,
		fill: func(e *entry, to *page, base heard) (done bool, err error) {
			from, done, err = e.before(to, offset, base)
			return done, err
		},
		ask: func(ctx context.Context, limit, maxBytes int) ([]event.Record, error) {
			return t.base.Before(ctx, tenant, id, from, limit, maxBytes)
		},
	}
	return t.records(ctx, name{tenant, id}, &q)
}

// query is one for records.
type query struct {
	what         string
	at           event.Position
	limit, bytes int
	fill         func(e *entry, to *page, base heard) (done bool, err error)
	ask          func(ctx context.Context, limit, maxBytes int) ([]event.Record, error)
}

func (t *Tail) records(ctx context.Context, n name, q *query) ([]event.Record, error) {
	page, done, err := t.inMemory(n, q)
	if done {
		return page.records, err
	}
	records, err := fetch(ctx, t, n, fmt.Sprintf("%s %q %d %d %d", q.what, q.at.Epoch, q.at.Offset, q.limit, q.bytes), func(ctx context.Context, e *entry) ([]event.Record, error) {
		page, done, err := t.inMemory(n, q)
		if done {
			return page.records, err
		}
		base, err := q.ask(ctx, q.limit-len(page.records), page.bytes)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		page = t.newPage(q)
		if _, err = q.fill(e, &page, heard{true, base}); err == nil {
			if len(base) > 1 && base[0].Offset > base[1].Offset {
				base = slices.Clone(base)
				slices.Reverse(base)
			}
			e.learnRecords(base, t.limits.records)
		}
		return page.records, err
	})
	return slices.Clone(records), err // others have got the same
}

// inMemory is a page, if the base need not be asked for it.
func (t *Tail) inMemory(n name, q *query) (p page, done bool, err error) {
	p = t.newPage(q)
	t.use(n, func(e *entry) { done, err = q.fill(e, &p, heard{}) })
	return p, done, err
}

func (t *Tail) newPage(q *query) page {
	return page{limit: q.limit, bytes: q.bytes, now: t.now().UnixMilli()}
}
