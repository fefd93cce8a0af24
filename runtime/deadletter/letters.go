package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Letter is an event that failed.
type Letter struct {
	ID       string          `json:"id"`
	Tenant   string          `json:"tenant"`
	User     string          `json:"user,omitempty"` // empty: the server itself
	Device   string          `json:"device,omitempty"`
	Room     string          `json:"room,omitempty"`
	Action   string          `json:"action"`
	EventID  string          `json:"event_id"` // its sender's, or the letter's
	Code     string          `json:"code"`     // of the fault
	Reason   string          `json:"reason"`   // for operators
	First    int64           `json:"first"`    // Unix milliseconds
	Last     int64           `json:"last"`
	Attempts int             `json:"attempts"`         // that failed
	Envelope json.RawMessage `json:"envelope"`         // as its sender sent it, and with an id
	Effect   *Effect         `json:"effect,omitempty"` // nil: it came to none

	saved int  // attempts, in the store; 0: it is not there, as far as is known
	tried bool // it was handed to the store, which may have it whatever came back
}

// Effect is where the event's first durable effect is, if it was stored, and what the
// log knows it by.
type Effect struct {
	Room string `json:"room"`
	User string `json:"user,omitempty"`
	Key  string `json:"key"`
}

// key is that of the event that it is about.
func (l *Letter) key() string { return keyOf(l.User, l.Room, l.EventID) }

// size is about what a letter takes, in bytes.
func (l *Letter) size() int64 { return int64(768 + len(l.Reason) + 2*len(l.Envelope)) }

// Rows reads what is kept.
type Rows interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
	Rows(ctx context.Context, tenant, room, kind, after string, limit int) ([]room.Row, error)
}

// Committer stores what the server says of itself.
type Committer interface {
	// Commit returns when a durable effect is stored, or with the *fault.Error that
	// refuses it.
	Commit(ctx context.Context, e event.Effect) error
}

// Deps is what Letters need. Without a Committer they are in memory alone.
type Deps struct {
	Committer Committer
	Rows      Rows
	History   History         // nil: replays trust the log to know ids
	Tenants   func() []string // that there are; they may change
	Now       func() time.Time
	Log       *slog.Logger
	Count     int           // letters of one tenant; 0: a thousand
	Bytes     int64         // of one tenant; 0: 8 MiB
	Retry     time.Duration // after the store has failed, and when tenants are looked for; 0: five seconds
}

// Letters are the events of all tenants that failed. Methods may be called at the
// same time.
type Letters struct {
	deps   Deps
	wake   chan struct{}   // holds one: there is something to store
	loaded map[string]bool // tenants whose letters were read: Load alone knows, then Run
	mu     sync.Mutex
	boxes  map[string]*box

	Kept    atomic.Uint64 // failures that were noted
	Dropped atomic.Uint64 // letters that had to go for newer ones
	Failed  atomic.Uint64 // times that the store did not take one
}

// box is one tenant's letters.
type box struct {
	list  []*Letter // the oldest first
	byKey map[string]*Letter
	bytes int64
	gone  map[string]bool // ids that may be in the store still: never more than it holds
}

const (
	defaultCount = 1000
	defaultBytes = 8 << 20
	defaultRetry = 5 * time.Second
)

// New makes letters; nothing is stored before Run.
func New(d Deps) *Letters {
	d.Count, d.Bytes, d.Retry = cmp.Or(d.Count, defaultCount), cmp.Or(d.Bytes, defaultBytes), cmp.Or(d.Retry, defaultRetry)
	return &Letters{deps: d, wake: make(chan struct{}, 1), loaded: map[string]bool{}, boxes: map[string]*box{}}
}

// box finds a tenant's, with the lock held. Tenants are the operator's, and few.
func (l *Letters) box(tenant string) *box {
	b := l.boxes[tenant]
	if b == nil {
		b = &box{byKey: map[string]*Letter{}, gone: map[string]bool{}}
		l.boxes[tenant] = b
	}
	return b
}

// put notes a failure. One of an event that has failed before is another attempt of
// the same letter.
func (l *Letters) put(n Letter) {
	l.Kept.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.box(n.Tenant)
	if old := b.byKey[n.key()]; old != nil {
		b.bytes -= old.size()
		old.Code, old.Reason, old.Last = n.Code, n.Reason, n.Last
		old.Attempts++
		old.Effect = cmp.Or(n.Effect, old.Effect) // which an attempt that failed early does not come to
		b.bytes += old.size()
	} else {
		b.add(&n)
	}
	l.bound(b)
	l.stir()
}

func (b *box) add(n *Letter) {
	b.list = append(b.list, n)
	b.byKey[n.key()] = n
	b.bytes += n.size()
}

// bound drops the oldest letters until the others fit.
func (l *Letters) bound(b *box) {
	for len(b.list) > l.deps.Count || b.bytes > l.deps.Bytes && len(b.list) > 1 {
		b.remove(b.list[0])
		l.Dropped.Add(1)
	}
}

func (b *box) remove(n *Letter) {
	i := slices.Index(b.list, n)
	if i < 0 {
		return
	}
	b.list = slices.Delete(b.list, i, i+1)
	delete(b.byKey, n.key())
	b.bytes -= n.size()
	if n.saved > 0 || n.tried {
		b.gone[n.ID] = true
	}
}

// stir has Run look.
func (l *Letters) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// List is a tenant's letters, or those of all, the oldest first and at most limit
// of them, from behind an id.
func (l *Letters) List(tenant, after string, limit int) []Letter {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Letter{}
	for _, name := range slices.Sorted(maps.Keys(l.boxes)) {
		for _, n := range l.boxes[name].list {
			if (tenant == "" || tenant == name) && n.ID > after {
				out = append(out, *n)
			}
		}
	}
	slices.SortFunc(out, func(a, b Letter) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(len(out), limit)]
}

// Find is one letter.
func (l *Letters) Find(id string) (Letter, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, _ := l.find(id); n != nil {
		return *n, true
	}
	return Letter{}, false
}

func (l *Letters) find(id string) (*Letter, *box) {
	for _, b := range l.boxes {
		for _, n := range b.list {
			if n.ID == id {
				return n, b
			}
		}
	}
	return nil, nil
}

// Drop forgets a letter; false if there is none.
func (l *Letters) Drop(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, b := l.find(id)
	if n == nil {
		return false
	}
	b.remove(n)
	l.stir()
	return true
}

// Counts are the letters of each tenant, in memory.
func (l *Letters) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.boxes))
	for name, b := range l.boxes {
		out[name] = len(b.list)
	}
	return out
}

func newID(now time.Time) string {
	return ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String()
}
