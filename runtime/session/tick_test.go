package session

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestConnectionsEndInTime(t *testing.T) {
	for name, c := range map[string]struct {
		token time.Duration // life of the token; 0: without end
		none  bool          // no token at all
		open  bool
		after time.Duration // the connection is still there
		end   string        // what it ends with two seconds later; "" if it does not
	}{
		"no token":                  {none: true, after: 10 * time.Second, end: "handshake_timeout"},
		"a token but no session":    {after: 10 * time.Second, end: "handshake_timeout"},
		"an open session":           {open: true, after: time.Hour},
		"a short token":             {token: 5 * time.Second, open: true, after: 4 * time.Second, end: "token_expired"},
		"a longer token":            {token: 100 * time.Second, open: true, after: 99 * time.Second, end: "token_expired"},
		"a token without a session": {token: 3 * time.Second, after: 2 * time.Second, end: "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				a := n.connect("")
				id := &event.Identity{Tenant: tenant, User: "ann"}
				if c.token != 0 {
					id.Expires = time.Now().Add(c.token).UnixMilli()
				}
				if !c.none {
					a.Authenticated(id)
				}
				if c.open {
					a.must("session:open", nil)
				}
				time.Sleep(c.after)
				if got := a.conn.end(); got != "" {
					t.Fatalf("too early: %q", got)
				}
				time.Sleep(2 * time.Second)
				if got := a.conn.end(); got != c.end {
					t.Errorf("ends with %q, want %q", got, c.end)
				}
				a.Closed()
			})
		})
	}
}

func TestRecordsOfLivingSessionsAreRenewed(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann")
		for range 60 {
			time.Sleep(time.Minute)
			if left := time.Until(time.UnixMilli(n.world.stored(a.reply.Session).Expires)); left < limits.ResumeTTL {
				t.Fatalf("the record expires in %v", left)
			}
		}
		if _, saves := n.world.written(); saves > 15 {
			t.Errorf("%d writes in an hour", saves)
		}
	})
}

func TestDetachedSessionsAreForgotten(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		for range limits.Detached + 5 {
			n.open("ann").Closed()
		}
		if states, users := n.Counts(); states["detached"] != int64(limits.Detached) || users != 0 {
			t.Errorf("%v, %d users", states, users)
		}
		time.Sleep(limits.ResumeTTL + 2*time.Second)
		if states, _ := n.Counts(); states["detached"] != 0 {
			t.Errorf("%v", states)
		}
	})
}

func TestUnacknowledgedEventsAreSentAgain(t *testing.T) {
	messages := func(c *client) int {
		synctest.Wait()
		return len(slices.DeleteFunc(c.conn.sent(), func(js string) bool { return !strings.Contains(js, "message:send") }))
	}
	position := func(offset uint64) *event.Event {
		return &event.Event{Envelope: event.Envelope{Room: "channel:x", Position: event.Position{Epoch: epoch, Offset: offset}}}
	}
	inTime(t, func(t *testing.T, n *node) {
		a := n.connect("ann")
		a.must("session:open", map[string]any{"acks": true, "rooms": []string{"channel:x"}})
		b := n.open("ben", "channel:x") // does not acknowledge
		missed(3)(n)
		if messages(a) != 3 || messages(b) != 3 {
			t.Fatal("not delivered")
		}
		ack := position(2)
		ack.Origin = a.Session
		for _, p := range []uint64{2, 1, 99} { // old ones, and those of the future, change nothing
			ack.Offset = p
			if err := acknowledge(t.Context(), ack); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		if got := messages(a); got != 0 {
			t.Fatalf("%d are sent again too early", got)
		}
		time.Sleep(4 * time.Second)
		if got := messages(a); got != 1 || n.Resent.Load() != 1 {
			t.Fatalf("%d are sent again, counted %d", got, n.Resent.Load())
		}
		time.Sleep(time.Minute)
		if got := a.conn.end(); got != "unacknowledged" || int(n.Resent.Load()) != limits.AckRetries {
			t.Errorf("ends with %q after %d resends", got, n.Resent.Load())
		}
		if got := messages(b); got != 0 || b.conn.end() != "" {
			t.Errorf("%d were sent again to a client that does not acknowledge", got)
		}
	})
}

// TestWhatWasSentBeforeAResendCanBeAcknowledged while the resend waits for the client
// to take what it has been sent.
func TestWhatWasSentBeforeAResendCanBeAcknowledged(t *testing.T) {
	const name = "channel:x"
	at := func(offset uint64) event.Position { return event.Position{Epoch: epoch, Offset: offset} }
	for name, c := range map[string]struct {
		back func(n *node, a *client)
		acks []uint64
		want uint64
	}{
		"it is late": {back: func(*node, *client) { time.Sleep(7 * time.Second) }, acks: []uint64{3}, want: 3},
		"in steps":   {back: func(*node, *client) { time.Sleep(7 * time.Second) }, acks: []uint64{2, 3, 4}, want: 3},
		"never sent": {back: func(*node, *client) { time.Sleep(7 * time.Second) }, acks: []uint64{4}, want: 0},
		"asked for": {back: func(n *node, a *client) {
			if err := a.JoinRoom(n.t.Context(), name, at(1), event.Membership{}, true); err != nil {
				n.t.Fatal(err)
			}
			a.startRooms()
		}, acks: []uint64{3}, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				a := n.connect("ann")
				a.must("session:open", map[string]any{"acks": true, "rooms": []string{"channel:x"}})
				missed(3)(n)
				synctest.Wait()
				a.conn.queue(2 << 20)
				c.back(n, a)
				for _, offset := range c.acks {
					a.acknowledged("channel:x", at(offset))
				}
				a.conn.queue(0)
				close(a.conn.drained)
				synctest.Wait()
				a.mu.Lock()
				got := a.find("channel:x").unacked.behind
				a.mu.Unlock()
				if got != c.want {
					t.Errorf("acknowledged up to %d, want %d", got, c.want)
				}
				time.Sleep(time.Minute)
				if end := a.conn.end(); (end == "") != (c.want == 3) {
					t.Errorf("ends with %q after %d resends", end, n.Resent.Load())
				}
			})
		})
	}
}

func TestAcknowledgedEventsAreNotSentAgain(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.connect("ann")
		a.must("session:open", map[string]any{"acks": true, "rooms": []string{"channel:x"}})
		missed(3)(n)
		a.acknowledged("channel:x", event.Position{Epoch: epoch, Offset: 3})
		a.acknowledged("channel:y", event.Position{Epoch: epoch, Offset: 3})
		time.Sleep(time.Minute)
		if n.Resent.Load() != 0 || a.conn.end() != "" {
			t.Errorf("%d resends, ends with %q", n.Resent.Load(), a.conn.end())
		}
	})
}
