package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSocketIORecoveryOfRoomsJoinedAgain: what a client was sent of a room before it left
// says nothing of where it stands now; what it is to be sent again it is sent.
func TestSocketIORecoveryOfRoomsJoinedAgain(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	for k, c := range []struct {
		name  string
		do    func(f *follower, a, b string, ben *client)
		whole bool
		want  []string // of a and b
	}{
		{"before anything else", func(f *follower, a, _ string, ben *client) {
			f.leave(a)
			say(ben, a, "3")
			f.join(a)
		}, true, []string{"a/4"}},
		{"before an event of another room", func(f *follower, a, b string, ben *client) {
			f.leave(a)
			say(ben, a, "3")
			f.join(a)
			say(ben, b, "1")
			f.take(3)
		}, true, []string{"a/4"}},
		{"before one that it has not read", func(f *follower, a, b string, ben *client) {
			f.leave(a)
			say(ben, a, "3")
			f.join(a)
			say(ben, b, "1")
		}, true, []string{"b/1", "a/4"}},
		{"twice", func(f *follower, a, b string, ben *client) {
			for range 2 {
				f.leave(a)
				say(ben, a, "3")
				f.join(a)
			}
			say(ben, b, "1")
			f.take(3)
		}, true, []string{"a/5"}},
		{"in the past", func(f *follower, a, b string, ben *client) {
			say(ben, b, "1")
			f.take(3)
			f.leave(a)
			f.joinBehind(a, 1)
		}, true, []string{"a/2", "a/3"}},
		{"in the past, with one of its events again", func(f *follower, a, b string, ben *client) {
			say(ben, b, "1")
			f.take(3)
			f.leave(a)
			f.joinBehind(a, 1)
			f.take(4)
		}, false, nil},
		{"it goes back", func(f *follower, a, b string, ben *client) {
			say(ben, b, "1")
			f.take(3)
			f.joinBehind(a, 0)
		}, true, []string{"a/1", "a/2", "a/3"}},
		{"it has come back to where it was", func(f *follower, a, b string, ben *client) {
			say(ben, b, "1")
			f.take(3)
			f.joinBehind(a, 0)
			f.take(5)
			say(ben, b, "2")
			f.take(6)
		}, true, []string{"a/3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := fmt.Sprint("channel:a", k), fmt.Sprint("channel:b", k)
			f := &follower{reader: n.reader(t, fmt.Sprint("ann-", k), byWebSocket)}
			ben := n.open(t, dial{user: fmt.Sprint("ben-", k)})
			for _, room := range []string{a, b} {
				tell(ben, "room:join", room, "{}")
				f.join(room)
			}
			say(ben, a, "1", "2")
			f.take(2)
			c.do(f, a, b, ben)
			f.s.drop()
			f.resume(byWebSocket)
			if f.recovered != c.whole {
				t.Fatalf("recovered is %t: %s %s", f.recovered, f.reason, f.lost)
			}
			say(ben, a, "last")
			f.take(max(1, len(c.want)))
			f.settle()
			got := f.heard()
			for i := range got {
				got[i] = strings.NewReplacer(a, "a", b, "b").Replace(got[i])
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if c.whole && !slices.Equal(got, c.want) || len(got) == 0 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func (f *follower) leave(room string) {
	f.t.Helper()
	f.do(`["room:leave",{"room":"` + room + `"}]`)
}

// joinBehind joins a room behind an event, which it may have had long ago.
func (f *follower) joinBehind(room string, offset uint64) uint64 {
	f.t.Helper()
	var whole struct{ Recovered bool }
	at := fmt.Sprintf(`{"epoch":%q,"offset":%d}`, f.n.epoch("acme", room), offset)
	if err := json.Unmarshal(f.do(`["room:join",{"room":"`+room+`","since":`+at+`}]`).Data, &whole); err != nil || !whole.Recovered {
		f.t.Fatal(whole, err)
	}
	return offset
}

// TestSocketIORecoveryOfOtherServers: a client that comes with what another server has
// given it begins anew, and is not refused.
func TestSocketIORecoveryOfOtherServers(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ pid, offset string }{
		"the reference server's": {"kJfM0a9GkQ", "1700000000000-0"},
		"with a dot":             {"abc.def", "1700000000000-0"},
		"a long offset":          {"abc.def", long},
		"a long session":         {long + ".def", ""},
		"a long secret":          {"abc." + long, long},
	} {
		r := &reader{t: t, n: n, user: "ann", pid: c.pid, offset: c.offset}
		if p := r.try(byWebSocket); p.kind != '0' || r.recovered || r.pid == c.pid {
			t.Errorf("%s: %s", name, p)
		}
		r.s.leave()
	}
}
