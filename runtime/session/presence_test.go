package session

import (
	"context"
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

// presence writes down what it is told, with sessions numbered in their order.
type presence struct {
	mu       sync.Mutex
	lines    []string
	sessions []*atomic.Int64
	fails    error
	block    func()
}

func (p *presence) note(used *atomic.Int64, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.sessions, used)
	if i < 0 {
		i = len(p.sessions)
		p.sessions = append(p.sessions, used)
	}
	p.lines = append(p.lines, fmt.Sprintf("%d ", i+1)+fmt.Sprintf(format, args...))
}

func (p *presence) Online(_ context.Context, tenant, user, device string, resumed bool, used *atomic.Int64) error {
	if p.block != nil {
		p.block()
	}
	if p.fails == nil {
		p.note(used, "online %s %s %q %v", tenant, user, device, resumed)
	}
	return p.fails
}

func (p *presence) Offline(tenant, user string, used *atomic.Int64) {
	p.note(used, "offline %s %s", tenant, user)
}

func (p *presence) Active(tenant, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, "active "+tenant+" "+user)
}

func (p *presence) JoinedRoom(tenant, user, room string, used *atomic.Int64) {
	p.note(used, "joined %s %s %s", tenant, user, room)
}

func (p *presence) LeftRoom(tenant, user, room string, used *atomic.Int64) {
	p.note(used, "left %s %s %s", tenant, user, room)
}

// told takes what was told until now.
func (p *presence) told(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.lines, want) {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(p.lines, "\n  "), strings.Join(want, "\n  "))
	}
	p.lines = nil
}

func TestPresenceIsTold(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		p := &presence{}
		n.deps.Presence = p
		a := n.open("ann", "channel:x")
		p.told(t, `1 online acme ann "" false`, "1 joined acme ann user:ann", "1 joined acme ann channel:x")
		if err := a.JoinRoom(t.Context(), "channel:x/presence", event.Position{}, event.Membership{}, false); err != nil {
			t.Fatal(err)
		}
		if err := a.JoinRoom(t.Context(), "channel:x", event.Position{}, event.Membership{}, false); err != nil { // again
			t.Fatal(err)
		}
		a.LeaveRoom(t.Context(), "channel:x")
		a.LeaveRoom(t.Context(), "channel:x")
		p.told(t, "1 joined acme ann channel:x/presence", "1 left acme ann channel:x", "1 left acme ann channel:x/presence")
		b := a.resume(nil)
		p.told(t, `2 online acme ann "" true`, "2 joined acme ann user:ann")
		a.Closed()
		a.Closed()
		p.told(t, "1 offline acme ann", "1 left acme ann user:ann")
		b.Closed()
		p.told(t, "2 offline acme ann", "2 left acme ann user:ann")
		n.connect("ann").Closed()
		n.connect("").Closed()
		p.told(t)
	})
}

// TestPresenceOfWhoIsNotThere: a session that can not be opened, or whose connection
// dies meanwhile, does not stay.
func TestPresenceOfWhoIsNotThere(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		p := &presence{fails: fault.Wrap("", fault.Unavailable, errNo)}
		n.deps.Presence = p
		a := n.connect("ann")
		if code := a.do("session:open", nil); code != fault.Unavailable.Code() || a.Opened() {
			t.Errorf("answered %q", code)
		}
		p.told(t)
		p.fails = nil
		a.must("session:open", nil)
		p.told(t, `1 online acme ann "" false`, "1 joined acme ann user:ann")
		b := n.connect("ben")
		p.block = b.Closed
		if code := b.do("session:open", nil); code != fault.SessionLost.Code() {
			t.Errorf("answered %q", code)
		}
		p.told(t, `2 online acme ben "" false`, "2 offline acme ben")
		a.Closed()
	})
}

// TestPresenceLearnsOfActivity: at once after a pause, else by looking.
func TestPresenceLearnsOfActivity(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		p := &presence{}
		n.deps.Presence = p
		a := n.open("ann")
		p.told(t, `1 online acme ann "" false`, "1 joined acme ann user:ann")
		for i, c := range []struct {
			at   time.Duration
			env  event.Envelope
			want []string
		}{
			{59 * time.Second, event.Envelope{Action: "message:send"}, nil},
			{118 * time.Second, event.Envelope{Action: "message:send"}, nil},
			{177 * time.Second, event.Envelope{Action: "session:ping"}, nil},
			{178 * time.Second, event.Envelope{Action: "message:send"}, []string{"active acme ann"}},
			{300 * time.Second, event.Envelope{Type: event.TypeAck, Action: "session:ack"}, nil},
		} {
			a.received = int64(c.at)
			a.use(&c.env)
			p.told(t, c.want...)
			if want := int64(c.at); a.used.Load() != want && (i < 2 || i == 3) {
				t.Errorf("%d: used at %v", i, time.Duration(a.used.Load()))
			}
		}
		a.Closed()
	})
}

// TestClosedWhileOpening: a connection may be over before its session is open, also for
// who has ended it on another goroutine. Nothing of the session stays.
func TestClosedWhileOpening(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		p := &presence{}
		n.Manager.deps.Presence = p
		c := n.connect("ann")
		p.block = func() { p.block = nil; c.Session.Closed() }
		c.do("session:open", nil)
		synctest.Wait()
		n.Manager.mu.Lock()
		defer n.Manager.mu.Unlock()
		if len(n.byID)+len(n.byUser)+len(n.detached) > 0 || c.Session.kept || c.Session.State() != Closed {
			t.Errorf("by id %d, by user %d, detached %d, kept %v, state %v", len(n.byID), len(n.byUser), len(n.detached), c.Session.kept, c.Session.State())
		}
	})
}
