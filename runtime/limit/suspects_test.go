package limit

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// strict has small thresholds.
func strict() ScoreConfig {
	return ScoreConfig{
		HalfLife: time.Minute, Malformed: 10, Refused: 1, Flood: 1, Token: 20,
		Connection: Ceilings{Slow: 10, Close: 30}, User: Bans{Slow: 20, Ban: 50}, IP: Bans{Slow: 100, Ban: 200},
		SlowRate: 0.1, BanFor: 10 * time.Minute, Entries: 1000,
	}
}

// logged counts the lines of a text in what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func suspects(cfg ScoreConfig) (*Suspects, *logged) {
	l := &logged{}
	return NewSuspects(cfg, SuspectsDeps{Log: slog.New(slog.NewTextHandler(l, nil))}), l
}

func TestAConnectionIsSlowedThenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sus, log := suspects(strict())
		cfg := plenty()
		cfg.MessageRate, cfg.MessageBurst = 10, 100
		cfg.Score = strict()
		s := New(cfg)
		s.Suspects = sus
		h := connect("acme", "ann", "192.0.2.1")
		refuse := func(n int) {
			for range n {
				sus.Event(&event.Event{Origin: h}, fault.Forbidden)
			}
		}
		refuse(9)
		if sus.slow(h, h.Account()) || log.count("slowed") != 0 {
			t.Fatal("slowed down too early")
		}
		refuse(1)
		passed := 0
		for does(s, h, sends(), 0) == nil {
			passed++
		}
		if passed != 10 { // a tenth of the burst
			t.Errorf("%d events at once", passed)
		}
		if f := fault.Of(does(s, h, sends(), 0)); f.After < 999*time.Millisecond { // at a tenth of the rate
			t.Errorf("wait %v", f.After)
		}
		refuse(10)
		if log.count("a connection is slowed down for misbehaviour") != 1 {
			t.Error("not said once")
		}
		if len(h.closed) != 0 {
			t.Fatal("closed too early")
		}
		refuse(20)
		if len(h.closed) != 1 || h.closed[0] != fault.RateLimited || log.count("a connection was closed for misbehaviour") != 1 {
			t.Errorf("closed %v", h.closed)
		}
	})
}

func TestPointsFade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := strict()
		cfg.Connection.Close = 0
		sus, log := suspects(cfg)
		h := connect("acme", "ann", "192.0.2.1")
		sus.Note(Malformed, WhoIs(h)) // 10 points
		for i, c := range []struct {
			after time.Duration
			slow  bool
		}{{0, true}, {59 * time.Second, true}, {2 * time.Second, false}} { // less than half of slow
			time.Sleep(c.after)
			if got := sus.slow(h, h.Account()); got != c.slow {
				t.Errorf("step %d: %v", i, got)
			}
		}
		sus.Note(Malformed, WhoIs(h)) // 5 are left
		if !sus.slow(h, h.Account()) || log.count("a connection is slowed down") != 2 {
			t.Error("the second time is not seen")
		}
	})
}

func TestAUserIsSlowedEverywhereThenTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sus, log := suspects(strict())
		s := New(plenty())
		s.Suspects = sus
		a, b, namesake, bob := connect("acme", "ann", "192.0.2.1"), connect("acme", "ann", "192.0.2.2"), connect("globex", "ann", "192.0.2.2"), connect("acme", "bob", "192.0.2.2")
		slow := func(h *holder) bool { return sus.slow(h, h.Account()) }
		for range 2 {
			sus.Note(Malformed, WhoIs(a))
		}
		if !slow(b) || slow(namesake) || slow(bob) {
			t.Errorf("slowed down: other connection %v, namesake %v, other user %v", slow(b), slow(namesake), slow(bob))
		}
		for range 3 {
			sus.Note(Malformed, WhoIs(b))
		}
		if until := sus.Banned("acme", "ann", netip.Addr{}); time.Until(until) != 10*time.Minute {
			t.Fatalf("banned until %v", until)
		}
		if len(b.closed) != 2 { // for its own points too
			t.Errorf("closed %v", b.closed)
		}
		a.closed = nil
		if _ = does(s, a, sends(), 0); len(a.closed) != 1 {
			t.Error("the user's other connection stays open")
		}
		again := connect("acme", "ann", "192.0.2.3")
		f := fault.Of(does(s, again, opens(), 0))
		if f.Kind != fault.RateLimited || f.After != 10*time.Minute || f.Msg != turnedAway {
			t.Errorf("a new session: %v", f)
		}
		for _, h := range []*holder{namesake, bob} {
			if err := does(s, h, opens(), 0); err != nil {
				t.Errorf("%s of %s: %v", h.id.User, h.id.Tenant, err)
			}
		}
		if err := sus.Admit(again.id, again.ip); !fault.Is(err, fault.RateLimited) {
			t.Errorf("a handshake: %v", err)
		}
		time.Sleep(10*time.Minute - time.Second)
		if f := fault.Of(sus.Admit(again.id, again.ip)); f.After != time.Second {
			t.Errorf("near the end: %v", f)
		}
		time.Sleep(time.Second)
		if err := does(s, connect("acme", "ann", "192.0.2.3"), opens(), 0); err != nil {
			t.Errorf("when it is over: %v", err)
		}
		if st := sus.Stats(); st.Banned["user"] != 1 || st.Banned["address"] != 0 || st.TurnedAway != 3 || st.Slowed["user"] != 1 || st.Noted["malformed"] != 5 {
			t.Errorf("%+v", st)
		}
		if log.count("a user is turned away for misbehaviour") != 1 || log.count("for=10m") != 1 {
			t.Error(log.b.String())
		}
	})
}

func TestAnAddressIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sus, log := suspects(strict())
		ip := netip.MustParseAddr("2001:db8::1")
		sus.Token(ip, fault.New(fault.TokenExpired, "", "")) // no offence
		sus.Token(ip, fault.New(fault.Unavailable, "", ""))
		for range 9 {
			sus.Token(ip, fault.New(fault.Unauthenticated, "", ""))
		}
		if err := sus.Admit(nil, ip); err != nil {
			t.Fatal(err)
		}
		sus.Token(ip, fault.New(fault.Unauthenticated, "", ""))
		if err := sus.Admit(nil, netip.MustParseAddr("2001:db8::2")); !fault.Is(err, fault.RateLimited) {
			t.Errorf("its network: %v", err)
		}
		if err := sus.Admit(nil, netip.MustParseAddr("2001:db8:0:1::1")); err != nil {
			t.Errorf("another network: %v", err)
		}
		if log.count("an address is turned away for misbehaviour") != 1 || log.count("an address is slowed down") != 1 {
			t.Error(log.b.String())
		}
		time.Sleep(10 * time.Minute)
		if err := sus.Admit(nil, ip); err != nil {
			t.Error(err)
		}
	})
}

// TestAddressesOfTenantsApart: behind one address the users of several tenants may
// be, and those who have not said who they are.
func TestAddressesOfTenantsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := strict()
		cfg.User = Bans{}
		sus, log := suspects(cfg)
		s := New(plenty())
		s.Suspects = sus
		bad, mate := connect("acme", "eve", "192.0.2.1"), connect("acme", "ann", "192.0.2.1")
		other, unknown := connect("globex", "ann", "192.0.2.1"), &holder{ip: bad.ip}
		slow := func(h *holder) bool { return sus.slow(h, h.Account()) }
		for range 10 {
			sus.Note(Malformed, WhoIs(bad))
		}
		if !slow(mate) || slow(other) || slow(unknown) {
			t.Errorf("slowed down: of the tenant %v, of another %v, unknown %v", slow(mate), slow(other), slow(unknown))
		}
		for range 10 {
			sus.Note(Malformed, WhoIs(bad))
		}
		if err := does(s, mate, opens(), 0); !fault.Is(err, fault.RateLimited) {
			t.Errorf("another user of the tenant: %v", err)
		}
		if err := does(s, other, opens(), 0); err != nil || len(other.closed) != 0 {
			t.Errorf("a user of another tenant: %v, closed %v", err, other.closed)
		}
		if err := sus.Admit(nil, bad.ip); err != nil {
			t.Errorf("one without a token: %v", err)
		}
		// What is done there without a token is nobody's of those who have one.
		for range 10 {
			sus.Token(bad.ip, fault.New(fault.Unauthenticated, "", ""))
		}
		if err := sus.Admit(nil, bad.ip); !fault.Is(err, fault.RateLimited) {
			t.Errorf("a handshake: %v", err)
		}
		if _ = does(s, other, sends(), 0); slow(other) || len(other.closed) != 0 {
			t.Errorf("slowed down %v, closed %v", slow(other), other.closed)
		}
		if st := sus.Stats(); st.Addresses != 2 || st.Banned["address"] != 2 || log.count("an address is turned away") != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// server is the origin of what a tenant's backend does: no connection.
type server struct {
	id      *event.Identity
	account Account
	closed  int
}

func (s *server) Account() *Account                    { return &s.account }
func (s *server) CloseFor(fault.Kind, string)          { s.closed++ }
func (s *server) Identity() *event.Identity            { return s.id }
func (*server) Member(string) (event.Membership, bool) { return event.Membership{}, false }
func (*server) Opened() bool                           { return true }

// TestAUserIsNotBlamedForTheServer: a backend that is refused while it speaks for a
// user gives the user no points.
func TestAUserIsNotBlamedForTheServer(t *testing.T) {
	sus, _ := suspects(strict())
	cfg := plenty()
	cfg.User = Budget{Rate: 1, Burst: 1}
	s := New(cfg)
	s.Suspects = sus
	for range 200 {
		one := &server{id: &event.Identity{Tenant: "acme", User: "ann"}}
		sus.Event(&event.Event{Origin: one}, fault.Forbidden)
		_, _ = s.Process(t.Context(), &event.Event{Origin: one, Spec: sends(), Received: 1, Envelope: event.Envelope{Tenant: "acme", From: event.Sender{User: "ann"}}})
	}
	if st := sus.Stats(); st.Users != 0 || st.Noted["refused"]+st.Noted["flood"] != 0 || s.Stats().Refused["user"] != 199 {
		t.Errorf("%+v %+v", st, s.Stats())
	}
}

// TestBannedAgain: points that outlive a short ban lead to the next one.
func TestBannedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := strict()
		cfg.BanFor, cfg.HalfLife = time.Second, time.Hour
		cfg.User.Slow = 0
		sus, _ := suspects(cfg)
		who := Who{Tenant: "acme", User: "ann"}
		for range 20 {
			sus.Note(Malformed, who)
		}
		if n := sus.Stats().Banned["user"]; n != 1 {
			t.Errorf("%d bans", n)
		}
		time.Sleep(2 * time.Second)
		sus.Note(Refused, who)
		if sus.Banned("acme", "ann", netip.Addr{}).IsZero() || sus.Stats().Banned["user"] != 2 {
			t.Error("not banned again")
		}
	})
}

func TestWhatCounts(t *testing.T) {
	for kind, want := range map[fault.Kind]string{
		fault.Malformed: "malformed", fault.UnsupportedVersion: "malformed",
		fault.Forbidden: "refused", fault.UnknownAction: "refused", fault.Invalid: "refused", fault.TooLarge: "refused", fault.SessionRequired: "refused",
		fault.Unauthenticated: "token",
		fault.TokenExpired:    "", fault.RateLimited: "", fault.Conflict: "", fault.NotFound: "", fault.Internal: "", fault.Overloaded: "", fault.Changed: "",
	} {
		sus, _ := suspects(strict())
		sus.Event(&event.Event{Origin: connect("acme", "ann", "192.0.2.1")}, kind)
		for name, n := range sus.Stats().Noted {
			if (n == 1) != (name == want) {
				t.Errorf("%v counts as %s: %d", kind, name, n)
			}
		}
	}
	sus, _ := suspects(strict())
	sus.Frame(&holder{}) // before a token, from nowhere
	if st := sus.Stats(); st.Noted["malformed"] != 1 || st.Users != 0 || st.Addresses != 0 {
		t.Errorf("%+v", st)
	}
	cfg := strict()
	cfg.Refused = 0
	sus.Reload(cfg)
	h := connect("acme", "ann", "192.0.2.1")
	sus.Event(&event.Event{Origin: h}, fault.Forbidden)
	if h.account.points.Load() != nil {
		t.Error("what counts nothing is kept")
	}
	var nobody *Suspects
	nobody.Event(&event.Event{Origin: h}, fault.Forbidden)
	nobody.Frame(h)
	nobody.Token(h.ip, fault.New(fault.Unauthenticated, "", ""))
	if nobody.Admit(nil, h.ip) != nil || !nobody.Banned("", "", h.ip).IsZero() || nobody.Stats().Closed != 0 {
		t.Error("nil does something")
	}
}

func TestFloodsAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := plenty()
		cfg.MessageRate, cfg.MessageBurst = 1, 1
		s := New(cfg)
		s.Suspects, _ = suspects(strict())
		h := connect("acme", "ann", "192.0.2.1")
		for range 31 {
			_ = does(s, h, sends(), 0)
		}
		if st := s.Suspects.Stats(); st.Noted["flood"] != 30 || st.Closed != 1 || len(h.closed) != 1 {
			t.Errorf("%+v, closed %v", st, h.closed)
		}
	})
}

func TestBansCanBeSwitchedOff(t *testing.T) {
	sus, _ := suspects(strict())
	who := Who{Tenant: "acme", User: "ann", IP: netip.MustParseAddr("192.0.2.1")}
	for range 30 {
		sus.Note(Malformed, who)
	}
	if sus.Banned("acme", "ann", netip.Addr{}).IsZero() || sus.Banned("acme", "", who.IP).IsZero() {
		t.Fatal("not banned")
	}
	cfg := strict()
	cfg.User, cfg.IP = Bans{}, Bans{}
	sus.Reload(cfg)
	if until := sus.Banned("acme", "ann", who.IP); !until.IsZero() {
		t.Error("still banned")
	}
	if h := connect("acme", "ann", "192.0.2.1"); sus.slow(h, h.Account()) {
		t.Error("still slowed down")
	}
}

// TestFewAreRemembered: whoever makes up names can not fill the memory, nor get
// those out who are banned.
func TestFewAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := strict()
		cfg.Entries = 64 * shards
		sus, _ := suspects(cfg)
		banned := Who{Tenant: "acme", User: "ann"}
		for range 5 {
			sus.Note(Malformed, banned)
		}
		for i := range 50000 {
			sus.Note(Refused, Who{Tenant: "acme", User: fmt.Sprint("u", i), IP: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
		}
		if st := sus.Stats(); st.Users > cfg.Entries || st.Addresses > cfg.Entries {
			t.Errorf("%+v", st)
		}
		if sus.Banned("acme", "ann", netip.Addr{}).IsZero() {
			t.Error("the ban is forgotten")
		}
		time.Sleep(time.Hour) // all points are gone
		for i := range 20000 {
			sus.Note(Refused, Who{Tenant: "acme", User: fmt.Sprint("v", i%shards)})
		}
		if st := sus.Stats(); st.Users > 3900 {
			t.Errorf("%d users are remembered whose points are gone", st.Users)
		}
	})
}

func TestSuspectsAtOnce(t *testing.T) {
	sus, _ := suspects(strict())
	s := New(plenty())
	s.Suspects = sus
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				h := &quiet{holder: *connectIP("acme", fmt.Sprint("u", i%20), byte(g))}
				sus.Frame(h)
				_ = sus.Admit(h.id, h.ip)
				sus.slow(h, h.Account())
				if i%50 == 0 {
					sus.Reload(strict())
					sus.Stats()
				}
			}
		})
	}
	wg.Wait()
	if n := sus.Stats().Noted["malformed"]; n != 1600 {
		t.Error(n)
	}
}

// quiet is a holder that several goroutines may close.
type quiet struct{ holder }

func (*quiet) CloseFor(fault.Kind, string) {}

func connectIP(tenant, user string, last byte) *holder {
	return &holder{id: &event.Identity{Tenant: tenant, User: user}, ip: netip.AddrFrom4([4]byte{192, 0, 2, last})}
}
