package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// link is several nodes that know of each other's sessions when the test says so.
type link struct {
	mu    sync.Mutex
	world *world
	nodes map[string]*node
	shown map[string]*shown // by node and number of the connection
	late  []func()          // what nodes are about to be told
	fails error             // of Release

	stirred int // times that Used was called
}

type shown struct {
	Place
	used  *atomic.Int64
	rooms []string
}

// face is the link as one node sees it.
type face struct {
	*link
	name string
}

func linked(t *testing.T, names ...string) *link {
	l := &link{world: newWorld(), nodes: map[string]*node{}, shown: map[string]*shown{}}
	for _, name := range names {
		n := newNodeIn(t, l.world, name)
		n.deps.Announce, n.deps.Others = face{l, name}, face{l, name}
		l.nodes[name] = n
	}
	return l
}

func (f face) key(number uint64) string { return fmt.Sprint(f.name, number) }

// soon has the other nodes told.
func (f face) soon(change func(), tell func(n *node)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, func() {
		f.mu.Lock()
		change()
		f.mu.Unlock()
		for name, n := range f.nodes {
			if name != f.name {
				tell(n)
			}
		}
	})
}

// pass tells what is to be told, until there is no more.
func (l *link) pass() {
	for {
		synctest.Wait()
		l.mu.Lock()
		late := l.late
		l.late = nil
		l.mu.Unlock()
		if len(late) == 0 {
			return
		}
		for _, tell := range late {
			tell()
		}
		for _, n := range l.nodes { // as the sockets do
			for _, s := range n.each() {
				if c := s.conn.(*conn); c.end() != "" {
					s.Closed()
				}
			}
		}
	}
}

func (f face) Opened(number uint64, p Place, used *atomic.Int64) {
	p.Node = f.name
	f.soon(func() { f.shown[f.key(number)] = &shown{Place: p, used: used} }, func(n *node) { n.OpenedElsewhere(p) })
}

func (f face) change(number uint64, change func(s *shown)) {
	f.soon(func() {
		if s := f.shown[f.key(number)]; s != nil {
			change(s)
		}
	}, func(*node) {})
}

func (f face) Closed(number uint64) {
	f.change(number, func(*shown) { delete(f.shown, f.key(number)) })
}
func (f face) Joined(number uint64, room string) {
	f.change(number, func(s *shown) { s.rooms = append(s.rooms, room) })
}
func (f face) Left(number uint64, room string) {
	f.change(number, func(s *shown) { s.rooms = slices.DeleteFunc(s.rooms, func(r string) bool { return r == room }) })
}
func (f face) Used(number uint64) { f.soon(func() { f.stirred++ }, func(*node) {}) }

func (f face) Elsewhere(_, user, room string, visit func(p *Place, used int64, joined bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shown {
		if s.Node != f.name && s.User == user {
			visit(&s.Place, s.used.Load(), slices.Contains(s.rooms, room))
		}
	}
}

func (f face) Release(ctx context.Context, p *Place) error {
	if f.fails != nil {
		return f.fails
	}
	return f.nodes[p.Node].Release(ctx, p.Tenant, p.Session)
}

func (f face) Direct(name string, env *event.Envelope, user, device string) {
	f.nodes[name].DirectHere(env, user, device)
}

// on opens a session of a device on a node.
func (l *link) on(name, user, device string) *client {
	c := l.nodes[name].connect(user)
	c.must("session:open", map[string]any{"device": device})
	return c
}

// resumeOn is a new connection on another node that resumes the session.
func (c *client) resumeOn(n *node) *client {
	next := n.connect(c.Identity().User)
	next.must("session:resume", map[string]any{"session": c.reply.Session, "resume_token": c.reply.ResumeToken})
	return next
}

// TestResumedElsewhere: the node that has a session lets it go, and its record is as it
// was last.
func TestResumedElsewhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails error
		rooms []string // that the session goes on with
	}{
		{"lets go", nil, []string{"channel:new", "user:ann"}},
		{"does not answer", errors.New("mute"), []string{"user:ann"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := linked(t, "a", "b")
				was := l.on("a", "ann", "phone")
				l.pass()
				time.Sleep(time.Second)
				l.fails = c.fails
				if err := was.JoinRoom(t.Context(), "channel:new", event.Position{}, event.Membership{}, false); err != nil { // and it is not saved yet
					t.Fatal(err)
				}
				now := was.resumeOn(l.nodes["b"])
				if now.reply.Recovered == nil || !*now.reply.Recovered || now.reply.Session != was.reply.Session {
					t.Errorf("%+v", now.reply)
				}
				if was.conn.end() != "" {
					was.Closed()
				}
				if got := now.joined(); !slices.Equal(got, c.rooms) {
					t.Errorf("goes on in %q, want %q", got, c.rooms)
				}
				l.pass()
				time.Sleep(time.Second)
				if end := was.conn.end(); end != fault.SessionReplaced.Code() || now.conn.end() != "" {
					t.Errorf("the first connection ended as %q, the second as %q", end, now.conn.end())
				}
				if r := l.world.stored(was.reply.Session); r.Meta.Node != "b" || r.Generation != 1 {
					t.Errorf("the record is that of %s, generation %d", r.Meta.Node, r.Generation)
				}
				if counts, _ := l.nodes["a"].Counts(); counts["detached"] != 0 {
					t.Errorf("the first node counts %v", counts)
				}
			})
		})
	}
}

// TestStrangerReleasesNothing: who does not know the token does not end the session.
func TestStrangerReleasesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linked(t, "a", "b")
		was := l.on("a", "ann", "phone")
		l.pass()
		time.Sleep(time.Second)
		next := l.nodes["b"].connect("ann")
		next.must("session:resume", map[string]any{"session": was.reply.Session, "resume_token": "another"})
		if l.pass(); was.conn.end() != "" || next.reply.Reason != reasonMismatch {
			t.Errorf("ended as %q, and %+v", was.conn.end(), next.reply)
		}
	})
}

// TestDevicesOverNodes: the limit holds over nodes, also when two devices come at the
// same moment.
func TestDevicesOverNodes(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		script       string // "NODE DEVICE"; "-" tells the nodes
		open, ended  []string
	}{
		{"refused", "reject", "a one, -, b two, -, b three", []string{"one", "two"}, []string{"three conflict"}},
		{"the device is there already", "reject", "a one, -, b two, -, b one", []string{"one", "one", "two"}, nil},
		{"the oldest goes", closeOldest, "a one, -, b two, -, b three, -", []string{"three", "two"}, []string{"one session_replaced"}},
		{"the oldest is of the same node", closeOldest, "a one, -, b two, -, a three, -", []string{"three", "two"}, []string{"one session_replaced"}},
		{"at the same moment, the newest goes", "reject", "a one, -, a two, b three, -", []string{"one", "two"}, []string{"three session_replaced"}},
		{"at the same moment, the oldest goes", closeOldest, "a one, -, a two, b three, -", []string{"three", "two"}, []string{"one session_replaced"}},
		{"three nodes at the same moment", "reject", "a one, b two, c three, -", []string{"one", "two"}, []string{"three session_replaced"}},
		{"without names", "reject", "a , -, b , -, a ", []string{"", ""}, []string{" conflict"}},
		{"without names, at the same moment", "reject", "a , b , c , -", []string{"", ""}, []string{" session_replaced"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := linked(t, "a", "b", "c")
				for _, n := range l.nodes {
					n.cfg.Devices, n.cfg.DevicesPolicy = 2, c.policy
				}
				var all []*client
				var open, ended []string
				for _, step := range strings.Split(c.script, ", ") {
					name, device, told := strings.Cut(step, " ")
					if !told {
						l.pass()
						continue
					}
					time.Sleep(10 * time.Millisecond)
					s, data := l.nodes[name].connect("ann"), map[string]any{}
					if device != "" {
						data["device"] = device
					}
					if code := s.do("session:open", data); code != "" {
						ended = append(ended, device+" "+code)
						continue
					}
					all = append(all, s)
				}
				for _, s := range all {
					if end := s.conn.end(); end != "" {
						ended = append(ended, s.Identity().Device+" "+end)
					} else {
						open = append(open, s.Identity().Device)
					}
				}
				slices.Sort(open)
				if !slices.Equal(open, c.open) || !slices.Equal(ended, c.ended) {
					t.Errorf("open are %q, want %q; ended %q, want %q", open, c.open, ended, c.ended)
				}
			})
		})
	}
}

// TestResumedWithoutAName: the session that is resumed does not stand in its own way,
// though its node has died.
func TestResumedWithoutAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linked(t, "a", "b")
		was := l.nodes["a"].open("ann")
		l.pass()
		time.Sleep(time.Second)
		l.nodes["b"].cfg.Devices, l.nodes["b"].cfg.DevicesPolicy = 1, "reject"
		l.fails = errors.New("dead")
		now := was.resumeOn(l.nodes["b"])
		l.nodes["b"].OpenedElsewhere(Place{Session: "other", Tenant: tenant, User: "ann"})
		if end := now.conn.end(); end != "" {
			t.Errorf("it ended as %q", end)
		}
	})
}

// TestSameMomentSameTime: nodes whose clocks say the same close one of two all the same.
func TestSameMomentSameTime(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			l := linked(t, "a", "b")
			for _, n := range l.nodes {
				n.cfg.Devices, n.cfg.DevicesPolicy = 1, "reject"
			}
			one, two := l.on("a", "ann", "one"), l.on("b", "ann", "two")
			l.pass()
			if (one.conn.end() == "") == (two.conn.end() == "") {
				t.Errorf("ended as %q and %q", one.conn.end(), two.conn.end())
			}
		})
	}
}

// TestDevicesElsewhere lists what is connected on any node.
func TestDevicesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linked(t, "a", "b")
		here := l.on("a", "ann", "desk")
		there := l.on("b", "ann", "phone")
		gone := l.on("b", "ann", "tab")
		gone.Closed()
		l.pass()
		time.Sleep(time.Minute)
		there.used.Store(l.nodes["b"].Now())
		here.must("session:devices", nil)
		var got []string
		for _, d := range here.reply.Devices {
			got = append(got, fmt.Sprint(d.Device, " ", d.Connected, " ", d.Active, " ", d.Transport, " ", d.Agent, " ", time.Since(time.UnixMilli(d.LastSeen)) < time.Second))
		}
		want := []string{"phone true true websocket test true", "tab false false websocket test false", "desk true false websocket test false"}
		if !slices.Equal(got, want) {
			t.Errorf("\n%q, want\n%q", got, want)
		}
		var where []string
		l.nodes["a"].Where(tenant, "ann", "user:ann", func(device string, joined bool) { where = append(where, fmt.Sprint(device, " ", joined)) })
		slices.Sort(where)
		if want := []string{"desk true", "phone true"}; !slices.Equal(where, want) {
			t.Errorf("%q, want %q", where, want)
		}
	})
}

// TestAnnounced: other nodes are told of what is open, until it is closed, and when it is
// used again.
func TestAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linked(t, "a", "b")
		n := l.nodes["a"]
		n.connect("ben") // not open
		c := l.on("a", "ann", "phone")
		if err := c.JoinRoom(t.Context(), "channel:x", event.Position{}, event.Membership{}, false); err != nil {
			t.Fatal(err)
		}
		c.LeaveRoom(t.Context(), "user:ann")
		l.pass()
		if s := l.shown["a"+fmt.Sprint(c.Connection())]; len(l.shown) != 1 || s == nil || !slices.Equal(s.rooms, []string{"channel:x"}) ||
			s.Place != (Place{Node: "a", Session: c.reply.Session, Tenant: tenant, User: "ann", Device: "phone", Opened: n.began.UnixMilli()}) {
			t.Errorf("%+v", l.shown)
		}
		for _, wait := range []time.Duration{30 * time.Second, 2 * time.Minute, time.Second} {
			time.Sleep(wait)
			c.received = n.Now()
			c.use(&event.Envelope{Action: "message:send"})
		}
		c.Closed()
		c.Closed()
		if l.pass(); len(l.shown) != 0 || l.stirred != 1 {
			t.Errorf("used %d times; is left: %+v", l.stirred, l.shown)
		}
	})
}

// TestDirectElsewhere: an event to a device reaches its sessions on all nodes.
func TestDirectElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linked(t, "a", "b", "c")
		var all []*client
		for _, at := range [...]string{"a phone", "b phone", "b phone", "c desk"} {
			name, device, _ := strings.Cut(at, " ")
			all = append(all, l.on(name, "ann", device))
		}
		l.pass()
		for _, c := range all {
			c.conn.sent()
		}
		env := event.Envelope{Type: event.TypeEvent, Tenant: tenant, Room: "user:ann", Action: "x", Data: []byte(`{}`)}
		if n := l.nodes["a"].Direct(&env, "ann", "phone"); n != 3 {
			t.Errorf("to %d sessions", n)
		}
		for i, want := range []int{1, 1, 1, 0} {
			if got := len(all[i].conn.sent()); got != want {
				t.Errorf("session %d got %d", i, got)
			}
		}
	})
}
