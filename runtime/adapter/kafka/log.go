package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Base is what the workers have kept of the log.
type Base interface {
	// Mark is one that the workers have passed, and had passed before a time; the zero
	// Mark, if there is none, is the partition's beginning.
	Mark(ctx context.Context, partition int, before time.Time) (Mark, error)
	// Passed is an offset up to which they have kept all that counts, as far as is known
	// without asking.
	Passed(partition int) int64
	// Head is that of a room as they have kept it; the zero Head if they have not.
	Head(ctx context.Context, tenant, room string) (sequence.Head, error)
}

// Deps are what a Log works with. Base is nil where nothing is kept but the topic.
type Deps struct {
	Node       string // in the records that begin terms
	Partitions int    // of the topic
	// Buffered is how many events may be on their way to the brokers; more are refused. It
	// has to be as many as the committer has in flight, of all partitions.
	Buffered int
	// Timeout is how long an event may be on its way, as the committer's is; 0: 10 s.
	Timeout time.Duration
	Base    Base
	// Tables makes the table of a term of a partition; nil: there are none.
	Tables func(partition int) Table
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discards
}

// Log is a sequence.Log.
type Log struct {
	cfg     Config
	deps    Deps
	options []kgo.Opt
	client  *kgo.Client // the producer
}

// How long brokers hold back an answer that has nothing to tell.
const fetchWait = 500 * time.Millisecond

// New makes the log, and does not ask the brokers.
func New(cfg Config, deps Deps) (*Log, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Timeout <= 0 {
		deps.Timeout = 10 * time.Second
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, deps: deps, options: opts}
	if l.client, err = kgo.NewClient(append(opts[:len(opts):len(opts)], cfg.producer(max(deps.Buffered, 1)+deps.Partitions)...)...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return l, nil
}

// Close ends the producer. What is on its way is lost or not, nobody knows.
func (l *Log) Close() { l.client.Close() }

// Open begins a term of a partition, and reads what came before.
func (l *Log) Open(ctx context.Context, partition int) (sequence.Partition, error) {
	rec := &kgo.Record{Topic: l.cfg.Topic, Partition: int32(partition), Value: appendTerm(nil, l.deps.Node)}
	if err := l.produce(ctx, rec); err != nil {
		return nil, fmt.Errorf("kafka: begin a term of partition %d: %w", partition, err)
	}
	p := &Partition{log: l, number: int32(partition), term: termAt(rec.Offset), next: rec.Offset + 1, heads: newHeads(), keys: newKeys(l.cfg.Window)}
	if l.deps.Tables != nil {
		p.table = l.deps.Tables(partition)
	}
	if err := p.learn(ctx, rec.Offset); err != nil {
		return nil, err
	}
	return p, nil
}

// produce sends one record and waits for it, or for ctx: what becomes of it then is not
// known.
func (l *Log) produce(ctx context.Context, rec *kgo.Record) error {
	done := make(chan error, 1)
	l.client.Produce(ctx, rec, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// learn reads the partition up to the beginning of the own term.
func (p *Partition) learn(ctx context.Context, end int64) error {
	l := p.log
	var m Mark
	if l.deps.Base != nil {
		var err error
		if m, err = l.deps.Base.Mark(ctx, int(p.number), l.deps.Now().Add(-l.cfg.Window)); err != nil {
			return fmt.Errorf("kafka: mark of partition %d: %w", p.number, err)
		}
	}
	starts, err := kadm.NewClient(l.client).ListStartOffsets(ctx, l.cfg.Topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: beginning of partition %d: %w", p.number, err)
	}
	if o, ok := starts.Lookup(l.cfg.Topic, p.number); ok && o.Offset > m.Offset {
		return fmt.Errorf("kafka: partition %d begins at %d, and %d is needed: %w", p.number, o.Offset, m.Offset, errTruncated)
	}
	t := taken{table: p.table}
	defer t.flush()
	return l.read(ctx, p.number, m.Offset, end, func(rec *kgo.Record) error {
		r, counts, err := m.Take(rec)
		switch {
		case errors.Is(err, ErrNewer):
			return err
		case err != nil:
			l.deps.Logger.Warn("a record of the log is not readable, and skipped", "error", err)
		case counts:
			p.heads.put(&r, rec.Offset)
			p.keys.put(&r)
			t.add(&r, rec.Offset)
		}
		return nil
	})
}
