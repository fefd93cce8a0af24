package room

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// noted are the rooms that are on the list.
func (n *node) noted() string {
	n.t.Helper()
	rows, err := n.store.Rows(n.t.Context(), "acme", root, rowEmpty, "", 100)
	if err != nil {
		n.t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, r.Key)
	}
	return fmt.Sprint(out)
}

func TestExpire(t *testing.T) {
	n := newNode(t)
	for _, name := range []string{"club:gone", "club:back", "club:full", "club:ended", "team:kept"} {
		n.must("ann", "c room:create "+name+" {}")
	}
	n.must("", "c room:create office:new {}")
	for _, name := range []string{"club:gone", "club:back", "club:ended", "team:kept"} {
		n.must("ann", "l room:leave "+name+" {}")
	}
	n.must("ben", "j room:join club:back {}")
	n.must("", "d room:delete club:ended {}")
	if got := n.noted(); got != "[club:back club:ended club:gone office:new]" {
		t.Errorf("noted %s", got)
	}
	for _, c := range []struct {
		name    string
		after   time.Duration
		noted   string
		expired uint64
	}{
		{"too early", 59 * time.Minute, "[club:back club:ended club:gone office:new]", 0},
		{"in time", 61 * time.Minute, "[]", 2},
		{"once", 99 * time.Hour, "[]", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := n.expirer(func() time.Time { return time.Now().Add(c.after) })
			if err := errors.Join(x.pass(t.Context(), "acme"), x.pass(t.Context(), "globex")); err != nil {
				t.Fatal(err)
			}
			if got := n.noted(); got != c.noted || x.Expired.Load() != c.expired {
				t.Errorf("%d expired; noted %s, want %s", x.Expired.Load(), got, c.noted)
			}
		})
	}
	for name, want := range map[string]bool{"club:gone": false, "club:ended": false, "club:back": true, "club:full": true, "team:kept": true, "office:new": true} {
		if got := n.there(name); got != want {
			t.Errorf("%s is there: %v", name, got)
		}
	}
	for name, want := range map[string]string{"club:gone": actionDelete, "office:new": actionExpire} {
		s := n.stream(name)
		if last := s[len(s)-1]; last.Action != want || last.From.User != "" || last.Ends != (want == actionDelete) {
			t.Errorf("%s ends with %+v", name, last)
		}
	}
	// A room that is left again is noted again.
	n.must("ben", "l room:leave club:back {}")
	if got := n.noted(); got != "[club:back]" {
		t.Error(got)
	}
}

// TestLeftWhileSettled: a room that is left while it is being taken off the list
// stays on it.
func TestLeftWhileSettled(t *testing.T) {
	n := newNode(t)
	n.must("ann", "c room:create club:1 {}")
	n.must("ann", "l room:leave club:1 {}")
	head, err := n.store.Head(t.Context(), "acme", root)
	if err != nil {
		t.Fatal(err)
	}
	n.must("ben", "j room:join club:1 {}")
	n.must("ben", "l room:leave club:1 {}")
	x := n.expirer(time.Now)
	if err := x.unlist(t.Context(), "acme", "club:1", head); err != nil || n.noted() != "[club:1]" {
		t.Errorf("%v, noted %s", err, n.noted())
	}
}

// interrupted is a committer that lets something happen before it begins.
type interrupted struct {
	*node
	before func()
}

func (i interrupted) Commit(ctx context.Context, e event.Effect) error {
	i.before()
	return i.node.Commit(ctx, e)
}

// TestJoinedWhileExpiring: somebody joins when the room was found to be empty.
func TestJoinedWhileExpiring(t *testing.T) {
	n := newNode(t)
	n.must("ann", "c room:create club:1 {}")
	n.must("ann", "l room:leave club:1 {}")
	x := n.expirer(func() time.Time { return time.Now().Add(2 * time.Hour) })
	x.Committer = interrupted{n, func() { n.must("ben", "j room:join club:1 {}") }}
	if err := x.pass(t.Context(), "acme"); err != nil || x.Expired.Load() != 0 {
		t.Errorf("%v, %d expired", err, x.Expired.Load())
	}
	if m := fmt.Sprint(n.members("club:1")); !n.there("club:1") || m != "[ben=member]" {
		t.Errorf("there are %s", m)
	}
}

// refusing is a committer that says the same of everything.
type refusing struct {
	err   error
	asked []string
}

func (r *refusing) Commit(_ context.Context, e event.Effect) error {
	r.asked = append(r.asked, e.Action)
	return r.err
}

func TestExpireRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		store *store
		at    string
		want  string // the commits asked for, and what comes of the pass
	}{
		{"joined meanwhile", fault.New(fault.Changed, "", ""), stream(3).row("empty club:1", "1"), "club:1", "[room:delete] <nil>"},
		{"deleted meanwhile", fault.New(fault.NotFound, "", ""), stream(3).row("empty club:1", "1"), "club:1", "[room:delete room:unlisted] not_found"},
		{"the log is away", fault.New(fault.Unavailable, "", ""), stream(3).row("empty club:1", "1"), "club:1", "[room:delete] unavailable"},
		{"announced", nil, stream(3).row("empty office:1", "1"), "office:1", "[room:expire room:unlisted] <nil>"},
		{"a type that is gone", nil, stream(3).row("empty ship:1", "1"), "ship:1", "[room:unlisted] <nil>"},
		{"a type that keeps its rooms by now", nil, stream(3).row("empty team:1", "1"), "team:1", "[] <nil>"},
		{"a room that is gone", nil, stream(3).row("empty club:9", "1"), "club:9", "[room:unlisted] <nil>"},
		{"a room that is not empty", nil, stream(3).in(room.RoleMember).row("empty club:1", "1"), "club:1", "[room:unlisted] <nil>"},
		{"not readable", nil, stream(3).row("empty club:1", "x"), "club:1", "[room:unlisted] <nil>"},
		{"nothing noted", nil, stream(0).row("empty club:1", "1"), "club:1", "[] <nil>"},
		{"no head", nil, stream(3).row("empty club:1", "1").failing("Head"), "club:1", "[] disk"},
		{"no list", nil, stream(3).row("empty club:1", "1").failing("Rows"), "club:1", "[] disk"},
		{"no room", nil, stream(3).row("empty club:1", "1").failing("Room"), "club:1", "[] disk"},
		{"no members", nil, stream(3).row("empty club:1", "1").failing("Members"), "club:1", "[] disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &refusing{err: c.err}
			x := NewExpirer(ExpirerDeps{Rooms: room.New(types(), c.store), Reader: c.store, History: c.store, Notes: c.store, Committer: r, Now: time.Now})
			err := x.pass(t.Context(), "acme")
			if got := fmt.Sprint(r.asked, " ", err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestExpirerRuns makes a pass a minute over every tenant, whatever comes of one.
func TestExpirerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stream(3).row("empty club:1", "1")
		r := &refusing{}
		x := NewExpirer(ExpirerDeps{Rooms: room.New(types(), s), Reader: s, History: s, Notes: s, Committer: r, Now: time.Now,
			Tenants: func() []string { return []string{"broken", "acme"} }, Log: discard()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- x.Run(ctx) }() // until cancel
		time.Sleep(2*expireEvery + time.Second)
		synctest.Wait()
		if x.Expired.Load() != 2 || x.Failed.Load() != 2 {
			t.Errorf("%d expired, %d failed", x.Expired.Load(), x.Failed.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
