package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestConnections(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, b, c := n.open("ann", "channel:x"), n.open("ann"), n.open("ben")
		other := n.connect("")
		other.Authenticated(&event.Identity{Tenant: "globex", User: "ann"})
		n.connect("")
		for name, c := range map[string]struct {
			filter Filter
			want   []string // sessions; "" for those that have none
		}{
			"all":                 {Filter{}, []string{"", "", a.id, b.id, c.id}},
			"a tenant's":          {Filter{Tenant: tenant}, []string{a.id, b.id, c.id}},
			"a user's":            {Filter{Tenant: tenant, User: "ann"}, []string{a.id, b.id}},
			"a user's, of all":    {Filter{User: "ann"}, []string{"", a.id, b.id}},
			"nobody's":            {Filter{Tenant: tenant, User: "eve"}, nil},
			"one session":         {Filter{Session: b.id}, []string{b.id}},
			"of another tenant":   {Filter{Tenant: "globex", Session: b.id}, nil},
			"no more than wanted": {Filter{Tenant: tenant, User: "ben", Limit: 1}, []string{c.id}},
		} {
			var got []string
			for _, c := range n.Connections(c.filter) {
				got = append(got, c.Session)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		if got := n.Connections(Filter{Limit: 2}); len(got) != 2 {
			t.Errorf("%d connections, want 2", len(got))
		}
		got := n.Connections(Filter{Session: a.id})[0]
		want := Connection{
			Session: a.id, Tenant: tenant, User: "ann", State: "active", Node: "node", Transport: "websocket", Dialect: "heddle.v1.json",
			Remote: "192.0.2.1:4711", Agent: "test", Opened: a.conn.opened,
		}
		if rooms := got.Rooms; !slices.Equal(rooms, []string{"user:ann", "channel:x"}) {
			t.Errorf("rooms %v", rooms)
		}
		if got.Rooms, got.Attributes = nil, nil; !sameConnection(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

func sameConnection(a, b Connection) bool {
	return a.Session == b.Session && a.Tenant == b.Tenant && a.User == b.User && a.Device == b.Device && a.State == b.State && a.Node == b.Node &&
		a.Transport == b.Transport && a.Dialect == b.Dialect && a.Remote == b.Remote && a.Agent == b.Agent && a.Opened.Equal(b.Opened) && a.Unanswered == b.Unanswered
}

func TestStoredConnections(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.connect("ann")
		a.must("session:open", map[string]any{"rooms": []string{"channel:x"}, "attributes": map[string]int{"x": 1}})
		a.Closed()
		for range 2 { // on its way to the store, and there
			c, found, err := n.Stored(t.Context(), tenant, a.reply.Session)
			if err != nil || !found || c.State != "detached" || c.User != "ann" || !slices.Equal(c.Rooms, []string{"channel:x", "user:ann"}) || string(c.Attributes) != `{"x":1}` {
				t.Errorf("%+v, %v, %v", c, found, err)
			}
			time.Sleep(time.Second)
		}
		if _, found, err := n.Stored(t.Context(), tenant, "x"); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		n.world.fail("Load", errNo)
		if _, _, err := n.Stored(t.Context(), tenant, a.reply.Session); err == nil {
			t.Error("the store's failure is not told")
		}
	})
}

func TestDrain(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		const over = 10 * time.Second
		var list []*client
		for range 50 {
			list = append(list, n.open("ann"))
		}
		busy, early := list[0], n.connect("ben")
		ticket := busy.line.Begin(9)
		for _, c := range list {
			c.conn.sent()
		}
		done := make(chan struct{})
		go func() { n.Drain(t.Context(), over); close(done) }() // ended by its time
		time.Sleep(time.Millisecond)
		for i, c := range append(list, early) {
			if sent := c.conn.sent(); len(sent) != 1 || !strings.Contains(sent[0], `"session:drain"`) || !strings.Contains(sent[0], `"reconnect_in_ms":`) {
				t.Errorf("client %d was told %q", i, sent)
			}
		}
		ended := func() (n int) {
			for _, c := range list {
				if c.conn.end() == "draining" {
					n++
				}
			}
			return n
		}
		time.Sleep(over * 3 / 8)
		if n := ended(); n < 10 || n > 40 {
			t.Errorf("%d of 50 have ended after half of the time", n)
		}
		time.Sleep(over * 3 / 8)
		if n := ended(); n != 49 || busy.conn.end() != "" {
			t.Errorf("%d have ended, the busy one with %q", n, busy.conn.end())
		}
		busy.Answer(ticket, nil, 0)
		<-done
		if n := ended(); n != 50 || early.conn.end() != "draining" {
			t.Errorf("%d have ended", n)
		}
		if states, _ := n.Counts(); states["draining"] != 50 || states["active"] != 0 {
			t.Errorf("%v", states)
		}
	})
}

func TestDrainWaitsForNobodyForever(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		a.line.Begin(9)
		start := time.Now()
		n.Drain(t.Context(), 2*time.Second)
		if took := time.Since(start); a.conn.end() != "draining" || took > 3*time.Second {
			t.Errorf("ends with %q after %v", a.conn.end(), took)
		}
	})
}

func TestQuality(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.connect("ann")
		a.Quality("poor", time.Second, 0, 2)
		if sent := a.conn.sent(); len(sent) != 0 {
			t.Errorf("told before the session is open: %q", sent)
		}
		a.must("session:open", nil)
		a.Quality("fair", 200500*time.Microsecond, 60*time.Millisecond, 1)
		if sent := a.conn.sent(); len(sent) != 1 || !strings.Contains(sent[0], `{"grade":"fair","rtt_ms":200.5,"jitter_ms":60,"missed":1}`) {
			t.Errorf("told %q", sent)
		}
	})
}

func TestSessionsAreFound(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		here := map[*Session]bool{}
		var list []*client
		for i := range 4 * sliced {
			list = append(list, n.open(fmt.Sprint("u", i/4))) // a user has four
			here[list[i].Session] = true
		}
		check := func(what string, got []*Session, of string) {
			want := 0
			for s := range here {
				if of == "" || s.Identity().User == of {
					want++
				}
			}
			for _, s := range got {
				if !here[s] {
					t.Fatalf("%s: a session that is closed", what)
				}
			}
			if len(got) != want {
				t.Fatalf("%s: %d sessions of %d", what, len(got), want)
			}
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, c := range list {
			c.Closed()
			c.Closed() // does nothing
			delete(here, c.Session)
			check("all", n.each(), "")
			check("a user's", n.ofUser(tenant, c.Identity().User), c.Identity().User)
			n.watch(c.Session) // too late
		}
		if len(n.byUser)+len(n.byID)+len(n.watched) != 0 {
			t.Errorf("left: %d users, %d sessions, %d watched", len(n.byUser), len(n.byID), len(n.watched))
		}
	})
}

func TestFrames(t *testing.T) {
	ok := `{"v":1,"type":"event","payload":{"action":"session:ping","data":{}}}`
	for name, c := range map[string]struct {
		frame   string
		binary  bool
		stopped bool
		times   int
		answers int
		end     string
	}{
		"an envelope":          {frame: ok, times: 1, answers: 1},
		"a batch":              {frame: "[" + ok + "," + ok + "]", times: 1, answers: 2},
		"no batch":             {frame: "[" + ok, times: 1, answers: 1},
		"the other kind":       {frame: ok, binary: true, times: 1, answers: 1},
		"unreadable envelopes": {frame: "{", times: 2, answers: 2},
		"too many of them":     {frame: "{", times: limits.Malformed, answers: limits.Malformed, end: "malformed"},
		"too many broken":      {frame: "[" + ok, times: limits.Malformed, answers: limits.Malformed, end: "malformed"},
		"a panic":              {frame: strings.Replace(ok, "session:ping", "panic", 1), times: 1, end: "internal"},
		"workers have stopped": {frame: ok, stopped: true, times: 1, end: "draining"},
	} {
		for _, opened := range []bool{false, true} {
			if opened && (c.stopped || c.end == "internal") {
				continue // those go past the workers
			}
			t.Run(name, func(t *testing.T) {
				inTime(t, func(t *testing.T, n *node) {
					a := n.connect("ann")
					if opened {
						a.must("session:open", nil)
					}
					a.conn.sent()
					n.world.stopped = c.stopped
					for range c.times {
						a.Frame([]byte(c.frame), c.binary)
					}
					if sent := a.conn.sent(); len(sent) != c.answers || a.conn.end() != c.end {
						t.Errorf("answered %q, ends with %q", sent, a.conn.end())
					}
					if a.payload != nil && c.end == "" {
						t.Error("the frame is kept")
					}
				})
			})
		}
	}
}

func TestAClientThatDoesNotReadItsAnswersWaits(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		a.conn.sent()
		a.conn.queued = answersWait + 1
		read := make(chan struct{})
		go func() {
			a.Frame([]byte(`{"type":"event","payload":{"action":"session:ping","data":{}}}`), false)
			close(read)
		}() // ended by drained
		synctest.Wait()
		if sent := a.conn.sent(); len(sent) != 0 {
			t.Errorf("answered %q", sent)
		}
		close(a.conn.drained)
		<-read
		if sent := a.conn.sent(); len(sent) != 1 {
			t.Errorf("answered %q", sent)
		}
	})
}
