package directory

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
)

// pair are two nodes that know each other.
func pair() (net *network, a, b *node) {
	net = newNetwork()
	a, b = net.start("a"), net.start("b")
	net.alive()
	net.settle(2)
	return net, a, b
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestElsewhere(t *testing.T) {
	net, a, b := pair()
	x := a.open("ann", "phone", "room:1", "user:ann")
	a.open("ann", "desk", "room:2")
	b.open("ann", "tab", "room:1")
	a.leaveRoom(x, "room:1")
	a.join(x, "room:3")
	net.settle(1)
	same(t, b.view("ann", "ben"), []string{"a ann/desk false", "a ann/phone false"})
	same(t, a.view("ann"), []string{"b ann/tab true"})
	same(t, b.lines(), []string{"acme/ann/desk[room:2]", "acme/ann/phone[room:3]"})
	if n, m := b.Count("acme"), b.Count("umbrella"); n != 2 || m != 0 {
		t.Errorf("counts %d and %d", n, m)
	}
	if len(b.opened) != 2 || b.opened[0].Node != "a" || b.opened[0].Tenant != "acme" {
		t.Errorf("sessions were told of %+v", b.opened)
	}
	a.end(x)
	net.settle(1)
	same(t, b.view("ann"), []string{"a ann/desk false"})
	if st := b.Stats(); st.Sessions != 1 || st.Gaps != 0 || st.Differed != 0 {
		t.Errorf("%+v", st)
	}
}

// TestDeath: who dies takes its sessions along, and is not heard any more.
func TestDeath(t *testing.T) {
	net, a, b := pair()
	a.open("ann", "phone", "room:1")
	net.settle(1)
	delete(net.nodes, "a")
	net.now = net.now.Add(speaks)
	a.open("ben", "phone")
	late := a.pending.message("a", a.incarnation, a.number, a.sum)
	b.Alive([]string{"b"})
	b.Receive(late)
	if err := b.sound(); err != nil || len(b.lines()) != 0 || b.Count("acme") != 0 {
		t.Errorf("%v, known are %q", err, b.lines())
	}
}

// TestForgotten: a node that is not listed for a moment, and speaks, keeps its sessions;
// one that falls silent is dead.
func TestForgotten(t *testing.T) {
	net, a, b := pair()
	a.open("ann", "phone")
	net.settle(1)
	b.Alive([]string{"b"})
	net.settle(3)
	same(t, b.view("ann"), []string{"a ann/phone false"})
	delete(net.nodes, "a")
	net.settle(1)
	same(t, b.view("ann"), []string{"a ann/phone false"})
	net.settle(1)
	same(t, b.view("ann"), nil)
	net.nodes["a"] = a
	b.Alive([]string{"a", "b"})
	net.settle(1)
	same(t, b.view("ann"), []string{"a ann/phone false"})
	if err := b.sound(); err != nil {
		t.Error(err)
	}
}

// TestStartedAgain: what runs under a name now counts, and what is left of the one
// before does not come back.
func TestStartedAgain(t *testing.T) {
	net, a, b := pair()
	a.open("ann", "phone")
	net.settle(1)
	late := a.pending.message("a", a.incarnation, a.number, a.sum)
	net.start("a").open("ben", "phone")
	net.settle(1)
	b.Receive(late)
	net.settle(1)
	same(t, b.view("ann", "ben"), []string{"a ben/phone false"})
}

// TestClockSetBack: one that starts again with a clock that was set back is believed when
// the one before has been silent for a while.
func TestClockSetBack(t *testing.T) {
	net, a, b := pair()
	a.open("ann", "phone")
	net.settle(1)
	old := net.start("a")
	old.incarnation = strings.Repeat("0", len(old.incarnation))
	old.open("ben", "phone")
	net.settle(3)
	same(t, b.view("ann", "ben"), []string{"a ann/phone false"})
	net.settle(5)
	same(t, b.view("ann", "ben"), []string{"a ben/phone false"})
}

// TestOneName: two that run under one name are reported by whoever hears them.
func TestOneName(t *testing.T) {
	net, a, b := pair()
	var log bytes.Buffer
	b.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	a.deps.Log = b.deps.Log
	other := net.start("a")
	for range 3 {
		net.now = net.now.Add(time.Second)
		b.Receive((&pending{}).message("a", a.incarnation, 0, 0))
		a.Receive((&pending{}).message("a", other.incarnation, 0, 0))
		b.Receive((&pending{}).message("a", other.incarnation, 0, 0))
	}
	if n := strings.Count(log.String(), "two nodes have the same name"); n != 2 || a.Stats().Doubles != 3 || b.Stats().Doubles != 2 {
		t.Errorf("a counts %d, b %d; logged:\n%s", a.Stats().Doubles, b.Stats().Doubles, &log)
	}
}

// TestGap: what was missed of is made good for, and nothing else changes.
func TestGap(t *testing.T) {
	net, a, b := pair()
	stays, ends := a.open("ann", "phone", "room:1", "room:2"), a.open("ben", "phone", "room:1")
	net.settle(1)
	net.now = net.now.Add(time.Minute)
	a.mine[stays].used.Store(net.now.UnixNano())
	a.Used(stays)
	a.leaveRoom(stays, "room:1")
	a.join(stays, "room:3")
	a.end(ends)
	a.open("cat", "phone")
	a.flush()
	net.wire = nil
	a.leaveRoom(stays, "room:3")
	net.settle(2)
	same(t, b.lines(), []string{"acme/ann/phone[room:2]", "acme/cat/phone[]"})
	if st := b.Stats(); st.Gaps != 1 || st.Differed != 0 || len(b.opened) != 3 {
		t.Errorf("%+v, told of %+v", st, b.opened)
	}
	b.Elsewhere("acme", "ann", "", func(_ *session.Place, used int64, _ bool) {
		if ago := time.Duration(net.now.UnixNano() - used); ago > 5*time.Second {
			t.Errorf("did something %v ago", ago)
		}
	})
}

// TestOverlap: of changes that a snapshot knows in part, the others are taken in.
func TestOverlap(t *testing.T) {
	net, a, b := pair()
	a.open("ann", "phone")
	a.flush()
	net.wire = nil
	a.tick()
	a.end(a.open("ben", "phone")) // the snapshot is made behind that, and nobody was told
	for len(net.wire) > 0 {
		net.pass(0, false)
	}
	a.open("cat", "phone")
	net.settle(1)
	same(t, b.view("ann", "ben", "cat"), []string{"a ann/phone false", "a cat/phone false"})
	if st := b.Stats(); len(b.opened) != 2 || st.Gaps != 1 || st.Differed != 0 {
		t.Errorf("%+v, told of %+v", st, b.opened)
	}
}

// TestDiffers: a node that has come to another state under the same number is put right.
func TestDiffers(t *testing.T) {
	net, a, b := pair()
	x := a.open("ann", "phone", "room:1")
	net.settle(1)
	a.mine[x].rooms["room:9"] = true
	a.byNum[x].rooms = append(a.byNum[x].rooms, "room:9")
	a.sum += hashRoom(a.byNum[x].key, "room:9") // and nobody was told
	net.settle(2)
	same(t, b.lines(), []string{"acme/ann/phone[room:1 room:9]"})
	if st := b.Stats(); st.Differed != 1 {
		t.Errorf("%+v", st)
	}
}

// pages has b read a snapshot of a of some pages, and calls between in the midst of
// them.
func pages(t *testing.T, between func(net *network, a *node)) {
	net, a, b := pair()
	fill(a, 25)
	a.flush()
	net.wire = nil // b misses it
	net.now = net.now.Add(time.Second)
	a.tick()
	for b.peers["a"].snapshot == nil || b.peers["a"].snapshot.after < 10 {
		net.pass(0, false)
	}
	between(net, a)
	net.settle(6)
	same(t, b.lines(), b.others())
	if err := b.sound(); err != nil {
		t.Error(err)
	}
	if st := b.Stats(); st.Differed != 0 {
		t.Errorf("%+v", st)
	}
	if slices.ContainsFunc(b.opened, func(p session.Place) bool { return p.User == "ben" }) {
		t.Error("was told of one who had left before the last page")
	}
}

// TestPages: what changes between the pages of a snapshot is in it, or makes it be read
// again.
func TestPages(t *testing.T) {
	changes := func(a *node) {
		a.end(1)         // on a page that was read
		a.end(24)        // on one that was not
		a.join(2, "r:9") // likewise
		a.join(23, "r:9")
		a.leaveRoom(3, "room:1")
		a.end(a.open("ben", "phone", "room:1"))
		a.open("cat", "phone", "room:1")
	}
	for _, c := range []struct {
		name    string
		between func(net *network, a *node)
	}{
		{"nothing", func(*network, *node) {}},
		{"changes that come", func(_ *network, a *node) { changes(a); a.flush() }},
		{"changes that are told later", func(_ *network, a *node) { changes(a) }},
		{"changes that are lost", func(net *network, a *node) {
			wire := net.wire
			changes(a)
			a.flush()
			net.wire = wire
		}},
		{"changes of which the first are lost", func(net *network, a *node) {
			wire := net.wire
			changes(a)
			a.flush()
			net.wire = wire
			a.open("dan", "phone")
			a.flush()
		}},
		{"changes that come in another order", func(net *network, a *node) {
			asked := len(net.wire)
			changes(a)
			a.flush()
			a.open("dan", "phone")
			a.flush()
			slices.Reverse(net.wire[asked:])
		}},
		{"another start", func(net *network, a *node) {
			fill(net.start("a"), 25)
			net.pass(0, false) // the question
			net.pass(0, false) // the answer
		}},
		{"too many changes", func(_ *network, a *node) {
			for i := range maxHeld + 1 {
				a.join(2, fmt.Sprint("r:", i%2))
				a.leaveRoom(2, fmt.Sprint("r:", i%2))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { pages(t, c.between) })
	}
}

// TestActivity: when a client did something comes over within the turn of all sessions,
// whatever the clocks say, and at once if it is told.
func TestActivity(t *testing.T) {
	net, a, b := pair()
	x := a.open("ann", "phone")
	net.settle(1)
	ago := func() (d time.Duration) {
		b.Elsewhere("acme", "ann", "", func(_ *session.Place, used int64, _ bool) { d = time.Duration(b.deps.Clock() - used) })
		return d.Round(time.Second)
	}
	b.deps.Clock = func() int64 { return net.now.UnixNano() + int64(time.Hour) } // from here on
	net.now = net.now.Add(time.Minute)
	a.mine[x].used.Store(net.now.UnixNano())
	a.Used(x)
	net.now = net.now.Add(10 * time.Second)
	a.flush()
	for len(net.wire) > 0 {
		net.pass(0, false)
	}
	if got := ago(); got != 0 { // the age is of when the message was made
		t.Errorf("told at once: %v ago", got)
	}
	a.mine[x].used.Store(net.now.UnixNano())
	net.settle(looks)
	if got := ago(); got > looks*time.Second {
		t.Errorf("not told: %v ago", got)
	}
}

func TestNotes(t *testing.T) {
	net, a, b := pair()
	a.Say([]byte("one"))
	a.Say(nil)
	a.flush()
	for len(net.wire) > 0 {
		net.pass(0, false)
	}
	same(t, b.notes, []string{"one", ""})
	same(t, a.notes, nil)
	wire := len(net.wire)
	a.Say(bytes.Repeat([]byte("x"), batchBytes))
	if len(net.wire) == wire {
		t.Error("a full message waits")
	}
}

// TestUnreadable: what nobody has written so changes nothing.
func FuzzReceive(f *testing.F) {
	_, a, b := pair()
	a.open("ann", "phone", "room:1")
	f.Add(a.pending.message("a", a.incarnation, a.number, a.sum), byte(kindPage))
	f.Add(a.own.page(0), byte(kindRelease))
	f.Add([]byte{1, 200, 200, 200, 200, 200, 200, 200, 200, 1}, byte(kindDirect))
	f.Fuzz(func(t *testing.T, m []byte, kind byte) {
		b.Receive(m)
		_, _ = readPage(m)
		if kind == kindPage || kind == kindDirect {
			b.Answer(kind, m, func([]byte, error) {})
		}
		if err := b.sound(); err != nil {
			t.Error(err)
		}
	})
}

// TestDirect brings an event to another node as it is.
func TestDirect(t *testing.T) {
	net, a, b := pair()
	env := event.Envelope{
		Type: event.TypeEvent, Tenant: "acme", Room: "user:ann", From: event.Sender{User: "ben", Device: "desk"}, Action: "direct:send",
		Data: []byte(`{"text":"hi"}`), Expires: 7, Timestamp: 5,
	}
	a.Direct("b", &env, "ann", "phone")
	net.settle(1)
	if len(b.direct) != 1 || fmt.Sprintf("%+v", b.direct[0]) != fmt.Sprintf("%+v", env) {
		t.Errorf("%+v", b.direct)
	}
}
