package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Partition is one term of a partition.
type Partition struct {
	log    *Log
	number int32
	term   uint64

	// The assigner's.
	seq uint64

	// Whose Wait it is.
	next int64 // offset that the next event has if nobody else has written

	mu    sync.Mutex
	dead  error // why the term is over for this writer
	heads *heads
	keys  *keys
}

// ErrOver is of a term that another has ended.
var ErrOver = errors.New("kafka: another node has taken the partition over")

// Term numbers the term.
func (p *Partition) Term() uint64 { return p.term }

// Head is the newest position of a room.
func (p *Partition) Head(ctx context.Context, tenant, room string) (sequence.Head, error) {
	p.mu.Lock()
	h, ok := p.heads.find(tenant, room)
	p.mu.Unlock()
	if ok || p.log.deps.Base == nil {
		return h, nil
	}
	return p.log.deps.Base.Head(ctx, tenant, room)
}

// Lookup finds what a key was stored as.
func (p *Partition) Lookup(_ context.Context, key sequence.Key) (sequence.Stored, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.keys.find(key)
	return s, ok, nil
}

// Append sends a batch on its way.
func (p *Partition) Append(_ context.Context, batch []event.Record) (sequence.Pending, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead != nil {
		return nil, p.dead
	}
	w := &pending{p: p, batch: batch, sent: make([]kgo.Record, len(batch)), done: make(chan struct{}), left: len(batch)}
	values := make([]byte, 0, valuesSize(batch))
	for i := range batch {
		r := &batch[i]
		p.seq++
		from := len(values)
		values = appendEvent(values, p.term, p.seq, r)
		w.sent[i] = kgo.Record{Topic: p.log.cfg.Topic, Partition: p.number, Key: []byte(r.Tenant + "/" + r.Room), Value: values[from:len(values):len(values)]}
		p.heads.put(r, inFlight)
	}
	for i := range w.sent {
		// The term must not end with whoever waits: the client gives up when it is closed.
		p.log.client.Produce(context.Background(), &w.sent[i], w.stored)
	}
	return w, nil
}

// Close gives the partition up.
func (p *Partition) Close() error {
	p.end(errors.New("kafka: the partition was closed"))
	return nil
}

func (p *Partition) end(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead == nil {
		p.dead = why
	}
}

// pending is a batch on its way.
type pending struct {
	p     *Partition
	batch []event.Record
	sent  []kgo.Record

	mu   sync.Mutex
	left int
	err  error
	done chan struct{} // closed when nothing is left
}

// stored is the producer's answer about one record.
func (w *pending) stored(_ *kgo.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.err == nil {
		w.err = err
	}
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

// Wait returns when all events of the batch count, and are durable.
func (w *pending) Wait(ctx context.Context) error {
	select {
	case <-w.done:
	case <-ctx.Done():
		w.p.end(context.Cause(ctx))
		return context.Cause(ctx)
	}
	err := w.err
	if err == nil {
		err = w.p.follow(ctx, w.sent)
	}
	if err != nil {
		err = fmt.Errorf("kafka: partition %d: %w", w.p.number, err)
		w.p.end(err)
		return err
	}
	w.p.count(w.batch, w.sent)
	return nil
}

// follow makes sure that nobody has begun a term before these records.
func (p *Partition) follow(ctx context.Context, sent []kgo.Record) error {
	for i := range sent {
		at := sent[i].Offset
		switch {
		case at < p.next: // a broker that does not know any more where it has put it
			return fmt.Errorf("an event was stored at %d, behind one at %d", at, p.next-1)
		case at > p.next:
			if err := p.look(ctx, p.next, at); err != nil {
				return err
			}
		}
		p.next = at + 1
	}
	return nil
}

// look reads what others have written in between.
func (p *Partition) look(ctx context.Context, from, to int64) error {
	return p.log.read(ctx, p.number, from, to, func(rec *kgo.Record) error {
		if m, err := parse(rec.Value); err == nil && m.kind == kindTerm {
			return fmt.Errorf("%w: %s, at %d", ErrOver, m.node, rec.Offset)
		} else if errors.Is(err, ErrNewer) {
			return recordError(rec, err)
		}
		return nil
	})
}

// count remembers events that count from now on.
func (p *Partition) count(batch []event.Record, sent []kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range batch {
		p.heads.settle(&batch[i], sent[i].Offset)
		p.keys.put(&batch[i])
	}
	if base := p.log.deps.Base; base != nil {
		p.heads.trim(base.Passed(int(p.number)))
	}
}

// valuesSize is about how many bytes the events of a batch take.
func valuesSize(batch []event.Record) (n int) {
	for i := range batch {
		r := &batch[i]
		n += 128 + len(r.Tenant) + len(r.Room) + len(r.Data) + len(r.From.User) + len(r.Key)
	}
	return n
}
