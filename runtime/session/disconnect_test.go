package session

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestHangup(t *testing.T) {
	for name, c := range map[string]struct {
		filter func(a *client) Filter
		ends   []bool // ann's phone, ann's tablet, ben, ann of another tenant
	}{
		"a user":                      {func(*client) Filter { return Filter{Tenant: tenant, User: "ann"} }, []bool{true, true, false, false}},
		"a device":                    {func(*client) Filter { return Filter{Tenant: tenant, User: "ann", Device: "phone"} }, []bool{true, false, false, false}},
		"a session":                   {func(a *client) Filter { return Filter{Tenant: tenant, Session: a.id} }, []bool{true, false, false, false}},
		"a session of the user":       {func(a *client) Filter { return Filter{Tenant: tenant, User: "ann", Session: a.id} }, []bool{true, false, false, false}},
		"a session of another user":   {func(a *client) Filter { return Filter{Tenant: tenant, User: "ben", Session: a.id} }, []bool{false, false, false, false}},
		"a session of another tenant": {func(a *client) Filter { return Filter{Tenant: "globex", Session: a.id} }, []bool{false, false, false, false}},
		"nobody":                      {func(*client) Filter { return Filter{Tenant: tenant, User: "eve"} }, []bool{false, false, false, false}},
		"no session":                  {func(*client) Filter { return Filter{Tenant: tenant, Session: "x"} }, []bool{false, false, false, false}},
	} {
		for _, reconnect := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inTime(t, func(t *testing.T, n *node) {
					list := []*client{
						n.openAs(until(time.Hour), map[string]any{"device": "phone"}), n.openAs(until(time.Hour), map[string]any{"device": "tablet"}),
						n.open("ben"), n.openAs(event.Identity{Tenant: "globex", User: "ann"}, nil),
					}
					time.Sleep(time.Second) // they are stored
					want := 0
					for _, ends := range c.ends {
						if ends {
							want++
						}
					}
					f := c.filter(list[0])
					if got := n.Hangup(t.Context(), f, reconnect); got != want {
						t.Errorf("%d were told, want %d", got, want)
					}
					synctest.Wait()
					for i, one := range list {
						n.hungUp(t, one, c.ends[i], reconnect)
					}
					if !reconnect && n.Hangup(t.Context(), f, reconnect) != 0 {
						t.Error("they are told twice")
					}
				})
			})
		}
	}
}

// hungUp holds a client to what it was told, and what became of its session.
func (n *node) hungUp(t *testing.T, c *client, ends, reconnect bool) {
	t.Helper()
	want, stored := "", true
	switch {
	case ends && reconnect:
		want = "reconnect"
	case ends:
		want, stored = "disconnected", false
	}
	if got := c.conn.end(); got != want {
		t.Errorf("%s of %s ended with %q, want %q", c.Identity().User, c.Identity().Device, got, want)
	}
	c.Closed()
	time.Sleep(time.Second)
	_, found, err := n.Stored(t.Context(), c.Identity().Tenant, c.id)
	if _, detached := n.detached[c.id]; err != nil || found != stored || detached != stored {
		t.Errorf("%s of %s is stored %v, detached %v, want %v (%v)", c.Identity().User, c.Identity().Device, found, detached, stored, err)
	}
}

// TestHangupWithoutTheStore tells the clients all the same.
func TestHangupWithoutTheStore(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, early := n.open("ann"), n.connect("ann")
		n.world.fail("Delete", errNo)
		if got := n.Hangup(t.Context(), Filter{Tenant: tenant}, false); got != 2 || a.conn.end() != "disconnected" || early.conn.end() != "disconnected" {
			t.Errorf("%d, %q, %q", got, a.conn.end(), early.conn.end())
		}
	})
}

func TestPage(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		var all, anns []string
		for i := range 25 {
			c := n.open([]string{"ann", "ben", "cid"}[i%3])
			if all = append(all, c.id); i%3 == 0 {
				anns = append(anns, c.id)
			}
			time.Sleep(time.Millisecond) // ids in order
		}
		n.connect("ann") // has no session
		n.openAs(event.Identity{Tenant: "globex", User: "ann"}, nil)
		for name, c := range map[string]struct {
			filter Filter
			want   []string
		}{
			"all":              {Filter{Tenant: tenant, Limit: 4}, all},
			"all at once":      {Filter{Tenant: tenant, Limit: 25}, all},
			"a user's":         {Filter{Tenant: tenant, User: "ann", Limit: 2}, anns},
			"a session":        {Filter{Tenant: tenant, Session: all[3], Limit: 2}, all[3:4]},
			"another tenant's": {Filter{Tenant: "globex", Session: all[3], Limit: 2}, nil},
			"no device":        {Filter{Tenant: tenant, Device: "tv", Limit: 2}, nil},
		} {
			var got []string
			after, more := "", true
			for more {
				var list []Connection
				if list, more, _ = n.Page(c.filter, after); len(list) > c.filter.Limit || more && len(list) != c.filter.Limit {
					t.Fatalf("%s: a page of %d, more %v", name, len(list), more)
				}
				for _, x := range list {
					got = append(got, x.Session)
					after = x.Session
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %q\nwant %q", name, got, c.want)
			}
		}
		if _, _, looked := n.Page(Filter{Tenant: tenant, Limit: 1}, ""); looked != 27 {
			t.Errorf("looked at %d", looked)
		}
	})
}

// BenchmarkPage is the first page of 100 of a tenant's connections, on a node of
// 10,000: all of them the tenant's, or none.
func BenchmarkPage(b *testing.B) {
	n := newNode(b)
	for range 10_000 {
		n.open("ann")
	}
	for name, tenant := range map[string]string{"All": tenant, "None": "globex"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Page(Filter{Tenant: tenant, Limit: 100}, "")
			}
		})
	}
}
