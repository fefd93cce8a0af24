package session

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestReadmit(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a, b := n.open("ann", "channel:x"), n.open("ben", "channel:y")
		before := event.Membership{Moderate: true}
		for _, name := range []string{"channel:z/files", "conv:1"} {
			if err := a.JoinRoom(t.Context(), name, event.Position{}, before, false); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // joining has the node ask anew
		a.mu.Lock()
		for i := range a.rooms {
			a.rooms[i].member = before
		}
		a.mu.Unlock()
		n.world.mu.Lock()
		n.world.closed["channel:x"], n.world.closed["conv:1"] = true, true
		n.world.mu.Unlock()
		n.Readmit(t.Context(), func(roomType string) bool { return roomType == "channel" })
		if got := a.joined(); !slices.Equal(got, []string{"channel:z/files", "conv:1", "user:ann"}) {
			t.Errorf("ann has joined %v", got)
		}
		if got := b.joined(); !slices.Equal(got, []string{"channel:y", "user:ben"}) {
			t.Errorf("ben has joined %v", got)
		}
		for name, want := range map[string]event.Membership{"channel:z/files": {Publish: true}, "conv:1": before} {
			if m, _ := a.Member(name); m != want {
				t.Errorf("%s: %+v", name, m)
			}
		}
	})
}
