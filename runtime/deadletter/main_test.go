package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is somebody's connection.
type origin struct{ id *event.Identity }

func (o origin) Identity() *event.Identity            { return o.id }
func (origin) Member(string) (event.Membership, bool) { return event.Membership{}, false }
func (origin) Opened() bool                           { return true }

var errAway = errors.New("away")

// store is a log with the rows of its projections; it fails when it is told to.
type store struct {
	mu      sync.Mutex
	failing bool
	rows    map[string]string // by id, of all tenants
	commits int
	records []event.Record
}

func newStore() *store { return &store{rows: map[string]string{}} }

func (s *store) Commit(_ context.Context, e event.Effect) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	if s.failing {
		return fault.Wrap("store", fault.Unavailable, errAway)
	}
	Projections()[e.Action](tables{s: s}, &event.Record{Envelope: e.Envelope})
	return nil
}

func (s *store) fail(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = is
}

func (s *store) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

func (s *store) Head(context.Context, string, string) (event.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		return event.Head{}, errAway
	}
	return event.Head{}, nil
}

func (s *store) Rows(_ context.Context, tenant, name, kind, after string, limit int) ([]room.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tenant != "acme" || name != deadRoom || kind != rowLetter {
		return nil, nil
	}
	var out []room.Row
	for _, id := range sorted(s.rows) {
		if id > after && len(out) < limit {
			out = append(out, room.Row{Kind: kind, Key: id, Value: []byte(s.rows[id])})
		}
	}
	return out, nil
}

func (s *store) Before(_ context.Context, _, name string, offset uint64, limit, _ int) (page []event.Record, _ error) {
	for i := len(s.records) - 1; i >= 0 && len(page) < limit; i-- {
		if r := s.records[i]; r.Room == name && (offset == 0 || r.Offset < offset) {
			page = append(page, r)
		}
	}
	return page, nil
}

// tables takes rows; nothing else is derived.
type tables struct {
	room.Tables
	s *store
}

func (t tables) PutRow(_, _ string, r room.Row)    { t.s.rows[r.Key] = string(r.Value) }
func (t tables) DeleteRow(_, _ string, r room.Row) { delete(t.s.rows, r.Key) }

func letters(s *store, change func(*Deps)) *Letters {
	d := Deps{
		Committer: s, Rows: s, Tenants: func() []string { return []string{"acme", "globex"} },
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&d)
	}
	return New(d)
}

// failed is an event of ann's that failed.
func failed(id string) *event.Event {
	return &event.Event{
		Envelope: event.Envelope{ID: id, Tenant: "acme", Room: "channel:x", Action: "message:send", Data: []byte(`{"text":"x"}`)},
		Origin:   origin{&event.Identity{Tenant: "acme", User: "ann"}},
		Spec:     &event.Action{Name: "message:send", Durable: true},
		Err:      fault.Wrap("test", fault.Unavailable, errAway),
	}
}
