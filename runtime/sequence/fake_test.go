package sequence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFault = errors.New("planted fault")

// fakeLog keeps partitions in memory, and fails where a test wants it to.
type fakeLog struct {
	mu      sync.Mutex
	terms   map[int]uint64
	opened  map[int]*fakePartition
	streams map[roomKey][]event.Record // what is stored, durable or in flight
	keys    map[Key]Stored
	misuse  []string
	heads   int // times that a head was read

	// Each is asked with the mutex held; nil means no fault.
	failOpen   func(partition int) error
	failAppend func(batch []event.Record) error
	// failWait may say that the batch was stored although it reports an error.
	failWait func(batch []event.Record) (stored bool, err error)
	// keep says how many of the batches behind a failed one the log took after all.
	keep func() int
	gate chan struct{} // if set, each Wait takes one
}

func newFakeLog() *fakeLog {
	return &fakeLog{terms: map[int]uint64{}, opened: map[int]*fakePartition{}, streams: map[roomKey][]event.Record{}, keys: map[Key]Stored{}}
}

func (l *fakeLog) complain(format string, args ...any) {
	l.misuse = append(l.misuse, fmt.Sprintf(format, args...))
}

func (l *fakeLog) Open(_ context.Context, n int) (Partition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failOpen != nil {
		if err := l.failOpen(n); err != nil {
			return nil, err
		}
	}
	if l.opened[n] != nil {
		l.complain("partition %d opened twice", n)
	}
	l.terms[n]++
	p := &fakePartition{log: l, n: n, term: l.terms[n]}
	l.opened[n] = p
	return p, nil
}

type fakePartition struct {
	log     *fakeLog
	n       int
	term    uint64
	pending []*fakePending
	over    bool // a Wait has failed
	missing bool // and its batch was not stored
	closed  bool
}

func (p *fakePartition) Term() uint64 { return p.term }

func (p *fakePartition) Head(_ context.Context, tenant, room string) (Head, error) {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	p.log.heads++
	return p.log.head(roomKey{tenant, room}), nil
}

func (l *fakeLog) head(k roomKey) Head {
	s := l.streams[k]
	if len(s) == 0 {
		return Head{}
	}
	last := &s[len(s)-1]
	return Head{Head: event.Head{Position: last.Position, Messages: last.Messages}, Timestamp: last.Timestamp, Ended: last.Ends}
}

// Lookup finds only what is durable, as the contract permits.
func (p *fakePartition) Lookup(_ context.Context, k Key) (Stored, bool, error) {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	st, ok := p.log.keys[k]
	return st, ok, nil
}

func (p *fakePartition) Append(_ context.Context, batch []event.Record) (Pending, error) {
	l := p.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.closed {
		l.complain("append to a partition that is closed")
	}
	if l.failAppend != nil {
		if err := l.failAppend(batch); err != nil {
			return nil, err
		}
	}
	for i := range batch {
		r := batch[i]
		k := roomKey{r.Tenant, r.Room}
		h := l.head(k)
		if r.Offset != h.Offset+1 || (h.Offset > 0 && r.Epoch != h.Epoch) || r.Timestamp < h.Timestamp {
			l.complain("%v/%v follows %+v with %+v", r.Tenant, r.Room, h, r.Position)
		}
		l.streams[k] = append(l.streams[k], r)
	}
	w := &fakePending{p: p, batch: append([]event.Record(nil), batch...)}
	p.pending = append(p.pending, w)
	return w, nil
}

func (p *fakePartition) Close() error {
	l := p.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(p.pending) > 0 && !p.over {
		l.complain("closed with %d batches in flight", len(p.pending))
	}
	p.closed = true
	if l.opened[p.n] == p {
		delete(l.opened, p.n)
	}
	// Of what was in flight behind a failure, the new term sees a prefix.
	kept := 0
	if l.keep != nil && !p.missing {
		kept = min(l.keep(), len(p.pending))
	}
	for _, w := range p.pending[:kept] {
		l.remember(w.batch)
	}
	for i := len(p.pending) - 1; i >= kept; i-- {
		l.forget(p.pending[i].batch)
	}
	return nil
}

func (l *fakeLog) remember(batch []event.Record) {
	for i := range batch {
		if batch[i].Key != "" {
			l.keys[KeyOf(&batch[i])] = StoredOf(&batch[i])
		}
	}
}

// forget takes records off the ends of their streams.
func (l *fakeLog) forget(batch []event.Record) {
	for i := len(batch) - 1; i >= 0; i-- {
		k := roomKey{batch[i].Tenant, batch[i].Room}
		s := l.streams[k]
		if n := len(s); n == 0 || s[n-1].ID != batch[i].ID {
			l.complain("%v is not the end of its stream", batch[i].Position)
			return
		}
		l.streams[k] = s[:len(s)-1]
	}
}

type fakePending struct {
	p     *fakePartition
	batch []event.Record
}

func (w *fakePending) Wait(ctx context.Context) error {
	l := w.p.log
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.p.over || len(w.p.pending) == 0 || w.p.pending[0] != w {
		l.complain("waits are not in the order of appends")
	}
	stored, err := true, ctx.Err()
	if l.failWait != nil && err == nil {
		stored, err = l.failWait(w.batch)
	}
	if err != nil {
		w.p.over = true
		if !stored {
			w.p.missing = true
			return err // Close forgets it
		}
	}
	w.p.pending = w.p.pending[1:]
	l.remember(w.batch)
	return err
}

// recorder is a Publisher that keeps what it gets.
type recorder struct {
	mu   sync.Mutex
	seen []event.Record
	ids  map[string]bool
}

func (r *recorder) Publish(records []event.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range records {
		r.seen = append(r.seen, records[i])
		if r.ids == nil {
			r.ids = map[string]bool{}
		}
		r.ids[records[i].ID] = true
	}
}

func (r *recorder) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}

// ticket is a submission whose outcome can be waited for.
type ticket struct {
	Submission
	pub       *recorder
	out       chan Outcome
	unseen    bool // it was completed before it was published
	completed int
}

func (t *ticket) Committed(o Outcome) {
	t.completed++
	if o.Err == nil && t.pub != nil && !t.pub.has(o.ID) {
		t.unseen = true
	}
	t.out <- o
}

func newTicket(pub *recorder, room, user, key string) *ticket {
	t := &ticket{pub: pub, out: make(chan Outcome, 4)}
	t.Record = event.Record{Key: key, Unread: true}
	t.Record.Type, t.Record.Tenant, t.Record.Room, t.Record.From.User = event.TypeMessage, "acme", room, user
	t.Record.Action, t.Record.Data = "message:send", []byte(`{}`)
	t.Done = t
	return t
}

// rig is a running committer.
type rig struct {
	*Committer
	log  *fakeLog
	pub  *recorder
	stop func() // ends Run and waits for it
}

func start(t testing.TB, log *fakeLog, change func(*Config, *Deps)) *rig {
	t.Helper()
	cfg := Default()
	cfg.MaxInFlight = 4 // so that batches depend on batches
	cfg.Partitions, cfg.HeadCache = 2, 64
	pub := &recorder{}
	deps := Deps{Log: log, Publisher: pub}
	if change != nil {
		change(&cfg, &deps)
	}
	c, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }() // ends with stop
	var once sync.Once
	r := &rig{Committer: c, log: log, pub: pub}
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			for _, m := range log.misuse {
				t.Error("the log was misused: ", m)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func (r *rig) submit(t testing.TB, tk *ticket) *ticket {
	t.Helper()
	if err := r.Submit(context.Background(), &tk.Submission); err != nil {
		t.Fatal(err)
	}
	return tk
}

func (r *rig) send(t testing.TB, room, user, key string) Outcome {
	t.Helper()
	return <-r.submit(t, newTicket(r.pub, room, user, key)).out
}
