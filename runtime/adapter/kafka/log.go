package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/planted"
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
	client  *kgo.Client // asks, and does not write
	writers *producers
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
	if l.client, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l.writers, err = newProducers(append(opts[:len(opts):len(opts)], cfg.producer(max(deps.Buffered, 1)+deps.Partitions)...))
	return l, err
}

// Close ends the clients. What is on its way is lost or not, nobody knows.
func (l *Log) Close() {
	l.writers.close()
	l.client.Close()
}

// Open begins a term of a partition, and reads what came before.
func (l *Log) Open(ctx context.Context, partition int) (sequence.Partition, error) {
	rec := &kgo.Record{Topic: l.cfg.Topic, Partition: int32(partition), Value: appendTerm(nil, l.deps.Node)}
	writer, err := l.writers.send(ctx, rec)
	if err != nil {
		return nil, fmt.Errorf("kafka: begin a term of partition %d: %w", partition, err)
	}
	p := &Partition{log: l, writer: writer, number: int32(partition), term: termAt(rec.Offset), next: rec.Offset + 1, heads: newHeads(), keys: newKeys(l.cfg.Window)}
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
	_, err := l.writers.send(ctx, rec)
	return err
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
	t := taken{table: p.table}
	defer t.flush()
	err := l.read(ctx, p.number, m.Offset, end, func(rec *kgo.Record) error {
		r, counts, err := m.Take(rec)
		switch {
		case errors.Is(err, ErrNewer):
			return err
		case err != nil:
			l.deps.Logger.Warn("a record of the log is not readable, and skipped", "error", err)
		case counts:
			if !planted.HeadsForgotten {
				p.heads.put(&r, rec.Offset)
			}
			if !planted.KeysForgotten {
				p.keys.put(&r)
			}
			t.add(&r, rec.Offset)
		}
		return nil
	})
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("kafka: partition %d begins behind %d: %w", p.number, m.Offset, errTruncated)
	}
	return err
}
