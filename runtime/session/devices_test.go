package session

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// device connects one of a user's devices; the code of the error, "" for none.
func (n *node) device(user, name string) (*client, string) {
	c := n.connect(user)
	data := map[string]any{}
	if name != "" {
		data["device"] = name
	}
	return c, c.do("session:open", data)
}

func TestDeviceLimit(t *testing.T) {
	for name, c := range map[string]struct {
		policy string
		steps  string // devices that connect one after the other; "-x" ends the connection of the x-th
		codes  string // of those refused, by the number of the step
		ended  string // numbers of the connections that were closed
	}{
		"below":                      {"reject", "a b", "", ""},
		"one too many":               {"reject", "a b c", "3 conflict", ""},
		"twice the same":             {"reject", "a b a b a", "", ""},
		"without a name":             {"reject", "a . .", "3 conflict", ""},
		"after one has gone":         {"reject", "a b -0 c", "", ""},
		"one session of two is gone": {"reject", "a a b -0 c", "5 conflict", ""},
		"the oldest goes":            {"close_oldest", "a b c", "", "0"},
		"with all its sessions":      {"close_oldest", "a b a c", "", "0 2"},
		"one after the other":        {"close_oldest", "a b c d e", "", "0 1 2"},
		"nameless ones":              {"close_oldest", ". . .", "", "0"},
		"the same is not too many":   {"close_oldest", "a b a", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.cfg.Devices, n.cfg.DevicesPolicy = 2, c.policy
				var all []*client
				var codes, ended []string
				for i, step := range strings.Fields(c.steps) {
					time.Sleep(time.Millisecond)
					if gone, ok := strings.CutPrefix(step, "-"); ok {
						all[int(gone[0]-'0')].Closed()
						continue
					}
					a, code := n.device("ann", strings.Trim(step, "."))
					if all = append(all, a); code != "" {
						codes = append(codes, fmt.Sprint(i+1, " ", code))
						if a.reply.Field != "data.device" || a.Opened() {
							t.Errorf("refused in %q", a.reply.Field)
						}
					}
					if step == "a" { // others' devices do not count
						n.open("ben").Closed()
					}
				}
				for i, a := range all {
					if end := a.conn.end(); end != "" {
						ended = append(ended, fmt.Sprint(i))
						if end != "session_replaced" {
							t.Errorf("ended with %q", end)
						}
					}
				}
				if got := strings.Join(codes, ","); got != c.codes {
					t.Errorf("refused %q, want %q", got, c.codes)
				}
				if got := strings.Join(ended, " "); got != c.ended {
					t.Errorf("closed %q, want %q", got, c.ended)
				}
				if int(n.DevicesClosed.Load()) < len(ended) || (len(codes) > 0) != (n.DevicesRefused.Load() > 0) {
					t.Errorf("counted %d and %d", n.DevicesClosed.Load(), n.DevicesRefused.Load())
				}
			})
		})
	}
}

// A session that is resumed takes its own place, with a name or without.
func TestDeviceLimitAndResume(t *testing.T) {
	for _, name := range []string{"", "phone"} {
		inTime(t, func(t *testing.T, n *node) {
			n.cfg.Devices, n.cfg.DevicesPolicy = 1, "reject"
			a, _ := n.device("ann", name)
			b := a.resume(nil) // the old connection is still there
			if got := a.conn.end(); got != "session_replaced" {
				t.Errorf("the old one ended with %q", got)
			}
			b.Closed()
			if _, code := n.device("ann", "tv"); code != "" {
				t.Errorf("the old connection still counts: %s", code)
			}
			c := n.connect("ann")
			if code := c.do("session:resume", map[string]any{"session": b.reply.Session, "resume_token": b.reply.ResumeToken, "device": "phone"}); code != "conflict" {
				t.Errorf("resumed over the limit: %q", code)
			}
		})
	}
}

// TestDeviceFlood opens many devices at the same time.
func TestDeviceFlood(t *testing.T) {
	for policy, kind := range map[string]fault.Kind{"reject": fault.Conflict, "close_oldest": fault.SessionReplaced} {
		n := newNode(t)
		n.cfg.Devices, n.cfg.DevicesPolicy = 3, policy
		var wg sync.WaitGroup
		all := make([]*client, 40)
		errs := make([]error, len(all))
		for i := range all {
			all[i] = n.connect("ann")
			wg.Go(func() {
				id := *all[i].Identity()
				id.Device = fmt.Sprint("d", i)
				all[i].identity.Store(&id)
				n.introduce(all[i].Session, &id)
				errs[i] = n.place(all[i].Session, &id, "")
			})
		}
		wg.Wait()
		in := 0
		for i, c := range all {
			switch {
			case errs[i] == nil && c.conn.end() == "":
				in++
			case errs[i] != nil && !fault.Is(errs[i], kind), errs[i] == nil && c.conn.kind != kind:
				t.Errorf("%s: %v, ended with %q", policy, errs[i], c.conn.end())
			}
		}
		if in != 3 {
			t.Errorf("%s: %d devices are in", policy, in)
		}
	}
}

func TestDevices(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		start := time.Now().UnixMilli()
		phone, _ := n.device("ann", "phone")
		time.Sleep(time.Minute)
		tv, _ := n.device("ann", "tv")
		again, _ := n.device("ann", "phone")
		nameless, _ := n.device("ann", "")
		n.open("ben")
		n.connect("ann") // without a session
		send := func(c *client, text string) {
			time.Sleep(time.Second)
			c.Frame([]byte(text), false)
			c.conn.sent()
		}
		send(nameless, `{"type":"event","payload":{"action":"message:send"}}`)
		send(tv, `{"type":"event","payload":{"action":"message:send"}}`)
		send(phone, `{"type":"ack","room":"channel:x","epoch":"e","offset":1}`)
		send(phone, `{"type":"event","payload":{"action":"session:ping"}}`)
		gone, _ := n.device("ann", "watch")
		time.Sleep(time.Second) // it is written
		gone.Closed()
		time.Sleep(time.Second)
		nameless.must("session:devices", nil)
		want := []string{
			"watch [" + gone.id + "] false false 64000 64020 websocket test",
			"tv [" + tv.id + "] true true 60000 62000 websocket test",
			" [" + nameless.id + "] true false 60000 61000 websocket test",
			"phone [" + again.id + " " + phone.id + "] true false 0 60000 websocket test",
		}
		var got []string
		for _, d := range nameless.reply.Devices {
			got = append(got, fmt.Sprint(d.Device, " ", d.Sessions, " ", d.Connected, " ", d.Active, " ", d.Since-start, " ", d.LastSeen-start, " ", d.Transport, " ", d.Agent))
		}
		want[3] = strings.Replace(want[3], again.id+" "+phone.id, strings.Join(slices.Sorted(slices.Values([]string{again.id, phone.id})), " "), 1)
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		n.world.fail("OfUser", errNo)
		if code := nameless.do("session:devices", nil); code != "unavailable" {
			t.Errorf("answered %q", code)
		}
	})
}

func TestAgentsAreCut(t *testing.T) {
	for agent, want := range map[string]string{"": "", "x": "x", strings.Repeat("é", 70): strings.Repeat("é", 64), strings.Repeat("é", 63) + "xé": strings.Repeat("é", 63) + "x"} {
		if got := cut(agent); got != want {
			t.Errorf("%q became %q", agent, got)
		}
	}
}

// A session that is resumed is still its device's, if nobody names one.
func TestAResumedSessionKeepsItsDevice(t *testing.T) {
	n := newNode(t)
	a := n.connect("ann")
	a.must("session:open", map[string]any{"device": "phone"})
	a.Closed()
	b := a.resume(nil)
	if got := b.Identity().Device; got != "phone" || b.reply.Reason != "" {
		t.Errorf("it is the device %q's, %s", got, b.reply.Reason)
	}
}
