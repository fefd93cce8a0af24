package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Partition is one term of a partition.
type Partition struct {
	log    *Log
	writer *kgo.Client
	number int32
	term   uint64

	// The assigner's.
	seq uint64

	// Whose Wait it is.
	table Table
	at    []int64 // of the batch that table is given

	mu    sync.Mutex
	next  int64 // offset that the next event has if nobody else has written
	dead  error // why the term is over for this writer
	heads *heads
	keys  *keys
}

// ErrOver is of a term that another has ended.
var ErrOver = fmt.Errorf("kafka: another node has taken the partition over: %w", sequence.ErrSuperseded)

// errSilent is of events of which nobody knows whether they are stored.
var errSilent = errors.New("the brokers have not answered in time")

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

// Append sends a batch on its way, and does not wait: what the producer has no place for
// is refused, and with it the term ends.
func (p *Partition) Append(_ context.Context, batch []event.Record) (sequence.Pending, error) {
	if err := p.begin(batch); err != nil {
		return nil, err
	}
	w := &pending{p: p, batch: batch, sent: p.encode(batch), done: make(chan struct{}), left: len(batch), until: time.Now().Add(p.log.deps.Timeout)}
	stored := w.stored
	for i := range w.sent {
		// The term must not end with whoever waits: the client gives up when it is closed.
		p.writer.TryProduce(context.Background(), &w.sent[i], stored)
	}
	return w, nil
}

// begin makes the events of a batch their rooms' heads.
func (p *Partition) begin(batch []event.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead != nil {
		return p.dead
	}
	for i := range batch {
		p.heads.put(&batch[i], inFlight)
	}
	return nil
}

// encode makes the records of a batch.
func (p *Partition) encode(batch []event.Record) []kgo.Record {
	sent := make([]kgo.Record, len(batch))
	data := make([]byte, 0, dataSize(batch))
	for i := range batch {
		r := &batch[i]
		p.seq++
		key := len(data)
		data = append(append(append(data, r.Tenant...), '/'), r.Room...)
		value := len(data)
		data = appendEvent(data, p.term, p.seq, r)
		sent[i] = kgo.Record{Topic: p.log.cfg.Topic, Partition: p.number, Key: data[key:value:value], Value: data[value:len(data):len(data)]}
	}
	return sent
}

// Close gives the partition up.
func (p *Partition) Close() error {
	p.end(errors.New("kafka: the partition was closed"))
	return nil
}

// over tells why the term is over, nil if it is not.
func (p *Partition) over() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
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
	until time.Time // nobody waits for longer

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

// Wait returns when all events of the batch count, and are durable. It ends at the latest
// when Deps.Timeout is over since they were appended: the client goes on trying, and the
// next term finds out.
func (w *pending) Wait(ctx context.Context) error {
	ctx, cancel := context.WithDeadlineCause(ctx, w.until, errSilent)
	defer cancel()
	err := w.counts(ctx)
	if err != nil {
		err = fmt.Errorf("kafka: partition %d: %w", w.p.number, err)
		w.p.end(err)
		return err
	}
	w.p.count(w.batch, w.sent)
	w.p.apply(w.batch, w.sent)
	return nil
}

// counts waits until the brokers have answered, and finds out whether the events count.
func (w *pending) counts(ctx context.Context) error {
	select {
	case <-w.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.err != nil {
		return w.err
	}
	if err := w.p.over(); err != nil { // one before this is missing
		return err
	}
	return w.p.follow(ctx, w.sent)
}

// follow makes sure that nobody has begun a term before these records.
func (p *Partition) follow(ctx context.Context, sent []kgo.Record) error {
	next := p.next // who waits alone moves it
	for i := range sent {
		at := sent[i].Offset
		switch {
		case at < next: // a broker that does not know any more where it has put it
			return fmt.Errorf("an event was stored at %d, behind one at %d", at, next-1)
		case at > next && !planted.TermUnseen:
			if err := p.look(ctx, next, at); err != nil {
				return err
			}
		}
		next = at + 1
	}
	p.mu.Lock()
	p.next = next
	p.mu.Unlock()
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

// dataSize is about how many bytes the records of a batch take.
func dataSize(batch []event.Record) (n int) {
	for i := range batch {
		r := &batch[i]
		n += 128 + 2*len(r.Tenant) + 2*len(r.Room) + len(r.Data) + len(r.From.User) + len(r.Key)
	}
	return n
}
