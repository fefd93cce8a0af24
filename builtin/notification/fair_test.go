package notification

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
)

// said is a message that a tenant's ann has sent.
func said(tenant, id string, bytes int) *event.Record {
	return &event.Record{Unread: true, Messages: 1, Envelope: event.Envelope{
		ID: id, Tenant: tenant, Room: "conv:1", From: event.Sender{User: "ann"}, Position: event.Position{Epoch: epoch, Offset: 1},
		Action: actionSend, Data: fmt.Appendf(nil, `{"text":"%s%s"}`, id, strings.Repeat(".", bytes)),
	}}
}

// TestATenantsFloodTakesNothingFromAnother: neither of what nobody has looked at, nor
// of what waits for more.
func TestATenantsFloodTakesNothingFromAnother(t *testing.T) {
	flood := func(w *world, of string, n int) {
		for i := range n {
			w.Observe(said(of, fmt.Sprint(of, i), 0))
		}
	}
	t.Run("backlog", func(t *testing.T) {
		in(t, settings(), func(w *world) {
			w.mu.Lock() // the one goroutine is busy with a first message, reading its room
			flood(w, "flood", 1)
			flood(w, "quiet", 1)
			flood(w, "flood", settings().Queue+2)
			w.mu.Unlock()
			synctest.Wait()
			if w.held.of[heldKey{"quiet", "bob", "conv:1"}] == nil || w.Stats().Dropped == 0 {
				t.Errorf("%d were dropped, the quiet tenant's too", w.Stats().Dropped)
			}
		})
	})
	t.Run("waiting", func(t *testing.T) {
		cfg := settings()
		cfg.Waiting = 3
		in(t, cfg, func(w *world) {
			rooms := func(tenant string, names ...string) {
				for _, name := range names {
					r := said(tenant, name, 0)
					r.Room = "desk:" + name
					w.Observe(r)
					synctest.Wait()
				}
			}
			rooms("quiet", "q")
			rooms("flood", "a", "b", "c", "d")
			if w.held.of[heldKey{"quiet", "q", "desk:q"}] == nil {
				t.Error("the quiet tenant's was hurried")
			}
			w.expect(nil, []string{`a message desk:a 1 x1 "a" unread 1`, `b message desk:b 1 x1 "b" unread 1`})
		})
	})
}

// TestTenantsAreServedInTurn: by number, and by bytes, the line that has most loses its
// oldest.
func TestTenantsAreServedInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		most  int
		bytes int64
		in    []string // tenant and number, or bytes if large
		out   string
	}{
		"in turn":                          {9, 1 << 20, []string{"a1", "a2", "a3", "b1", "c1", "c2"}, "a1 b1 c1 a2 c2 a3"},
		"too many":                         {4, 1 << 20, []string{"a1", "a2", "a3", "b1", "c1", "c2"}, "a3 b1 c1 c2"},
		"too many, one each":               {2, 1 << 20, []string{"a1", "b1", "c1"}, "b1 c1"},
		"too many of one alone":            {2, 1 << 20, []string{"a1", "a2", "a3"}, "a2 a3"},
		"too long":                         {9, 3000, []string{"b1", "a1000", "a2", "a3", "b2"}, "b1 a2 b2 a3"},
		"one that is too long alone stays": {9, 3000, []string{"a1", "b9000"}, "a1"},
		"and if there is nothing else":     {9, 3000, []string{"b9000"}, "b9000"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBacklog(c.most, c.bytes, &counters{})
			for _, id := range c.in {
				n := 0
				if len(id) > 4 {
					_, _ = fmt.Sscan(id[1:], &n)
				}
				b.push(said(id[:1], id, n))
			}
			var out []string
			for r, ok := b.pop(); ok; r, ok = b.pop() {
				out = append(out, r.ID)
			}
			if got := strings.Join(out, " "); got != c.out || b.size != 0 || len(b.turns) != 0 {
				t.Errorf("%s, want %s; %d bytes left", got, c.out, b.size)
			}
		})
	}
}

// TestBacklogAgainstAModel: messages of a line keep their order, and what is there is
// what was pushed and neither dropped nor taken.
func TestBacklogAgainstAModel(t *testing.T) {
	b := newBacklog(50, 1<<20, &counters{})
	last, next, taken := map[string]int{}, 0, 0
	for i := range 20_000 {
		if i%5 != 4 {
			next++
			b.push(said(string(rune('a'+(i*i/7)%5)), fmt.Sprint(next), 0))
		}
		if i/100%2 == 1 || i%5 == 4 {
			if r, ok := b.pop(); ok {
				var n int
				_, _ = fmt.Sscan(r.ID, &n)
				if n <= last[r.Tenant] {
					t.Fatalf("%d of %s comes behind %d", n, r.Tenant, last[r.Tenant])
				}
				last[r.Tenant], taken = n, taken+1
			}
		}
	}
	if dropped := int(b.count.dropped.Load()); dropped == 0 || next != taken+dropped+b.len() {
		t.Errorf("%d pushed, %d taken, %d dropped, %d there", next, taken, dropped, b.len())
	}
	tenants := []string{}
	for _, l := range b.turns {
		tenants = append(tenants, l.records[l.first].Tenant)
	}
	slices.Sort(tenants)
	if len(slices.Compact(tenants)) != len(b.turns) {
		t.Errorf("lines %v", tenants)
	}
}
