package limit

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// BenchmarkStage is an event within all budgets: on one connection, and on as many
// at once as there are processors, each of another user of one tenant.
func BenchmarkStage(b *testing.B) {
	many := Budget{Rate: 1e9, Burst: 2e9}
	for _, c := range []struct {
		name string
		set  func(*Config, *Tenant, *Stage)
	}{
		{"Connection", func(*Config, *Tenant, *Stage) {}},
		{"User", func(c *Config, _ *Tenant, s *Stage) {
			c.User, s.Suspects = many, NewSuspects(ScoreConfig{HalfLife: time.Minute}, SuspectsDeps{})
		}},
		{"Everything", func(c *Config, t *Tenant, s *Stage) {
			c.User, c.IP, c.Tenant, c.Actions = many, many, many, map[string]Budget{"message:send": many, "typing:start": many}
			t.Quota = Quota{Messages: 1e9, Rooms: 10, Storage: 1e9}
			s.Suspects, s.Quotas = NewSuspects(ScoreConfig{HalfLife: time.Minute}, SuspectsDeps{}), NewQuotas(nil, &store{})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			send := clients(b, c.set)()
			b.ReportAllocs()
			for b.Loop() {
				send(time.Millisecond)
			}
		})
		b.Run(c.name+"AtOnce", func(b *testing.B) {
			client := clients(b, c.set)
			b.RunParallel(func(pb *testing.PB) {
				send := client()
				for pb.Next() {
					send(0) // clocks that ran apart would not be one clock
				}
			})
		})
	}
}

// clients makes connections, each of another user of one tenant, to a stage of
// their own. A connection's function sends one event, so much later than the last.
func clients(b *testing.B, set func(*Config, *Tenant, *Stage)) func() func(later time.Duration) {
	cfg, t := plenty(), Tenant{}
	cfg.MessageRate, cfg.MessageBurst = 1e9, 2e9
	s := New(cfg)
	set(&cfg, &t, s)
	if err := s.Reload(cfg, map[string]Tenant{"acme": t}); err != nil {
		b.Fatal(err)
	}
	users := atomic.Int64{}
	return func() func(time.Duration) {
		h := connect("acme", fmt.Sprint("u", users.Add(1)), "192.0.2.1")
		ev := &event.Event{Origin: h, Spec: sends(), Envelope: event.Envelope{Tenant: "acme", From: event.Sender{User: h.id.User}}, Received: int64(time.Hour)}
		return func(later time.Duration) {
			ev.Received += int64(later)
			if _, err := s.Process(b.Context(), ev); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRefused is an event over its budget, with what its sender gets for it.
func BenchmarkRefused(b *testing.B) {
	cfg := plenty()
	cfg.MessageRate, cfg.MessageBurst = 1, 1
	s := New(cfg)
	s.Suspects = NewSuspects(ScoreConfig{HalfLife: time.Minute, Flood: 1e-9, Connection: Ceilings{1, 1}, User: Bans{1, 1}, IP: Bans{1, 1}}, SuspectsDeps{})
	h := connect("acme", "ann", "192.0.2.1")
	_ = does(s, h, sends(), 0)
	ev := &event.Event{Origin: h, Spec: sends(), Received: int64(time.Hour)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Process(b.Context(), ev); err == nil {
			b.Fatal("it passed")
		}
	}
}

// BenchmarkNewUser is the first event of a user, in a full table.
func BenchmarkNewUser(b *testing.B) {
	tab := newTable(func(netip.Addr) *shared { return &shared{} })
	tab.bound(10000)
	now := int64(time.Hour)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now += 1000
		s := tab.of(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), now)
		take(&s.ahead, now, paceOf(1, 1))
	}
}
