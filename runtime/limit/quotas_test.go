package limit

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// store counts what a tenant has.
type store struct{ rooms, bytes int64 }

func (s *store) Used(string) (rooms, bytes int64) { return s.rooms, s.bytes }

func TestConnections(t *testing.T) {
	q := NewQuotas(map[string]Quota{"acme": {Connections: 2}, "globex": {}}, nil)
	s := New(plenty())
	s.Quotas = q
	a, b, c := connect("acme", "ann", "192.0.2.1"), connect("acme", "bob", "192.0.2.1"), connect("acme", "cid", "192.0.2.1")
	open := func(h *holder) error { return does(s, h, opens(), 0) }
	for range 2 { // a failed session:open may be sent again
		if err := open(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Full("acme"); err != nil {
		t.Error(err)
	}
	if err := open(b); err != nil {
		t.Fatal(err)
	}
	if f := fault.Of(open(c)); f.Kind != fault.RateLimited || f.After != retryQuota || f.Msg != "the tenant has all the connections it may have" {
		t.Errorf("%v", f)
	}
	if err := q.Full("acme"); !fault.Is(err, fault.RateLimited) {
		t.Error(err)
	}
	if err := open(connect("globex", "x", "192.0.2.1")); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	q.Leave(c) // had none
	q.Leave(a)
	q.Leave(a)
	if err := open(connect("acme", "dan", "192.0.2.1")); err != nil {
		t.Errorf("a place is free: %v", err)
	}
	if err := open(a); err != nil || q.Stats()[0].Connections != 2 {
		t.Errorf("a closed connection took a place: %v, %+v", err, q.Stats())
	}
	q.Reload(map[string]Quota{"acme": {Connections: 1}})
	q.Leave(b)
	if err := q.Full("acme"); err == nil {
		t.Error("a lower quota is not in force")
	}
	q.Reload(nil)
	if err := q.Full("acme"); err != nil || q.Stats()[0].Connections != 1 {
		t.Errorf("no quota any more: %v, %+v", err, q.Stats())
	}
	q.Leave(&holder{})
	(*Quotas)(nil).Leave(b)
}

// TestConnectionsElsewhere: places that are taken on other nodes are taken.
func TestConnectionsElsewhere(t *testing.T) {
	q := NewQuotas(map[string]Quota{"acme": {Connections: 3}, "globex": {}}, nil)
	there := int64(2)
	q.Elsewhere = func(string) int64 { return there }
	enter := func(tenant string) error { return q.enter(connect(tenant, "ann", "192.0.2.1").Account(), tenant) }
	if err := enter("acme"); err != nil {
		t.Fatal(err)
	}
	if err := enter("acme"); !fault.Is(err, fault.RateLimited) || !fault.Is(q.Full("acme"), fault.RateLimited) {
		t.Errorf("the fourth: %v, %v", err, q.Full("acme"))
	}
	there = 1
	if err := q.Full("acme"); err != nil {
		t.Errorf("one has left there: %v", err)
	}
	if err := enter("acme"); err != nil {
		t.Errorf("one has left there: %v", err)
	}
	if err := enter("globex"); err != nil || q.Full("globex") != nil {
		t.Errorf("without a quota: %v", err)
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	q := NewQuotas(map[string]Quota{"acme": {Connections: 10}}, nil)
	var wg sync.WaitGroup
	var inside, most atomic.Int64
	for range 16 {
		wg.Go(func() {
			for range 500 {
				h := connect("acme", "ann", "192.0.2.1")
				if q.enter(h.Account(), "acme") == nil {
					n := inside.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); {
						old = most.Load()
					}
					inside.Add(-1)
				}
				q.Leave(h)
			}
		})
	}
	wg.Wait()
	if most.Load() > 10 || q.Stats()[0].Connections != 0 {
		t.Errorf("%d at once, %d left", most.Load(), q.Stats()[0].Connections)
	}
}

func TestRooms(t *testing.T) {
	have := &store{}
	s := New(plenty())
	s.Quotas = NewQuotas(map[string]Quota{"acme": {Rooms: 3, Storage: 1000}}, have)
	create := &event.Action{Name: "room:create", Rate: event.RateQuery, Durable: true}
	for name, c := range map[string]struct {
		rooms, bytes int64
		a            *event.Action
		tenant       string
		refused      bool
	}{
		"enough":                          {2, 999, create, "acme", false},
		"too many":                        {3, 0, create, "acme", true},
		"messages go on":                  {3, 0, sends(), "acme", false},
		"a tenant without":                {9, 9999, create, "globex", false},
		"nobody knows a tenant":           {9, 9999, create, "initech", false},
		"space is asked for further down": {0, 1000, create, "acme", false},
	} {
		t.Run(name, func(t *testing.T) {
			*have = store{c.rooms, c.bytes}
			err := does(s, connect(c.tenant, "ann", "192.0.2.1"), c.a, 0)
			if (err != nil) != c.refused || err != nil && fault.Of(err).Msg != "the tenant has all the rooms it may have" {
				t.Error(err)
			}
		})
	}
	if st := s.Quotas.Stats()[0]; st.Refused["rooms"] != 1 || st.Refused["storage"] != 0 {
		t.Errorf("%+v", st)
	}
	without := NewQuotas(map[string]Quota{"acme": {Rooms: 1, Storage: 1}}, nil)
	if without.Create("acme") != nil || without.Store("acme") != nil {
		t.Error("nobody counts, and it is refused")
	}
}
