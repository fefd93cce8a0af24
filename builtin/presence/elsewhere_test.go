package presence

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// remote is a session on another node, as the directory tells of it.
type remote struct {
	w    *world
	user string
	used atomic.Int64
}

func (w *world) elsewhere(user, device string, rooms ...string) *remote {
	r := &remote{w: w, user: user}
	w.remotes = append(w.remotes, r)
	r.used.Store(w.deps.Clock())
	w.OnlineElsewhere("acme", user, device, &r.used)
	for _, name := range rooms {
		w.JoinedRoom("acme", user, name, &r.used)
	}
	return r
}

func (r *remote) close() { r.w.Offline("acme", r.user, &r.used) }
func (r *remote) die()   { r.w.Lost("acme", r.user, &r.used) }

// says are the statuses that watchers of ann were told, in time.
func (w *world) says() (lines []string) {
	for _, line := range w.read() {
		at, rest, _ := strings.Cut(line, " ")
		if _, status, ok := strings.Cut(rest, `{"user":"ann","status":"`); ok {
			status, rest, _ = strings.Cut(status, `"`)
			if _, devices, ok := strings.Cut(rest, `"devices":`); ok {
				status += " " + strings.TrimRight(devices, "}]")
			}
			lines = append(lines, at+" "+status)
		}
	}
	return lines
}

// TestElsewhere: sessions of other nodes count as those of this one.
func TestElsewhere(t *testing.T) {
	for _, c := range []struct {
		name string
		deed func(t *testing.T, w *world)
		want []string
	}{
		{"comes and goes", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			time.Sleep(time.Second)
			r.close()
		}, []string{"1s online 1", "12s offline"}},
		{"two nodes", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			time.Sleep(time.Second)
			w.play(t, []string{"2s ann/desk online"}, 3*time.Second)
			r.close()
			time.Sleep(20 * time.Second)
			w.client("ann/desk").close()
		}, []string{"1s online 1", "2s online 2", "13s online 1", "33s offline"}},
		{"moves to another node within the grace", func(_ *testing.T, w *world) {
			w.elsewhere("ann", "phone").close()
			time.Sleep(9 * time.Second)
			w.elsewhere("ann", "phone")
		}, []string{"1s online 1"}},
		{"its node dies", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			time.Sleep(time.Second)
			r.die()
		}, []string{"1s online 1", "7s offline"}},
		{"its node dies, and it comes back here", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			w.play(t, []string{"3s ann/phone back"}, 4*time.Second)
			r.die()
		}, []string{"1s online 1"}},
		{"is idle, and comes back here before its node is known to be dead", func(_ *testing.T, w *world) {
			w.elsewhere("ann", "phone")
			time.Sleep(6 * time.Minute)
			w.play(t, []string{"6m2s ann/phone back"}, 7*time.Minute)
		}, []string{"1s online 1", "5m1s away 1"}},
		{"does something again", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			time.Sleep(6 * time.Minute)
			r.used.Store(w.deps.Clock())
			w.Active("acme", "ann")
		}, []string{"1s online 1", "5m1s away 1", "6m1s online 1"}},
		{"goes on to do something", func(t *testing.T, w *world) {
			r := w.elsewhere("ann", "phone")
			for range 30 {
				time.Sleep(20 * time.Second)
				r.used.Store(w.deps.Clock())
			}
		}, []string{"1s online 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(t *testing.T, w *world) {
				w.play(t, []string{"0s ben online", `0s ben subscribe {"users":["ann"]}`}, time.Second)
				before := len(w.says())
				c.deed(t, w)
				time.Sleep(time.Minute)
				same(t, w.says()[before:], c.want)
			})
		})
	}
}

// TestElsewhereInRooms: who is in a room on another node is present there, and is gone
// with the session.
func TestElsewhereInRooms(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		r := w.elsewhere("ann", "phone", "conv:1", "hall:1")
		synctest.Wait()
		if got := w.SeenIn("acme", "conv:1", "", 10); len(got.Users) != 1 || got.Users[0].User != "ann" || got.Online != 1 {
			t.Errorf("%+v", got)
		}
		w.LeftRoom("acme", "ann", "conv:1", &r.used)
		if got := w.SeenIn("acme", "conv:1", "", 10); len(got.Users) != 0 {
			t.Errorf("has left: %+v", got)
		}
		if st := w.State("acme", "ann"); st.Status != "online" || !slices.Equal(st.Devices, []string{"phone"}) || st.Active != "phone" {
			t.Errorf("%+v", st)
		}
		r.die()
		time.Sleep(lostGrace)
		synctest.Wait()
		if got := w.SeenIn("acme", "hall:1", "", 10); got.Online != 0 {
			t.Errorf("has died: %+v", got)
		}
	})
}

// TestChoiceElsewhere: what a user on another node has chosen is read once, again when it
// can not be, and again when something may have been missed; what is told counts more.
func TestChoiceElsewhere(t *testing.T) {
	status := func(w *world) string {
		synctest.Wait()
		return w.Seen("acme", []string{"ann"})[0].Status
	}
	in(t, config, func(t *testing.T, w *world) {
		w.rows["user:ann"] = []byte(`{"status":"dnd"}`)
		w.fails = errors.New("away")
		r := w.elsewhere("ann", "phone")
		if got := status(w); got != "offline" {
			t.Errorf("before the choice is read: %s", got)
		}
		w.mu.Lock()
		w.fails = nil
		w.mu.Unlock()
		time.Sleep(readAgain)
		if got := status(w); got != "dnd" {
			t.Errorf("when it is: %s", got)
		}
		w.rows["user:ann"] = []byte(`{"status":"away"}`)
		w.Recheck(func(_, user string) bool { return user == "ben" })
		if got := status(w); got != "dnd" {
			t.Errorf("nothing was missed: %s", got)
		}
		w.Recheck(func(_, user string) bool { return user == "ann" })
		if got := status(w); got != "away" {
			t.Errorf("it was missed: %s", got)
		}
		told := false
		w.block = func() { // while the row is read
			if !told {
				told = true
				w.Observe(&event.Record{Envelope: event.Envelope{Tenant: "acme", Room: "user:ann", Action: actionUpdate, Data: []byte(`{"status":"online"}`)}})
			}
		}
		w.Recheck(func(string, string) bool { return true })
		if got := status(w); got != "online" || !told {
			t.Errorf("it is told meanwhile: %s", got)
		}
		w.block = nil
		r.close()
	})
}

// TestGoneBeforeItIsRead: nothing is left of a user whose choice can not be read.
func TestGoneBeforeItIsRead(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.fails = errors.New("away")
		w.elsewhere("ann", "phone").close()
		time.Sleep(time.Minute)
		synctest.Wait()
		w.backlog.mu.Lock()
		defer w.backlog.mu.Unlock()
		if len(w.backlog.users) != 0 {
			t.Errorf("%d users wait", len(w.backlog.users))
		}
	})
}
