package app

import (
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// TestSocketIORecoveryAfterAKill: the record of a node that was killed is as old as it was
// when it was written last. Here it knows two events of each of two rooms.
func TestSocketIORecoveryAfterAKill(t *testing.T) {
	t.Parallel()
	const x, y = "channel:x", "channel:y"
	for _, c := range []struct {
		name  string
		more  []string // rooms of events behind the record
		read  int      // events that the client has read, of all
		after []string // rooms of events while it is away
		whole bool
		want  []string
	}{
		{"nothing more", nil, 4, []string{x}, true, []string{"channel:x/3"}},
		{"less than the record has", nil, 3, []string{x}, true, []string{"channel:x/3", "channel:y/2"}},
		{"nothing read", nil, 0, nil, true, []string{"channel:x/1", "channel:x/2", "channel:y/1", "channel:y/2"}},
		{"one busy room", []string{x, x, x}, 7, []string{x}, true, []string{"channel:x/6"}},
		{"one busy room, not all of it read", []string{x, x, x}, 5, nil, true, []string{"channel:x/4", "channel:x/5"}},
		{"one busy room, and then another", []string{x}, 5, []string{y}, false, nil},
		{"two busy rooms", []string{x, y}, 6, nil, false, nil},
		{"two busy rooms, one of them read", []string{x, y}, 5, nil, false, nil},
		{"two busy rooms, nothing of it read", []string{x, y}, 4, nil, true, []string{"channel:x/3", "channel:y/3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := chatty(t)
			ben := n.open(t, dial{user: "ben"})
			r := n.reader(t, "ann", byWebSocket)
			var known trail.Trail
			join := func() {
				for _, room := range []string{x, y} {
					tell(ben, "room:join", room, "{}")
				}
			}
			join()
			for _, room := range []string{x, y} {
				r.do(`["room:join",{"room":"` + room + `"}]`)
			}
			for _, room := range []string{x, y} {
				say(ben, room, "1", "2")
				for i := range uint64(2) {
					known.Note(trail.Of(room, n.epoch("acme", room), i+1))
				}
			}
			for _, room := range c.more {
				say(ben, room, "more")
			}
			r.take(c.read)
			r.s.drop()
			ben.drop()
			n.stop()
			n.start()
			record, found, err := n.app.stores.sessions.Load(t.Context(), "acme", r.sid)
			if err != nil || !found {
				t.Fatal(found, err)
			}
			record.Trail = known.Append(nil)
			if err := n.app.stores.sessions.Save(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			ben = n.open(t, dial{user: "ben"})
			join()
			for _, room := range c.after {
				say(ben, room, "after")
			}
			if r.resume(byWebSocket); r.recovered != c.whole {
				t.Fatalf("recovered is %t: %s", r.recovered, r.lost)
			}
			r.take(len(c.want))
			r.settle()
			got := r.heard()
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestSocketIORecoveryAfterAKillWhileItGoesBack: the record knows soon that a room has
// gone back, so that the second of two alike is not taken for the first.
func TestSocketIORecoveryAfterAKillWhileItGoesBack(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	ben := n.open(t, dial{user: "ben"})
	f := &follower{reader: n.reader(t, "ann", byWebSocket)}
	for _, room := range []string{"channel:x", "channel:y"} {
		tell(ben, "room:join", room, "{}")
		f.join(room)
		say(ben, room, "1")
	}
	f.take(2)
	epoch := n.epoch("acme", "channel:x")
	f.joinBehind("channel:x", 0)
	var record session.Record
	eventually(t, "the record knows it", func() bool {
		var err error
		if record, _, err = n.app.stores.sessions.Load(t.Context(), "acme", f.sid); err != nil {
			t.Fatal(err)
		}
		kept, err := trail.Parse(record.Trail)
		_, whole := kept.Positions(trail.Of("channel:x", epoch, 1))
		return err == nil && kept.Top(trail.Room("channel:y", n.epoch("acme", "channel:y"))) == 1 && !whole
	})
	f.take(3) // x/1 again
	f.s.drop()
	ben.drop()
	n.stop()
	n.start()
	if err := n.app.stores.sessions.Save(t.Context(), record); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	if f.resume(byWebSocket); f.recovered {
		f.settle()
		t.Errorf("it is recovered, and is sent %q", f.heard())
	}
}
