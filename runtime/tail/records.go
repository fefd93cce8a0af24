package tail

import (
	"bytes"
	"errors"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// kept is a record in memory.
type kept struct {
	event.Record
	at   int64 // in the log
	size int64
}

var errHole = errors.New("the base lacks records of the room")

// add makes a record the room's newest one.
func (e *entry) add(r *event.Record, at int64) *kept {
	h, _ := e.head()
	if h.Epoch != r.Epoch || h.Offset+1 != r.Offset {
		e.dropRecords(len(e.records))
	}
	k := kept{Record: e.copy(r, h.Epoch), at: at, size: recordSize + size(r)}
	e.bytes += k.size
	e.records = append(e.records, k)
	e.noted = min(e.noted, r.Offset)
	e.put(key{table: tableHead}, sequence.Head{
		Head: event.Head{Position: k.Position, Messages: k.Messages}, Timestamp: k.Timestamp, Ended: k.Ends,
	}, 0, at)
	return &e.records[len(e.records)-1]
}

// copy is a record that holds on to nothing of what it came in.
func (e *entry) copy(r *event.Record, epoch string) event.Record {
	c := *r
	c.Tenant, c.Room, c.Epoch, c.Call, c.Data = e.tenant, e.room, epoch, 0, nil
	if r.Epoch != epoch {
		c.Epoch = strings.Clone(r.Epoch)
	}
	if len(r.Data) > 0 {
		c.Data = bytes.Clone(r.Data)
	}
	texts := [...]*string{&c.ID, &c.From.User, &c.From.Device, &c.Ref, &c.Action, &c.Key}
	var b strings.Builder
	b.Grow(len(r.ID) + len(r.From.User) + len(r.From.Device) + len(r.Ref) + len(r.Action) + len(r.Key))
	for _, s := range texts {
		b.WriteString(*s)
	}
	all := b.String()
	for _, s := range texts {
		*s, all = all[:len(*s)], all[len(*s):]
	}
	return c
}

// size is about what a record takes when it is sent.
func size(r *event.Record) int64 {
	return int64(64 + len(r.ID) + len(r.From.User) + len(r.From.Device) + len(r.Action) + len(r.Key) + len(r.Data))
}

// dropRecords drops the n oldest records.
func (e *entry) dropRecords(n int) {
	for i := range n {
		e.bytes -= e.records[i].size
	}
	clear(e.records[:n])
	if e.records = e.records[n:]; len(e.records) == 0 {
		e.records = nil
	}
}

// shorten drops old records that the base has when there are many, with what is known of
// them.
func (e *entry) shorten(passed int64, keep int) {
	n := 0
	for n < len(e.records)-keep && e.records[n].at < passed {
		n++
	}
	if n < keep || e.ended != clean { // no more will come
		return
	}
	e.dropRecords(n)
	e.noted = max(e.noted, e.records[0].Offset)
	e.forget(func(c *cell) bool {
		return (c.table == tableNote || c.table == tableRedacted) && c.offset < e.records[0].Offset && c.at < passed
	})
}

// redact removes the data of a record.
func (e *entry) redact(offset uint64) {
	if !e.covers(offset) {
		return
	}
	k := &e.records[offset-e.records[0].Offset]
	e.bytes -= int64(len(k.Data))
	k.size -= int64(len(k.Data))
	k.Data, k.Redacted = nil, true
}

func (e *entry) redacted(offset uint64) bool {
	return e.find(key{table: tableRedacted, offset: offset}) != nil
}

// covers reports whether a record is in memory.
func (e *entry) covers(offset uint64) bool {
	n := len(e.records)
	return n > 0 && e.records[0].Offset <= offset && offset <= e.records[n-1].Offset
}

// page is what a reader of records gets.
type page struct {
	records []event.Record
	limit   int
	bytes   int
	now     int64 // Unix milliseconds
}

func (p *page) full() bool { return len(p.records) >= p.limit || p.bytes <= 0 }

func (p *page) add(r event.Record) {
	p.bytes -= int(size(&r))
	if r.Expires != 0 && r.Expires <= p.now && !planted.ExpiredShown {
		r.Data = nil
	}
	p.records = append(p.records, r)
}

// addFrom adds a record that the base has returned.
func (e *entry) addFrom(p *page, r *event.Record) {
	c := *r
	if e.redacted(r.Offset) {
		c.Data, c.Redacted = nil, true
	}
	p.add(c)
}

// heard is what the base has said of records: nothing, if it was not asked.
type heard struct {
	asked   bool
	records []event.Record
}

// after fills a page with the records behind a position: first those that the base has
// returned, then those in memory. done is false if the base may have more.
func (e *entry) after(p *page, at event.Position, base heard) (done bool, err error) {
	h, known := e.head()
	switch {
	case !known:
	case at.Offset == 0 && at.Epoch == "":
	case at.Epoch != h.Epoch, at.Offset > h.Offset:
		return true, room.ErrTrimmed
	}
	next := at.Offset + 1
	for i := range base.records {
		r := &base.records[i]
		if p.full() || e.covers(next) {
			break
		}
		if r.Offset != next || known && r.Epoch != h.Epoch {
			return true, hole()
		}
		e.addFrom(p, r)
		next++
	}
	for !p.full() && e.covers(next) {
		p.add(e.records[next-e.records[0].Offset].Record)
		next++
	}
	if done = p.full() || known && next > h.Offset; !done && known && base.asked && len(p.records) == 0 {
		return true, hole()
	}
	return done, nil
}

// before fills a page with the records before an offset: first those in memory, then those
// that the base has returned. ask is the offset that the next ones are before.
func (e *entry) before(p *page, offset uint64, base heard) (ask uint64, done bool, err error) {
	h, known := e.head()
	if !known {
		for i := range base.records {
			e.addFrom(p, &base.records[i])
		}
		return offset, false, nil
	}
	next := h.Offset
	if offset > 0 {
		next = min(next, offset-1)
	}
	for !p.full() && e.covers(next) {
		p.add(e.records[next-e.records[0].Offset].Record)
		next--
	}
	for i := range base.records {
		r := &base.records[i]
		if p.full() {
			break
		}
		if r.Offset > next {
			continue
		}
		if r.Offset < next || r.Epoch != h.Epoch {
			return 0, true, hole()
		}
		e.addFrom(p, r)
		next--
	}
	done = p.full() || next == 0
	if !done && base.asked && next == h.Offset { // the newest one is always kept
		return 0, true, hole()
	}
	return next + 1, done, nil
}

func hole() error { return fault.Wrap("tail.read", fault.Unavailable, errHole) }

// learnRecords takes over those records of the base, the oldest first, that are right before
// the ones in memory, or the newest, as long as there are not many.
func (e *entry) learnRecords(base []event.Record, keep int) {
	h, known := e.head()
	if !known || len(base) == 0 || base[0].Epoch != h.Epoch {
		return
	}
	next := h.Offset + 1
	if len(e.records) > 0 {
		next = e.records[0].Offset
	}
	first := base[0].Offset
	if base[len(base)-1].Offset-first != uint64(len(base)-1) {
		return // with a hole
	}
	if first >= next || first+uint64(len(base)) < next {
		return
	}
	base = base[:next-first]
	base = base[max(0, len(base)-max(0, keep-len(e.records))):]
	older := make([]kept, len(base))
	for i := range base {
		r := &base[i]
		older[i] = kept{Record: e.copy(r, h.Epoch), at: clean, size: recordSize + size(r)}
		e.bytes += older[i].size
	}
	e.records = append(older, e.records...)
	for i := range older {
		if e.redacted(older[i].Offset) {
			e.redact(older[i].Offset)
		}
	}
}
