package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Owned are the tables of the partitions that this node commits for.
type Owned struct {
	// valid reports whether the others still take this node to be alive, as far as it
	// knows.
	valid func() bool
	slots chan struct{} // held while another node's query is answered
	asked atomic.Int64  // queries of other nodes that are answered, or wait for a slot

	mu   sync.RWMutex
	open map[int]*term
}

// term is one that this node has begun.
type term struct {
	tables Tables
	last   func(ctx context.Context) error // fails unless no other term has begun since
}

// NewOwned answers so many queries of other nodes at once.
func NewOwned(queries int, valid func() bool) *Owned {
	return &Owned{valid: valid, slots: make(chan struct{}, queries), open: map[int]*term{}}
}

func (o *Owned) begin(partition int, t *term) {
	o.mu.Lock()
	o.open[partition] = t
	o.mu.Unlock()
}

func (o *Owned) end(partition int, t *term) {
	o.mu.Lock()
	if o.open[partition] == t {
		delete(o.open, partition)
	}
	o.mu.Unlock()
}

// answer is what this node knows, if it is the one that commits for the partition. One
// that may have been taken for dead asks the log first: another may have committed
// since.
func (o *Owned) answer(ctx context.Context, partition int, q *query) (answer, error) {
	o.mu.RLock()
	t := o.open[partition]
	o.mu.RUnlock()
	if t == nil {
		return answer{}, sequence.ErrElsewhere
	}
	a, err := q.run(ctx, t.tables)
	if err == nil && !o.valid() && !planted.StaleReads && t.last(ctx) != nil {
		return answer{}, sequence.ErrElsewhere
	}
	return a, err
}

var errBusy = fault.New(fault.Overloaded, "", "too much is asked of the node that commits for this room")

// inLine is how many queries may wait for each slot.
const inLine = 32

// serve has another node's question answered, on a goroutine that ends with the answer.
func (o *Owned) serve(ctx context.Context, ask func() ([]byte, error), answer func([]byte, error)) {
	if o.asked.Add(1) > int64(inLine*cap(o.slots)) {
		o.asked.Add(-1)
		answer(nil, errBusy)
		return
	}
	go func() {
		defer o.asked.Add(-1)
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			return // so has the asking node's patience
		}
		defer func() { <-o.slots }()
		answer(ask())
	}()
}

// query answers one of another node.
func (o *Owned) query(ctx context.Context, partition int, q *query) ([]byte, error) {
	a, err := o.answer(ctx, partition, q)
	if err != nil {
		return nil, err
	}
	return a.append(nil, q.op), nil
}

// Terms is the log of all nodes.
type Terms interface {
	// Open begins a term of a partition. last fails unless it is the last one that has
	// begun.
	Open(ctx context.Context, partition int) (p sequence.Partition, t Tables, last func(context.Context) error, err error)
}

// Log is a sequence.Log whose open partitions are Owned. A node that has lost a partition
// while others may have taken it for dead does not take it back before it knows.
type Log struct {
	Terms Terms
	Owned *Owned

	mu   sync.Mutex
	lost map[int]bool // partitions whose last term another one has ended
}

// NewLog is of one node.
func NewLog(terms Terms, owned *Owned) *Log {
	return &Log{Terms: terms, Owned: owned, lost: map[int]bool{}}
}

// Open begins a term.
func (l *Log) Open(ctx context.Context, partition int) (sequence.Partition, error) {
	l.mu.Lock()
	lost := l.lost[partition]
	l.mu.Unlock()
	if lost && !l.Owned.valid() {
		return nil, sequence.ErrElsewhere
	}
	p, tables, last, err := l.Terms.Open(ctx, partition)
	if err != nil {
		return nil, err
	}
	l.note(partition, false)
	o := &owned{Partition: p, log: l, number: partition, term: &term{tables, last}}
	l.Owned.begin(partition, o.term)
	return o, nil
}

func (l *Log) note(partition int, lost bool) {
	l.mu.Lock()
	l.lost[partition] = lost
	l.mu.Unlock()
}

// owned is a partition whose tables may be asked while it is open.
type owned struct {
	sequence.Partition
	log    *Log
	number int
	term   *term
}

// Append has the batch followed.
func (o *owned) Append(ctx context.Context, batch []event.Record) (sequence.Pending, error) {
	p, err := o.Partition.Append(ctx, batch)
	if err != nil {
		return nil, o.failed(err)
	}
	return followed{o, p}, nil
}

// Close has nobody asked any more.
func (o *owned) Close() error {
	o.log.Owned.end(o.number, o.term)
	return o.Partition.Close()
}

// failed notes whether another has the partition now.
func (o *owned) failed(err error) error {
	if errors.Is(err, sequence.ErrSuperseded) {
		o.log.note(o.number, true)
	}
	return err
}

// followed is a batch on its way.
type followed struct {
	o *owned
	sequence.Pending
}

func (f followed) Wait(ctx context.Context) error { return f.o.failed(f.Pending.Wait(ctx)) }
