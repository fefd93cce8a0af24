package session

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestNamespaces(t *testing.T) {
	both, alone := []string{spaceMain, spaceNotification}, []string{spaceNotification}
	for name, c := range map[string]struct {
		spaces []string
		rooms  []string // asked for
		code   string
		want   []string
	}{
		"left out":                          {want: []string{"user:ann", "conv:1"}},
		"the main one":                      {spaces: []string{spaceMain, spaceMain}, want: []string{"user:ann", "conv:1"}},
		"both":                              {spaces: both, rooms: []string{"channel:x", "user:ann/notification"}, want: []string{"user:ann", "user:ann/notification", "conv:1", "channel:x"}},
		"notifications alone":               {spaces: alone, want: []string{"user:ann/notification"}},
		"rooms without the main one":        {spaces: alone, rooms: []string{"channel:x"}, code: "invalid"},
		"no rooms, said so, without it too": {spaces: alone, rooms: []string{}, want: []string{"user:ann/notification"}},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.world.member["ann"] = []string{"conv:1"}
				a := n.connect("ann")
				data := map[string]any{}
				if c.spaces != nil {
					data["namespaces"] = c.spaces
				}
				if c.rooms != nil {
					data["rooms"] = c.rooms
				}
				if code := a.do("session:open", data); code != c.code || code != "" && a.reply.Field != "data.rooms" {
					t.Fatalf("answered %q at %q", code, a.reply.Field)
				}
				if c.code != "" {
					return
				}
				if !slices.Equal(a.reply.rooms(), c.want) {
					t.Errorf("joined %v, want %v", a.reply.rooms(), c.want)
				}
				a.Closed()
				b := a.resume(nil) // with the namespace by default, which does not count
				slices.Sort(c.want)
				if got := b.joined(); !*b.reply.Recovered || !slices.Equal(got, c.want) {
					t.Errorf("resumed with %v, want %v", got, c.want)
				}
			})
		})
	}
}

// A session for notifications alone stays out of the rooms that its user is added
// to, now, while it is away, and when its record is lost.
func TestNotificationsAloneStayAlone(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		want := []string{"user:ann/notification"}
		a := n.connect("ann")
		data := map[string]any{"namespaces": []string{spaceNotification}}
		a.must("session:open", data)
		n.change("ann", room.ActionAdded, "conv:1")
		synctest.Wait()
		if got := a.joined(); !slices.Equal(got, want) {
			t.Errorf("joined %v", got)
		}
		a.Closed()
		n.change("ann", room.ActionAdded, "conv:2")
		b := a.resume(map[string]event.Position{"user:ann/notification": {}})
		if got := b.joined(); !slices.Equal(got, want) || len(b.reply.Lost) > 0 {
			t.Errorf("resumed with %v, %+v", got, b.reply)
		}
		b.Closed()
		c := n.connect("ann")
		data["session"], data["resume_token"] = "unknown", "x"
		c.must("session:resume", data)
		if got := c.joined(); !slices.Equal(got, want) {
			t.Errorf("a new session has %v", got)
		}
	})
}
