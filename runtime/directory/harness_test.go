package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/builtin/presence"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the packages beside this one need, and it needs of them.
var (
	_ session.Announcer = (*Directory)(nil)
	_ session.Others    = (*Directory)(nil)
	_ Sessions          = (*session.Manager)(nil)
	_ Presence          = (*presence.Presence)(nil)
)

var quiet = slog.New(slog.DiscardHandler)

// network carries what nodes send when the test says so.
type network struct {
	now   time.Time
	nodes map[string]*node // those that run
	cut   map[string]bool  // names that reach nobody, and are reached by nobody
	wire  []parcel
}

// parcel is a message on its way.
type parcel struct {
	from, to string
	broad    []byte // or
	deliver  func() // what a request or an answer does
	lost     func() // what the asker is told if it does not come
}

func newNetwork() *network {
	return &network{now: time.UnixMilli(1e12), nodes: map[string]*node{}, cut: map[string]bool{}}
}

// node is a directory with sessions of its own, and a model of what it was told.
type node struct {
	*Directory
	net  *network
	name string
	last uint64
	mine map[uint64]*sample // by number
	told map[*atomic.Int64]*sample
	bad  []string // what was told and can not be

	opened   []session.Place // elsewhere
	released []string
	hungUp   []session.Filter
	direct   []event.Envelope
	notes    []string
	fails    error
}

// sample is a session as a test knows it.
type sample struct {
	tenant, user, device string
	used                 atomic.Int64
	rooms                map[string]bool
}

func (s *sample) String() string {
	return fmt.Sprint(s.tenant, "/", s.user, "/", s.device, slices.Sorted(maps.Keys(s.rooms)))
}

// start has a node run; one that runs under that name is killed.
func (n *network) start(name string) *node {
	x := &node{net: n, name: name, mine: map[uint64]*sample{}, told: map[*atomic.Int64]*sample{}}
	n.now = n.now.Add(time.Millisecond) // incarnations are told apart by it
	x.Directory = New(Deps{
		Node: name, Presence: x, Sessions: x, Log: quiet, Now: func() time.Time { return n.now }, Clock: func() int64 { return n.now.UnixNano() },
		Shared: func(room string) bool { return !strings.HasPrefix(room, "user:") }, Heard: func(b []byte) { x.notes = append(x.notes, string(b)) },
		Broadcast: func(b []byte) {
			if n.nodes[name] != x {
				return
			}
			for to := range n.nodes {
				n.wire = append(n.wire, parcel{from: name, to: to, broad: b})
			}
		},
		Ask: x.ask,
	})
	x.pageBytes = 1 << 10
	n.nodes[name] = x
	return x
}

func (x *node) ask(to string, kind byte, body []byte, done func([]byte, error)) error {
	lost := func() { done(nil, errors.New("lost")) }
	x.net.wire = append(x.net.wire, parcel{from: x.name, to: to, lost: lost, deliver: func() {
		if x.net.nodes[to] == nil {
			lost()
			return
		}
		x.net.nodes[to].Answer(kind, body, func(body []byte, err error) {
			x.net.wire = append(x.net.wire, parcel{from: to, to: x.name, lost: lost, deliver: func() { done(body, err) }})
		})
	}})
	return nil
}

// pass delivers one parcel, or loses it.
func (n *network) pass(i int, lose bool) {
	p := n.wire[i]
	n.wire = slices.Delete(n.wire, i, i+1)
	if lose || p.from != p.to && (n.cut[p.from] || n.cut[p.to]) {
		if p.lost != nil {
			p.lost()
		}
		return
	}
	switch to := n.nodes[p.to]; {
	case p.deliver != nil:
		p.deliver()
	case to != nil:
		to.Receive(p.broad)
	}
}

// settle delivers all, in order, for some seconds.
func (n *network) settle(seconds int) {
	for range seconds {
		n.now = n.now.Add(time.Second)
		for _, name := range slices.Sorted(maps.Keys(n.nodes)) {
			n.nodes[name].tick()
		}
		for i := 0; len(n.wire) > 0; i++ {
			if i == 1e6 {
				panic("nodes never stop to talk")
			}
			n.pass(0, false)
		}
	}
}

// alive tells all nodes who there is.
func (n *network) alive() {
	names := slices.Sorted(maps.Keys(n.nodes))
	for _, x := range n.nodes {
		x.Alive(names)
	}
}

func (x *node) open(user, device string, rooms ...string) uint64 {
	x.last++
	s := &sample{tenant: "acme", user: user, device: device, rooms: map[string]bool{}}
	s.used.Store(x.net.now.UnixNano())
	x.mine[x.last] = s
	x.Opened(x.last, session.Place{Session: fmt.Sprint(x.name, x.incarnation, x.last), Tenant: "acme", User: user, Device: device, Opened: x.net.now.UnixMilli()}, &s.used)
	for _, room := range rooms {
		x.join(x.last, room)
	}
	return x.last
}

func (x *node) join(number uint64, room string) {
	if s := x.mine[number]; s != nil && !s.rooms[room] {
		s.rooms[room] = true
		x.Joined(number, room)
	}
}

func (x *node) leaveRoom(number uint64, room string) {
	if s := x.mine[number]; s != nil && s.rooms[room] {
		delete(s.rooms, room)
		x.Left(number, room)
	}
}

func (x *node) end(number uint64) {
	delete(x.mine, number)
	x.Closed(number)
}

// What presence is told.

func (x *node) wrong(format string, args ...any) { x.bad = append(x.bad, fmt.Sprintf(format, args...)) }

func (x *node) known(what, user string, used *atomic.Int64) *sample {
	s := x.told[used]
	if s == nil || s.user != user {
		x.wrong("%s of %s, of whom nothing was told", what, user)
		return &sample{rooms: map[string]bool{}}
	}
	return s
}

func (x *node) OnlineElsewhere(tenant, user, device string, used *atomic.Int64) {
	if x.told[used] != nil {
		x.wrong("online twice: %s", user)
	}
	x.told[used] = &sample{tenant: tenant, user: user, device: device, rooms: map[string]bool{}}
}

func (x *node) Offline(_, user string, used *atomic.Int64) {
	x.known("offline", user, used)
	delete(x.told, used)
}

func (x *node) Lost(tenant, user string, used *atomic.Int64) { x.Offline(tenant, user, used) }
func (x *node) Active(string, string)                        {}

func (x *node) JoinedRoom(_, user, room string, used *atomic.Int64) {
	if s := x.known("joined", user, used); s.rooms[room] {
		x.wrong("%s has joined %s twice", user, room)
	} else {
		s.rooms[room] = true
	}
}

func (x *node) LeftRoom(_, user, room string, used *atomic.Int64) {
	if s := x.known("left", user, used); !s.rooms[room] {
		x.wrong("%s has left %s twice", user, room)
	} else {
		delete(s.rooms, room)
	}
}

// What sessions are.

func (x *node) OpenedElsewhere(p session.Place) { x.opened = append(x.opened, p) }

func (x *node) Release(_ context.Context, tenant, id string) error {
	x.released = append(x.released, tenant+" "+id)
	return x.fails
}

func (x *node) Hangup(_ context.Context, f session.Filter, _ bool) int {
	x.hungUp = append(x.hungUp, f)
	return len(x.mine)
}

func (x *node) DirectHere(env *event.Envelope, _, _ string) int {
	x.direct = append(x.direct, *env)
	return 1
}

// view is what a node says of others' sessions when it is asked about each user.
func (x *node) view(users ...string) (lines []string) {
	for _, user := range users {
		x.Elsewhere("acme", user, "room:1", func(p *session.Place, _ int64, joined bool) {
			lines = append(lines, fmt.Sprint(p.Node, " ", p.User, "/", p.Device, " ", joined))
		})
	}
	slices.Sort(lines)
	return lines
}

// lines are what presence was told until now.
func (x *node) lines() (lines []string) {
	for _, s := range x.told {
		lines = append(lines, s.String())
	}
	slices.Sort(lines)
	return lines
}

// others are the sessions of all other nodes, as they have them.
func (x *node) others() (lines []string) {
	for name, o := range x.net.nodes {
		if name == x.name {
			continue
		}
		for _, s := range o.mine {
			lines = append(lines, s.String())
		}
	}
	slices.Sort(lines)
	return lines
}

// entries are what the directory holds.
func (x *node) entries() (lines []string) {
	for _, p := range x.peers {
		for _, r := range p.sessions {
			s := sample{tenant: r.place.Tenant, user: r.place.User, device: r.place.Device, rooms: map[string]bool{}}
			for _, h := range r.rooms {
				s.rooms[h.Value()] = true
			}
			lines = append(lines, s.String())
		}
	}
	slices.Sort(lines)
	return lines
}

// sound reports what presence was told and does not add up.
func (x *node) sound() error {
	if len(x.bad) > 0 {
		return errors.New(x.name + ": " + x.bad[0])
	}
	if told, has := x.lines(), x.entries(); !slices.Equal(told, has) {
		return fmt.Errorf("%s has told\n%q\nand has\n%q", x.name, told, has)
	}
	for _, p := range x.peers {
		sum := uint64(0)
		for _, r := range p.sessions {
			sum += hashPlace(r.key, &r.place)
			for _, h := range r.rooms {
				sum += hashRoom(r.key, h.Value())
			}
		}
		if sum != p.sum {
			return fmt.Errorf("%s has summed %s up wrongly", x.name, p.node)
		}
	}
	return nil
}
