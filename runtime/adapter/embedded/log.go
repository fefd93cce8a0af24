package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

var errSuperseded = fmt.Errorf("embedded: the partition was opened again: %w", sequence.ErrSuperseded)

// Log is the store as the committer's log. Rooms are kept by name, so that the
// number of partitions may change between runs.
type Log struct{ s *Store }

// Log of the store.
func (s *Store) Log() *Log { return &Log{s} }

// Open gives a partition to the caller under the next term, which is on disk when
// it returns. It does not look at ctx: it waits for nothing but the local disk.
func (l *Log) Open(_ context.Context, number int) (sequence.Partition, error) {
	s := l.s
	if number < 0 || number > 1<<16-1 {
		return nil, fmt.Errorf("embedded: there is no partition %d", number)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	term, err := s.nextTerm(number)
	if err != nil {
		return nil, err
	}
	if old := s.open[number]; old != nil {
		old.over.Store(true)
	}
	p := &partition{s: s, number: number, term: term, usage: s.usage.tally(number)}
	s.open[number] = p
	return p, nil
}

// partition is one partition under one term. Its buffers make it usable by one
// goroutine only.
type partition struct {
	s      *Store
	number int
	term   uint64
	over   atomic.Bool
	tables tables
	usage  *tally
	key    []byte
	value  []byte
}

func (p *partition) Term() uint64 { return p.term }

func (p *partition) usable() error {
	if p.over.Load() {
		return errSuperseded
	}
	return p.s.alive()
}

// Head sees what was applied, durable or not.
func (p *partition) Head(_ context.Context, tenant, room string) (sequence.Head, error) {
	if err := p.usable(); err != nil {
		return sequence.Head{}, err
	}
	v, err := p.s.view(tenant, room)
	if err != nil {
		return sequence.Head{}, err
	}
	defer v.close()
	return v.head(^uint64(0))
}

func (p *partition) Lookup(_ context.Context, k sequence.Key) (st sequence.Stored, ok bool, err error) {
	if err := p.usable(); err != nil {
		return st, false, err
	}
	p.key = appendKeyRow(p.key[:0], 0, &k)
	ok, err = p.s.window.find(p.key, func(row []byte) (bool, error) {
		return p.s.get(row, func(v []byte) (err error) {
			st, err = codec.DecodeStored(v)
			return err
		})
	})
	return st, ok, err
}

// Append applies the batch in one piece, with keys and table rows.
func (p *partition) Append(_ context.Context, records []event.Record) (_ sequence.Pending, err error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	b := p.s.db.NewBatch()
	w := &pending{s: p.s, batch: b, rooms: make([]written, len(records)), done: make(chan struct{})}
	p.usage.begin()
	p.tables.begin(b, w, p.usage)
	defer p.tables.end()
	for i := range records {
		r := &records[i]
		if err := p.put(b, r); err != nil {
			return nil, errors.Join(err, b.Close())
		}
		w.rooms[i] = written{name{r.Tenant, r.Room}, r.Offset, event.Head{Position: r.Position, Messages: r.Messages}}
	}
	if p.tables.fail(p.usage.write(b)); p.tables.err != nil {
		return nil, errors.Join(p.tables.err, b.Close())
	}
	p.s.unsynced.add(w)
	defer p.s.contain(&err)
	if err := p.s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		p.s.die(err) // how much of it was stored is not known
		return nil, p.s.alive()
	}
	p.usage.applied()
	return w, nil
}

func (p *partition) put(b *pebble.Batch, r *event.Record) error {
	p.key = appendRecordKey(p.key[:0], r.Tenant, r.Room, r.Offset)
	p.value = codec.AppendRecord(p.value[:0], r)
	if err := b.Set(p.key, p.value, nil); err != nil {
		return err
	}
	p.usage.record(r, len(p.key)+len(p.value))
	if r.Key != "" {
		k := sequence.KeyOf(r)
		p.key = appendKeyRow(p.key[:0], 0, &k)
		p.s.window.put(p.key)
		p.value = codec.AppendStored(p.value[:0], sequence.StoredOf(r))
		if err := b.Set(p.key, p.value, nil); err != nil {
			return err
		}
	}
	if project := p.s.deps.Projections[r.Action]; project != nil {
		project(&p.tables, r)
	}
	return nil
}

func (p *partition) Close() error {
	p.over.Store(true)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.open[p.number] == p {
		delete(p.s.open, p.number)
	}
	return nil
}

// pending is an applied batch.
type pending struct {
	s     *Store
	batch *pebble.Batch
	rooms []written // of its records
	users []name    // whose rows it changes
	done  chan struct{}
}

// written is where a record went.
type written struct {
	name
	offset uint64
	head   event.Head // of the room, with it
}

// Wait does not look at ctx: the disk answers, or the process is at its end.
func (w *pending) Wait(context.Context) error {
	if err := w.batch.SyncWait(); err != nil {
		w.s.die(err)
	}
	// A batch that was synced after another one failed may lie behind a hole.
	if err := w.s.alive(); err != nil {
		return err
	}
	w.s.unsynced.remove(w)
	w.s.recent.update(w) // behind: a head that is known can be read up to
	return fault.Wrap("embedded.append", fault.Internal, w.batch.Close())
}
