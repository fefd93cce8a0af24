package tail

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant = "acme"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type marked struct{ user, room string }

// shelf is an embedded.Store that has the two markers apart, too. Records are put on it one
// by one.
type shelf struct {
	*embedded.Store
	part       sequence.Partition
	swept      chan struct{} // holds one if Run has looked at a room
	mu         sync.Mutex
	sent, read map[marked]room.Marker
}

func newShelf(projections map[string]room.Projection, now func() time.Time, retention func(id string) uint64) *shelf {
	s := &shelf{swept: make(chan struct{}, 1), sent: map[marked]room.Marker{}, read: map[marked]room.Marker{}}
	cfg := embedded.Default()
	cfg.Dir, cfg.MinFree, cfg.MemTable, cfg.CacheSize = "data", 0, 1<<20, 1<<20
	cfg.Window, cfg.SweepInterval, cfg.SweepRest = time.Second, 50*time.Microsecond, 0
	deps := embedded.Deps{FS: vfs.NewMem(), Fatal: func(err error) { panic(err) }, Clock: now, Projections: map[string]room.Projection{}}
	all := Memberships()
	maps.Copy(all, projections)
	for action, project := range all {
		deps.Projections[action] = func(t room.Tables, r *event.Record) { project(&splitter{t, s}, r) }
	}
	if retention != nil {
		deps.Retention = func(_, id string) (uint64, time.Duration) {
			select {
			case s.swept <- struct{}{}:
			default:
			}
			return retention(id), 0
		}
	}
	s.Store = must(embedded.Open(cfg, deps))
	s.part = must(s.Log().Open(context.Background(), 0))
	return s
}

// splitter notes the markers.
type splitter struct {
	room.Tables
	s *shelf
}

func (t *splitter) PutSent(tenant, user, id string, m room.Marker) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.s.sent[marked{user, id}] = m
	t.Tables.PutSent(tenant, user, id, m)
}

func (t *splitter) PutRead(tenant, user, id string, m room.Marker) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if was := t.s.read[marked{user, id}]; was.Epoch != m.Epoch || m.Offset > was.Offset {
		t.s.read[marked{user, id}] = m
	}
	t.Tables.PutRead(tenant, user, id, m)
}

func (s *shelf) put(records ...event.Record) {
	for i := range records {
		if err := must(s.part.Append(context.Background(), records[i:i+1])).Wait(context.Background()); err != nil {
			panic(err)
		}
	}
}

// sweep runs the store until something is done.
func (s *shelf) sweep(done func() bool) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }() // ends with cancel
	for !done() {
		<-s.swept
	}
	cancel()
	<-ended
}

func (s *shelf) SequenceHead(ctx context.Context, tenant, id string) (sequence.Head, error) {
	return s.part.Head(ctx, tenant, id)
}

func (s *shelf) Sent(_ context.Context, _, user, id string) (room.Marker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[marked{user, id}], nil
}

func (s *shelf) Read(_ context.Context, _, user, id string) (room.Marker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read[marked{user, id}], nil
}

// front stands before a base: it counts what is asked, and answers late or not at all.
type front struct {
	Base
	asked atomic.Int64
	fails atomic.Pointer[error]
	late  atomic.Pointer[late]
}

// late answers are held back: what they say may be old when they come.
type late struct {
	asked   chan struct{} // gets one for each
	release chan struct{}
}

func newLate() *late { return &late{make(chan struct{}, 1000), make(chan struct{})} }

func held[T any](f *front, read func() (T, error)) (T, error) {
	f.asked.Add(1)
	if err := f.fails.Load(); err != nil {
		var none T
		return none, *err
	}
	v, err := read()
	if l := f.late.Load(); l != nil {
		l.asked <- struct{}{}
		<-l.release
	}
	return v, err
}

// found is an answer that may be none.
type found[T any] struct {
	v  T
	ok bool
}

func heldFound[T any](f *front, read func() (T, bool, error)) (T, bool, error) {
	a, err := held(f, func() (found[T], error) {
		v, ok, err := read()
		return found[T]{v, ok}, err
	})
	return a.v, a.ok, err
}

func (f *front) SequenceHead(ctx context.Context, tenant, id string) (sequence.Head, error) {
	return held(f, func() (sequence.Head, error) { return f.Base.SequenceHead(ctx, tenant, id) })
}

func (f *front) Room(ctx context.Context, tenant, id string) (room.Info, bool, error) {
	return heldFound(f, func() (room.Info, bool, error) { return f.Base.Room(ctx, tenant, id) })
}

func (f *front) Member(ctx context.Context, tenant, id, user string) (room.Member, bool, error) {
	return heldFound(f, func() (room.Member, bool, error) { return f.Base.Member(ctx, tenant, id, user) })
}

func (f *front) Members(ctx context.Context, tenant, id, after string, limit int) ([]room.Member, error) {
	return held(f, func() ([]room.Member, error) { return f.Base.Members(ctx, tenant, id, after, limit) })
}

func (f *front) Sent(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	return held(f, func() (room.Marker, error) { return f.Base.Sent(ctx, tenant, user, id) })
}

func (f *front) Read(ctx context.Context, tenant, user, id string) (room.Marker, error) {
	return held(f, func() (room.Marker, error) { return f.Base.Read(ctx, tenant, user, id) })
}

func (f *front) After(ctx context.Context, tenant, id string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	return held(f, func() ([]event.Record, error) { return f.Base.After(ctx, tenant, id, p, limit, maxBytes) })
}

func (f *front) Before(ctx context.Context, tenant, id string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	return held(f, func() ([]event.Record, error) { return f.Base.Before(ctx, tenant, id, offset, limit, maxBytes) })
}

func (f *front) Notes(ctx context.Context, tenant, id string, from, to uint64, limit int) ([]room.Note, error) {
	return held(f, func() ([]room.Note, error) { return f.Base.Notes(ctx, tenant, id, from, to, limit) })
}

func (f *front) Row(ctx context.Context, tenant, id, kind, key string) ([]byte, bool, error) {
	return heldFound(f, func() ([]byte, bool, error) { return f.Base.Row(ctx, tenant, id, kind, key) })
}

func (f *front) Rows(ctx context.Context, tenant, id, kind, after string, limit int) ([]room.Row, error) {
	return held(f, func() ([]room.Row, error) { return f.Base.Rows(ctx, tenant, id, kind, after, limit) })
}
