package session

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// until is ann's identity for a time.
func until(d time.Duration) event.Identity {
	return event.Identity{Tenant: tenant, User: "ann", Expires: time.Now().Add(d).UnixMilli()}
}

// openAs is a connection with a token, and its session.
func (n *node) openAs(id event.Identity, data map[string]any) *client {
	c := n.connect("")
	c.Authenticated(&id)
	c.must("session:open", data)
	return c
}

func TestRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		device string // of the session
		change func(*event.Identity)
		fails  error
		code   string
		left   []string
	}{
		"the same":              {},
		"a device stays":        {device: "phone"},
		"the device's":          {device: "phone", change: func(id *event.Identity) { id.Device = "phone" }},
		"another device's":      {device: "phone", change: func(id *event.Identity) { id.Device = "tv" }, code: "forbidden"},
		"a device's, of none":   {change: func(id *event.Identity) { id.Device = "tv" }, code: "forbidden"},
		"another user's":        {change: func(id *event.Identity) { id.User = "ben" }, code: "forbidden"},
		"another tenant's":      {change: func(id *event.Identity) { id.Tenant = "globex" }, code: "forbidden"},
		"not verified":          {fails: fault.New(fault.Unauthenticated, "", ""), code: "unauthenticated"},
		"expired":               {fails: fault.New(fault.TokenExpired, "", ""), code: "token_expired"},
		"the key set is away":   {fails: fault.New(fault.Unavailable, "", ""), code: "unavailable"},
		"one room less":         {change: func(id *event.Identity) { id.Rooms = []string{"channel:x"} }, left: []string{"channel:y", "channel:y/calls"}},
		"a part alone":          {change: func(id *event.Identity) { id.Rooms = []string{"channel:y/calls"} }, left: []string{"channel:x", "channel:y"}},
		"no room but the own":   {change: func(id *event.Identity) { id.Rooms = []string{} }, left: []string{"channel:x", "channel:y", "channel:y/calls"}},
		"rooms to receive only": {change: func(id *event.Identity) { id.Limited = []event.Grant{{Room: "channel:*"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				rooms := []string{"channel:x", "channel:y", "channel:y/calls", "user:ann"}
				data := map[string]any{"rooms": rooms}
				if c.device != "" {
					data["device"] = c.device
				}
				a := n.openAs(until(time.Minute), data)
				was, next := a.Identity(), until(time.Hour)
				if c.change != nil {
					c.change(&next)
				}
				n.world.fail("Verify", c.fails)
				code := a.do("auth:refresh", map[string]any{"token": n.world.token("fresh", next)})
				if code != c.code || code != "" && a.reply.Field != "data.token" {
					t.Fatalf("answered %q in %q", code, a.reply.Field)
				}
				if code != "" {
					if a.Identity() != was || len(a.joined()) != 4 {
						t.Errorf("%+v in %v", a.Identity(), a.joined())
					}
					return
				}
				if id := a.Identity(); a.reply.ExpiresAt != next.Expires || id.Expires != next.Expires || id.Device != c.device {
					t.Errorf("%+v, told %d", id, a.reply.ExpiresAt)
				}
				for _, name := range c.left {
					rooms = slices.DeleteFunc(rooms, func(r string) bool { return r == name })
				}
				if got := a.joined(); !slices.Equal(a.reply.Left, c.left) || !slices.Equal(got, rooms) {
					t.Errorf("left %v, is in %v", a.reply.Left, got)
				}
				time.Sleep(time.Second)
				if got := n.world.stored(a.id).Rooms; len(got) != len(rooms) {
					t.Errorf("stored %v", got)
				}
				time.Sleep(2 * time.Minute)
				if got := a.conn.end(); got != "" {
					t.Errorf("ended with %q", got)
				}
				if len(n.watched) != 0 {
					t.Errorf("%d are looked at each second", len(n.watched))
				}
			})
		})
	}
}

// A join that was decided under the token of before.
func TestJoinAfterRefresh(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.openAs(until(time.Minute), nil)
		next := until(time.Hour)
		next.Rooms = []string{"channel:x"}
		a.must("auth:refresh", map[string]any{"token": n.world.token("fresh", next)})
		for room, allowed := range map[string]bool{"channel:x": true, "channel:y": false, "user:ann": true, "user:ann/presence": true} {
			if err := a.JoinRoom(t.Context(), room, event.Position{}, event.Membership{}, false); (err == nil) != allowed {
				t.Errorf("%s: %v", room, err)
			}
		}
	})
}

func TestExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		life, notice, grace time.Duration
		told, end           time.Duration // about when; 0: never
	}{
		"no notice":                 {life: time.Minute, end: time.Minute},
		"a notice":                  {life: 3 * time.Minute, notice: time.Minute, told: 2 * time.Minute, end: 3 * time.Minute},
		"a notice of a moment":      {life: time.Minute, notice: 5 * time.Second, told: 55 * time.Second, end: time.Minute},
		"a short life":              {life: 3 * time.Second, notice: time.Minute, told: time.Second, end: 3 * time.Second},
		"a grace":                   {life: time.Minute, notice: 10 * time.Second, grace: 20 * time.Second, told: 50 * time.Second, end: 80 * time.Second},
		"no life, but for a refund": {life: time.Second, grace: 20 * time.Second, end: 21 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range sliced { // in whatever slice the session is
				inTime(t, func(t *testing.T, n *node) {
					n.cfg.ExpiryNotice, n.cfg.ExpiryGrace = c.notice, c.grace
					for range i {
						n.connect("ben")
					}
					start := time.Now()
					a := n.openAs(until(c.life), nil)
					var told, end time.Duration
					for end == 0 && time.Since(start) < 5*time.Minute {
						time.Sleep(100 * time.Millisecond)
						for _, js := range a.conn.sent() {
							if left := time.Until(time.UnixMilli(a.Identity().Expires)).Milliseconds(); !strings.Contains(js, `"auth:expiring"`) || told != 0 ||
								!strings.Contains(js, fmt.Sprintf(`"data":{"expires_in_ms":%d}`, left+100)) && !strings.Contains(js, fmt.Sprintf(`"data":{"expires_in_ms":%d}`, left)) {
								t.Errorf("told %s, %d ms before the end", js, left)
							}
							told = time.Since(start)
						}
						if a.conn.end() != "" {
							end = time.Since(start)
						}
					}
					if late := told - c.told; c.told == 0 && told != 0 || c.told != 0 && (late < -time.Second || late > sliced*time.Second+time.Second || c.notice < sliced*time.Second && late > 2*time.Second) {
						t.Errorf("told after %v, want %v", told, c.told)
					}
					if late := end - c.end; late < -time.Second || late > 2*time.Second || a.conn.end() != "token_expired" {
						t.Errorf("ended after %v with %q, want %v", end, a.conn.end(), c.end)
					}
					a.Closed()
				})
			}
		})
	}
}

// A refreshed session is told of the end of its new token.
func TestNoticeAgain(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		n.cfg.ExpiryNotice, n.cfg.ExpiryGrace = time.Minute, 30*time.Second
		a := n.openAs(until(2*time.Minute), nil)
		notices := func() (all int) {
			for _, js := range a.conn.sent() {
				all += strings.Count(js, "auth:expiring")
			}
			return all
		}
		time.Sleep(2*time.Minute + 20*time.Second) // within the grace
		if notices() != 1 || a.conn.end() != "" {
			t.Fatalf("ended with %q", a.conn.end())
		}
		a.must("auth:refresh", map[string]any{"token": n.world.token("fresh", until(5*time.Minute))})
		time.Sleep(3 * time.Minute)
		if got := notices(); got != 0 {
			t.Errorf("%d notices too early", got)
		}
		time.Sleep(2 * time.Minute)
		if got := notices(); got != 1 || a.conn.end() != "" {
			t.Errorf("%d notices, ended with %q", got, a.conn.end())
		}
		time.Sleep(time.Minute)
		if got := a.conn.end(); got != "token_expired" {
			t.Errorf("ended with %q", got)
		}
	})
}

// A refreshed session ends on time, in whatever slice it is.
func TestShorterToken(t *testing.T) {
	for i := range sliced {
		inTime(t, func(t *testing.T, n *node) {
			n.cfg.ExpiryNotice = 0
			for range i {
				n.connect("ben")
			}
			a := n.openAs(until(time.Hour), nil)
			time.Sleep(3 * sliced * time.Second)
			a.must("auth:refresh", map[string]any{"token": n.world.token("fresh", until(2*time.Second))})
			if time.Sleep(4 * time.Second); a.conn.end() != "token_expired" {
				t.Errorf("ended with %q", a.conn.end())
			}
		})
	}
}

// TestRefreshAgainstExpiry has a token refreshed at the moment when its end closes
// the connection: either is refused, or does not happen.
func TestRefreshAgainstExpiry(t *testing.T) {
	n := newNode(t)
	won := 0
	for range 500 {
		a := n.openAs(until(time.Hour), nil)
		late, next := time.Now().Add(2*time.Hour), until(4*time.Hour)
		var wg sync.WaitGroup
		var err error
		wg.Go(func() { _, err = a.renew(&next) })
		wg.Go(func() { a.expire(late) })
		wg.Wait()
		a.expire(late)
		if end := a.conn.end(); (err == nil) != (end == "") || err != nil && (!fault.Is(err, fault.TokenExpired) || end != "token_expired") {
			t.Fatalf("%v, and ended with %q", err, end)
		}
		if err == nil {
			won++
		}
		a.Closed()
	}
	t.Logf("%d of 500 were refreshed in time", won)
}

func TestRevokedSessions(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, b, c := n.open("ann"), n.open("ann"), n.open("ben")
		early := n.connect("ann") // with a token, but no session
		other := &client{node: n, conn: &conn{opened: time.Now()}}
		other.Session = n.New(other.conn, native.JSON{}, &event.Identity{Tenant: "globex", User: "ann"}, "websocket")
		other.must("session:open", nil)
		n.world.revoke("ann")
		n.Disconnect(tenant, "ann", n.world.isRevoked, "stolen")
		for name, c := range map[string]struct {
			c    *client
			want string
		}{"one": {a, "unauthenticated"}, "another": {b, "unauthenticated"}, "another user": {c, ""}, "another tenant": {other, ""}, "not open": {early, ""}} {
			if got := c.c.conn.end(); got != c.want {
				t.Errorf("%s ended with %q", name, got)
			}
		}
		if code := early.do("session:open", nil); code != "unauthenticated" || early.conn.end() != "unauthenticated" {
			t.Errorf("opened with %q, ended with %q", code, early.conn.end())
		}
		n.Disconnect(tenant, "", func(id *event.Identity) bool { return id.User == "ben" }, "")
		if got := c.conn.end(); got != "unauthenticated" || n.Revoked.Load() != 4 {
			t.Errorf("ended with %q, counted %d", got, n.Revoked.Load())
		}
	})
}

// A token that is revoked while the session takes it.
func TestRevokedWhileRefreshing(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.openAs(until(time.Minute), nil)
		n.world.revoke("ann") // behind Verify
		a.must("auth:refresh", map[string]any{"token": n.world.token("fresh", until(time.Hour))})
		if got := a.conn.end(); got != "unauthenticated" {
			t.Errorf("ended with %q", got)
		}
		synctest.Wait()
	})
}
