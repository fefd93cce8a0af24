package authenticate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
)

// shelf is a store with a committer, as far as revocations go.
type shelf struct {
	room.Tables
	mu      sync.Mutex
	fails   error
	rows    map[string]room.Row // by tenant, room, kind and key
	commits int
	told    []string // of Disconnect
}

func (s *shelf) Commit(_ context.Context, e event.Effect) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	s.commits++
	if !e.Durable || e.Room != "root:revocations" || e.From.User != "" {
		return errors.New("not what the server says of itself")
	}
	Projections()[e.Action](s, &event.Record{Envelope: e.Envelope})
	return nil
}

func (s *shelf) PutRow(tenant, name string, r room.Row) {
	s.rows[tenant+" "+name+" "+r.Kind+" "+r.Key] = r
}
func (s *shelf) DeleteRow(tenant, name string, r room.Row) {
	delete(s.rows, tenant+" "+name+" "+r.Kind+" "+r.Key)
}

func (s *shelf) Head(context.Context, string, string) (event.Head, error) {
	return event.Head{}, s.fails
}

func (s *shelf) Rows(_ context.Context, tenant, name, kind, after string, limit int) ([]room.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []room.Row
	for k, r := range s.rows {
		if strings.HasPrefix(k, tenant+" "+name+" "+kind+" ") && r.Key > after {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b room.Row) int { return cmp.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)], nil
}

// kept is how many rows there are.
func (s *shelf) kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

func (s *shelf) revocations(life time.Duration) *Revocations {
	return NewRevocations(RevocationsDeps{
		Committer: s, Rows: s, Tenants: func() []string { return []string{"acme", "globex"} }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Life: func(string) time.Duration { return life },
		Disconnect: func(tenant, user string, revoked func(*event.Identity) bool, reason string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, fmt.Sprint(tenant, " ", user, " ", reason, " ", revoked(&event.Identity{Tenant: "acme", User: "ann"})))
		},
	})
}

func newShelf() *shelf { return &shelf{rows: map[string]room.Row{}} }

// everybody are identities of tokens, by name.
func everybody() map[string]*event.Identity {
	now := time.Now().UnixMilli()
	return map[string]*event.Identity{
		"old":    {Tenant: "acme", User: "ann", Device: "phone", TokenID: "t1", Issued: now - 1000},
		"tv":     {Tenant: "acme", User: "ann", Device: "tv", TokenID: "t2", Issued: now - 1000},
		"new":    {Tenant: "acme", User: "ann", Device: "phone", TokenID: "t3", Issued: now + 1000},
		"silent": {Tenant: "acme", User: "ann"},
		"ben":    {Tenant: "acme", User: "ben", Device: "phone", TokenID: "t1", Issued: now - 1000},
		"globex": {Tenant: "globex", User: "ann", Device: "phone", TokenID: "t1", Issued: now - 1000},
	}
}

func refused(r *Revocations, all map[string]*event.Identity) string {
	var out []string
	for name, id := range all {
		if r.Revoked(id) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		revoke []Revocation
		lift   *Revocation
		want   string
		user   string // that was told to be disconnected
	}{
		"nothing":             {},
		"a token":             {revoke: []Revocation{{Token: "t1"}}, want: "ben old"},
		"a user":              {revoke: []Revocation{{User: "ann"}}, want: "old silent tv"},
		"a user from a time":  {revoke: []Revocation{{User: "ann", Before: 1}}, want: "silent"},
		"a device":            {revoke: []Revocation{{User: "ann", Device: "phone"}}, want: "old"},
		"a user, blocked":     {revoke: []Revocation{{User: "ann", Blocked: true}}, want: "new old silent tv"},
		"a device, blocked":   {revoke: []Revocation{{User: "ann", Device: "phone", Blocked: true}}, want: "new old"},
		"the later one stays": {revoke: []Revocation{{User: "ann"}, {User: "ann", Before: 1}}, want: "old silent tv"},
		"a block stays":       {revoke: []Revocation{{User: "ann", Blocked: true}, {User: "ann"}}, want: "new old silent tv"},
		"lifted":              {revoke: []Revocation{{User: "ann", Blocked: true}, {User: "ann"}}, lift: &Revocation{User: "ann"}},
		"another one lifted":  {revoke: []Revocation{{User: "ann"}, {User: "ann", Device: "tv"}}, lift: &Revocation{User: "ann", Device: "tv"}, want: "old silent tv"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, all := newShelf(), everybody()
				r := s.revocations(0)
				for _, one := range c.revoke {
					one.Tenant = "acme"
					if err := r.Revoke(t.Context(), one); err != nil {
						t.Fatal(err)
					}
				}
				if len(s.told) != len(c.revoke) {
					t.Errorf("told %v", s.told)
				}
				if c.lift != nil {
					c.lift.Tenant = "acme"
					if err := r.Lift(t.Context(), *c.lift); err != nil {
						t.Fatal(err)
					}
					if err := r.Lift(t.Context(), *c.lift); !fault.Is(err, fault.NotFound) {
						t.Errorf("lifted twice: %v", err)
					}
				}
				if got := refused(r, all); got != c.want {
					t.Errorf("refused %q, want %q", got, c.want)
				}
				again := s.revocations(0)
				if err := again.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := refused(again, all); got != c.want || again.Len() != r.Len() || !slices.Equal(again.List("acme"), r.List("acme")) {
					t.Errorf("after a restart %q are refused by %+v, before it was %+v", got, again.List("acme"), r.List("acme"))
				}
			})
		})
	}
}

func TestRevokeRefuses(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		revocation Revocation
		field      string
		kind       fault.Kind
	}{
		"no tenant":          {Revocation{User: "ann"}, "tenant", fault.Invalid},
		"an unknown tenant":  {Revocation{Tenant: "initech", User: "ann"}, "tenant", fault.NotFound},
		"nobody":             {Revocation{Tenant: "acme"}, "token", fault.Invalid},
		"token and user":     {Revocation{Tenant: "acme", Token: "t", User: "ann"}, "token", fault.Invalid},
		"a long token":       {Revocation{Tenant: "acme", Token: strings.Repeat("t", 129)}, "token", fault.Invalid},
		"no user's name":     {Revocation{Tenant: "acme", User: "a/b"}, "user", fault.Invalid},
		"a device of nobody": {Revocation{Tenant: "acme", Token: "t", Device: "phone"}, "device", fault.Invalid},
		"no device's name":   {Revocation{Tenant: "acme", User: "ann", Device: "a/b"}, "device", fault.Invalid},
		"a token, blocked":   {Revocation{Tenant: "acme", Token: "t", Blocked: true}, "before", fault.Invalid},
		"blocked from when":  {Revocation{Tenant: "acme", User: "ann", Blocked: true, Before: 1}, "before", fault.Invalid},
		"the future":         {Revocation{Tenant: "acme", User: "ann", Before: now + 1e6}, "before", fault.Invalid},
		"until the past":     {Revocation{Tenant: "acme", User: "ann", Until: 1}, "until", fault.Invalid},
		"a long reason":      {Revocation{Tenant: "acme", User: "ann", Reason: strings.Repeat("r", 81)}, "reason", fault.Invalid},
		"the log is away":    {Revocation{Tenant: "acme", User: "ann"}, "", fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			s.fails = fault.New(fault.Unavailable, "", "")
			r := s.revocations(0)
			err := r.Revoke(t.Context(), c.revocation)
			if f := fault.Of(err); err == nil || f.Kind != c.kind || f.Field != c.field || r.Len() != 0 || s.told != nil {
				t.Errorf("%v; %d revoked, told %v", err, r.Len(), s.told)
			}
		})
	}
}

func TestRevocationsAreBounded(t *testing.T) {
	s := newShelf()
	r := s.revocations(0)
	for i := range maxRevocations {
		r.put(Revocation{Tenant: "acme", Token: fmt.Sprint(i)})
	}
	if err := r.Revoke(t.Context(), Revocation{Tenant: "acme", Token: "x"}); !fault.Is(err, fault.StorageFull) {
		t.Error(err)
	}
	for _, one := range []Revocation{{Tenant: "acme", Token: "7"}, {Tenant: "globex", Token: "x"}} { // known, and another tenant's
		if err := r.Revoke(t.Context(), one); err != nil {
			t.Error(err)
		}
	}
	if r.Len() != maxRevocations+1 {
		t.Error(r.Len())
	}
}

func TestRevocationsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, all := newShelf(), everybody()
		r := s.revocations(time.Hour)
		for _, one := range []Revocation{
			{Tenant: "acme", Token: "t1"}, {Tenant: "acme", User: "ann", Device: "tv"}, {Tenant: "acme", User: "ann", Blocked: true},
			{Tenant: "globex", User: "ann", Until: time.Now().Add(2 * time.Hour).UnixMilli()},
		} {
			if err := r.Revoke(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }() // ended by cancel
		for _, c := range []struct {
			after time.Duration
			want  string
			rows  int
		}{{59 * time.Minute, "ben globex new old silent tv", 4}, {61 * time.Minute, "globex new old silent tv", 2}, {131 * time.Minute, "new old silent tv", 1}} {
			time.Sleep(time.Until(time.UnixMilli(all["old"].Issued + 1000).Add(c.after)))
			synctest.Wait()
			if got := refused(r, all); got != c.want || s.kept() != c.rows {
				t.Errorf("after %v: %q are refused, there are %d rows", c.after, got, s.kept())
			}
		}
		cancel()
		<-done
		if r.Len() != 1 || s.commits != 6 {
			t.Errorf("%d left, %d commits", r.Len(), s.commits)
		}
	})
}

// A revocation that is made longer while it is being dropped stays.
func TestRevokedAgainWhilePruned(t *testing.T) {
	s := newShelf()
	r := s.revocations(0)
	old := Revocation{Tenant: "acme", Token: "t1", Until: time.Now().Add(time.Hour).UnixMilli()}
	if err := errors.Join(r.Revoke(t.Context(), old), r.Revoke(t.Context(), Revocation{Tenant: "acme", Token: "t1"})); err != nil {
		t.Fatal(err)
	}
	if err := r.remove(t.Context(), "acme", []Revocation{old}, 1); err != nil || r.Len() != 1 || len(s.rows) != 1 {
		t.Errorf("%v; %d left, %d rows", err, r.Len(), len(s.rows))
	}
}

func TestRevocationsThatCannotBeRead(t *testing.T) {
	s := newShelf()
	s.PutRow("acme", revocationsRoom, room.Row{Kind: rowRevoked, Key: "user:ann", Value: []byte("{")})
	s.PutRow("acme", revocationsRoom, room.Row{Kind: rowRevoked, Key: "ship:1", Value: []byte("{}")})
	for i := range revocationsPage + 1 {
		s.PutRow("acme", revocationsRoom, room.Row{Kind: rowRevoked, Key: fmt.Sprint("token:", i), Value: []byte("{}")})
	}
	r := s.revocations(0)
	if err := r.Load(t.Context()); err != nil || r.Len() != revocationsPage+1 {
		t.Errorf("%v, %d", err, r.Len())
	}
	s.fails = errors.New("disk")
	if err := r.Load(t.Context()); err == nil {
		t.Error("loaded from a store that is away")
	}
}

// Everything at once, for the race detector.
func TestRevocationsHammered(t *testing.T) {
	s := newShelf()
	r := s.revocations(0)
	id := &event.Identity{Tenant: "acme", User: "ann", Device: "phone", TokenID: "t"}
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() { // ends with its rounds
			for i := range 100 {
				one := Revocation{Tenant: "acme", User: "ann", Device: []string{"", "phone"}[i%2], Blocked: i%3 == 0}
				if err := r.Revoke(t.Context(), one); err != nil {
					t.Error(err)
				}
				r.Revoked(id)
				r.List("acme")
				if w == 0 {
					_ = r.Lift(t.Context(), one) // or another has
				}
			}
		})
	}
	group.Wait()
	if r.Len() != len(s.rows) || r.Len() != len(r.List("acme")) {
		t.Errorf("%d are counted, %d kept, %d listed", r.Len(), len(s.rows), len(r.List("acme")))
	}
}

func TestVerifyAsksWhatIsRevoked(t *testing.T) {
	revoked := ""
	v, err := New(house(), Deps{Clock: func() time.Time { return epoch }, Revoked: func(id *event.Identity) bool { return id.User == revoked }})
	if err != nil {
		t.Fatal(err)
	}
	token := sign(secretA, headH, claimsOf())
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	revoked = "ann"
	if _, err := v.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) || fault.Of(err).Msg != "the token was revoked" {
		t.Error(err)
	}
}

func TestLife(t *testing.T) {
	house := house()
	acme := house["acme"]
	acme.MaxAge = time.Hour
	house["acme"] = acme
	v := newVerifier(t, house)
	for tenant, want := range map[string]time.Duration{"acme": time.Hour + time.Minute, "globex": 0, "initech": 0} {
		if got := v.Life(tenant); got != want {
			t.Errorf("%s: %v, want %v", tenant, got, want)
		}
	}
}

func TestRefreshIsLetThroughWhenExpired(t *testing.T) {
	id := &event.Identity{Tenant: "acme", User: "ann", Expires: 1}
	for action, want := range map[string]pipeline.Verdict{"auth:refresh": pipeline.Pass, "message:send": pipeline.Reject, "session:open": pipeline.Reject} {
		ev := &event.Event{Origin: &stranger{id: id}, Spec: &event.Action{Name: action}}
		got, err := NewStage(echo{}, time.Now).Process(t.Context(), ev)
		if got != want || (err == nil) != (want == pipeline.Pass) || err != nil && !fault.Is(err, fault.TokenExpired) {
			t.Errorf("%s: %v, %v", action, got, err)
		}
	}
}

func BenchmarkRevoked(b *testing.B) {
	r := newShelf().revocations(0)
	for i := range 10_000 {
		r.put(Revocation{Tenant: "acme", Token: fmt.Sprint("t", i)})
		r.put(Revocation{Tenant: "acme", User: fmt.Sprint("u", i), Before: 1})
	}
	id := &event.Identity{Tenant: "acme", User: "ann", Device: "phone", TokenID: "t", Issued: 2}
	b.ReportAllocs()
	for b.Loop() {
		if r.Revoked(id) {
			b.Fatal("refused")
		}
	}
}
