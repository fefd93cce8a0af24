package presence

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/room"
)

// reload puts another presence mode of a type in force.
func reload(w *world, typ, mode string) {
	next := maps.Clone(types)
	c := next[typ]
	c.Presence = mode
	next[typ] = c
	w.policy.Reload(next)
}

// enter brings users into conv:1; the first of them watches it.
func enter(t *testing.T, w *world, users ...string) (out []*client) {
	t.Helper()
	for i, user := range users {
		c := w.client(user)
		if err := c.online(false); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			ask(t, c)
		}
		c.join("conv:1")
		out = append(out, c)
	}
	time.Sleep(time.Second)
	w.read()
	return out
}

// ask is the answer to who is present in conv:1.
func ask(t *testing.T, c *client) string {
	t.Helper()
	ev, err := c.do("presence:subscribe", "conv:1", "{}")
	if err != nil {
		t.Fatal(err)
	}
	return string(ev.Reply)
}

// TestWhoLeavesWhilePresenceIsOffHasLeft, by whatever way.
func TestWhoLeavesWhilePresenceIsOffHasLeft(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		c := enter(t, w, "bob", "ann", "cat", "dan")
		reload(w, "conv", room.PresenceOff)
		c[1].leave("conv:1")
		c[2].close()
		time.Sleep(time.Hour)
		reload(w, "conv", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := ask(t, c[0]); strings.Contains(got, "ann") || strings.Contains(got, "cat") || !strings.Contains(got, `"dan"`) || !strings.Contains(got, `"away":2`) {
			t.Error(got)
		}
	})
}

// TestModesBackAndForth: a client that believes what it is told is right in the end,
// and while only counts are told, or nothing, it is told no name.
func TestModesBackAndForth(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		c := enter(t, w, "bob", "ann")
		other := []string{"cat", "dan", "eva", "fay", "gil", "hal"}
		in := []string{"ann", "bob"}
		for i, mode := range []string{room.PresenceCounts, "", room.PresenceOff, "", room.PresenceCounts, room.PresenceMembers} {
			reload(w, "conv", mode)
			from := len(w.toldNow())
			one := w.client(other[i])
			if err := one.online(false); err != nil {
				t.Fatal(err)
			}
			one.join("conv:1")
			time.Sleep(time.Second)
			news := w.toldNow()[from:]
			switch mode {
			case room.PresenceOff:
				if len(news) != 0 || len(w.SeenIn("acme", "conv:1", "", 10).Users) != 0 {
					t.Errorf("off: told %q", news)
				}
				continue // who joins now is not present before joining again
			case room.PresenceCounts:
				if len(news) != 1 || strings.Contains(news[0], "user") || w.SeenIn("acme", "conv:1", "", 10).Users != nil || strings.Contains(ask(t, c[0]), "user") {
					t.Errorf("counts: told %q", news)
				}
			}
			in = append(in, other[i])
			slices.Sort(in)
			if mode == room.PresenceCounts {
				continue
			}
			w.read()
			if names, _ := told(t, w); !slices.Equal(names, in) {
				t.Errorf("%d: believes in %q, not %q", i, names, in)
			}
			if got := len(w.SeenIn("acme", "conv:1", "", 10).Users); got != len(in) || strings.Count(ask(t, c[0]), `"user"`) != len(in) {
				t.Errorf("%d: %d seen", i, got)
			}
		}
	})
}

// toldNow is what was emitted so far.
func (w *world) toldNow() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, env := range w.told {
		out = append(out, string(env.Data))
	}
	return out
}
