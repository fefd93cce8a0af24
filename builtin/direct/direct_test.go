package direct

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// devices are those of tenant acme with open sessions: how many, by "user/device".
type devices struct {
	open map[string]int
	got  []event.Envelope
}

func (d *devices) Direct(env *event.Envelope, user, device string) int {
	n := d.open[user+"/"+device]
	if env.Tenant != "acme" {
		return 0
	}
	if n > 0 {
		d.got = append(d.got, *env)
	}
	return n
}

type session struct{ closed bool }

func (session) Identity() *event.Identity              { return &event.Identity{Tenant: "acme", User: "ann"} }
func (s session) Opened() bool                         { return !s.closed }
func (session) Member(string) (event.Membership, bool) { return event.Membership{}, false }

var ann = event.Sender{User: "ann", Device: "phone"}

// call takes an event through validate, authorize and its handler.
func call(t *testing.T, d *devices, from session, id, room, data string) (*event.Event, error) {
	t.Helper()
	return callAs(t, d, from, ann, id, room, data)
}

// callAs is call for another sender.
func callAs(t *testing.T, d *devices, from session, who event.Sender, id, room, data string) (*event.Event, error) {
	t.Helper()
	ev, err := prepared(t, d, from, who, id, room, data)
	if err != nil {
		return ev, err
	}
	return ev, ev.Spec.Handle(t.Context(), ev)
}

// prepared is an event in front of its handler.
func prepared(t *testing.T, d *devices, from session, who event.Sender, id, room, data string) (*event.Event, error) {
	t.Helper()
	ev := &event.Event{Origin: from, Envelope: event.Envelope{
		Type: event.TypeEvent, ID: id, Tenant: "acme", Room: room, From: who, Action: "direct:send", Data: []byte(data),
	}}
	all := Actions(Deps{Devices: d})
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == ev.Action })]
	if _, err := validate.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	_, err := authorize.New().Process(t.Context(), ev)
	return ev, err
}

// effects shows what an event stores, a line for each.
func effects(ev *event.Event) []string {
	var out []string
	for i, e := range ev.Effects {
		line := fmt.Sprintf("%s %s", e.Room, e.Data)
		if e.Unread {
			line += " unread"
		}
		if e.Expires != 0 {
			line += fmt.Sprintf(" for %v", time.Until(time.UnixMilli(e.Expires)))
		}
		want := event.Effect{Durable: true, Unread: e.Unread, Envelope: event.Envelope{
			Type: event.TypeMessage, Tenant: "acme", Room: e.Room, From: ev.From, Action: "direct:send", Data: e.Data, Expires: e.Expires,
		}}
		if got, want := fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", want); got != want {
			line += fmt.Sprintf(" as effect %d %s", i, got)
		}
		out = append(out, line)
	}
	return out
}

func TestToUser(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"text", `{"to":"ben","text":"hi"}`,
			[]string{`user:ben {"text":"hi"} unread`, `user:ann {"to":"ben","text":"hi"}`}},
		{"all fields, as they were written", `{"meta": {"a" : 1}, "body":[null],"ttl_ms":250,"text":"\u00e9", "to":"ben@x"}`,
			[]string{`user:ben@x {"text":"\u00e9","body":[null],"meta":{"a" : 1}} unread for 250ms`, `user:ann {"to":"ben@x","text":"\u00e9","body":[null],"meta":{"a" : 1}} for 250ms`}},
		{"fields nobody knows", `{"to":"ben","body":5,"from":"eve","user":"eve","offset":1,"delivered":9}`,
			[]string{`user:ben {"body":5} unread`, `user:ann {"to":"ben","body":5}`}},
		{"a name written with escapes", `{"to":"b\u0065n","text":"hi"}`,
			[]string{`user:ben {"text":"hi"} unread`, `user:ann {"to":"b\u0065n","text":"hi"}`}},
		{"oneself", `{"to":"ann","text":"hi"}`,
			[]string{`user:ann {"to":"ann","text":"hi"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &devices{open: map[string]int{"ben/phone": 1}}
				ev, err := call(t, d, session{}, "i", "", c.data)
				if err != nil || ev.Reply != nil || d.got != nil {
					t.Fatalf("%v, reply %s, at once %v", err, ev.Reply, d.got)
				}
				if got := effects(ev); !slices.Equal(got, c.want) {
					t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
				}
			})
		})
	}
}

// TestAttributes: what plugins have set goes along, to whomever the message goes.
func TestAttributes(t *testing.T) {
	d := &devices{open: map[string]int{"ben/phone": 1}}
	ev, err := prepared(t, d, session{}, ann, "i", "", `{"to":"ben","text":"hi"}`)
	ev.Extra = []byte(`{"lang":"en"}`)
	if err := errors.Join(err, ev.Spec.Handle(t.Context(), ev)); err != nil {
		t.Fatal(err)
	}
	want := []string{`user:ben {"text":"hi","attributes":{"lang":"en"}} unread`, `user:ann {"to":"ben","text":"hi","attributes":{"lang":"en"}}`}
	if got := effects(ev); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	ev, err = prepared(t, d, session{}, ann, "i", "", `{"to":"ben","device":"phone","text":"hi"}`)
	ev.Extra = []byte(`{"lang":"en"}`)
	if err := errors.Join(err, ev.Spec.Handle(t.Context(), ev)); err != nil {
		t.Fatal(err)
	}
	if got := string(d.got[0].Data); got != `{"text":"hi","attributes":{"lang":"en"}}` {
		t.Errorf("the device gets %s", got)
	}
}

// TestByTheServer: what the server itself sends is in the receiver's room alone, and
// has no sender.
func TestByTheServer(t *testing.T) {
	d := &devices{open: map[string]int{"ben/phone": 1}}
	ev, err := callAs(t, d, session{}, event.Sender{}, "i", "", `{"to":"ben","text":"hi"}`)
	if got, want := effects(ev), []string{`user:ben {"text":"hi"} unread`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %q", err, got)
	}
	ev, err = callAs(t, d, session{}, event.Sender{}, "", "", `{"to":"ben","device":"phone","text":"hi"}`)
	if err != nil || string(ev.Reply) != `{"delivered":1}` || len(d.got) != 1 || d.got[0].From != (event.Sender{}) {
		t.Errorf("%v, reply %s, %v", err, ev.Reply, d.got)
	}
	if _, err := callAs(t, d, session{}, event.Sender{}, "", "", `{"to":"ben","text":"hi"}`); !fault.Is(err, fault.Invalid) {
		t.Errorf("without an id: %v", err)
	}
}

func TestToDevice(t *testing.T) {
	for _, c := range []struct {
		name, data string
		room, got  string
		ttl        int64
		reply      string
	}{
		{"one session", `{"to":"ben","device":"phone","text":"hi"}`, "user:ben", `{"text":"hi"}`, 0, `{"delivered":1}`},
		{"several, for a while", `{"to":"ben","device":"tv","body":{},"ttl_ms":5,"meta":{"m":1}}`, "user:ben", `{"body":{},"meta":{"m":1}}`, 5, `{"delivered":3}`},
		{"a device of oneself", `{"to":"ann","device":"tv","text":"hi"}`, "user:ann", `{"text":"hi"}`, 0, `{"delivered":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &devices{open: map[string]int{"ben/phone": 1, "ben/tv": 3, "ann/tv": 1}}
				ev, err := call(t, d, session{}, "", "", c.data)
				if err != nil || string(ev.Reply) != c.reply || ev.Effects != nil || len(d.got) != 1 {
					t.Fatalf("%v, reply %s, effects %v, %v", err, ev.Reply, effects(ev), d.got)
				}
				now := time.Now().UnixMilli()
				want := event.Envelope{Type: event.TypeEvent, Tenant: "acme", Room: c.room, From: ann, Action: "direct:send", Timestamp: now, Data: []byte(c.got)}
				if c.ttl != 0 {
					want.Expires = now + c.ttl
				}
				if got, want := fmt.Sprintf("%+v", d.got[0]), fmt.Sprintf("%+v", want); got != want {
					t.Errorf("%s\nwant %s", got, want)
				}
			})
		})
	}
}

func TestRefused(t *testing.T) {
	str := func(bytes int) string { return strings.Repeat("x", bytes) }
	const badUser = "must be 1 to 128 characters of " + event.NamePattern
	for _, c := range []struct {
		name, id, room, data string
		from                 session
		want                 string
	}{
		{"nobody", "i", "", `{"text":"x"}`, session{}, "invalid in data.to: is missing"},
		{"no name", "i", "", `{"to":"","text":"x"}`, session{}, "invalid in data.to: " + badUser},
		{"a room for a user", "i", "", `{"to":"user:ben","text":"x"}`, session{}, "invalid in data.to: " + badUser},
		{"everybody", "i", "", `{"to":"*","text":"x"}`, session{}, "invalid in data.to: " + badUser},
		{"a name too long", "i", "", `{"to":"` + str(129) + `","text":"x"}`, session{}, "invalid in data.to: " + badUser},
		{"no device", "i", "", `{"to":"ben","device":"","text":"x"}`, session{}, "invalid in data.device: " + badUser},
		{"device that is null", "i", "", `{"to":"ben","device":null,"text":"x"}`, session{}, "invalid in data.device: must be a string"},
		{"nothing to say", "i", "", `{"to":"ben","meta":{},"ttl_ms":1}`, session{}, "invalid in data.text: text or body is needed"},
		{"nothing to say to a device", "i", "", `{"to":"ben","device":"phone"}`, session{}, "invalid in data.text: text or body is needed"},
		{"text too long", "i", "", `{"to":"ben","text":"` + str(8193) + `"}`, session{}, "too_large in data.text: must be at most 8192 bytes"},
		{"body too long", "i", "", `{"to":"ben","body":"` + str(32767) + `"}`, session{}, "too_large in data.body: must be at most 32768 bytes of JSON"},
		{"meta that is no object", "i", "", `{"to":"ben","text":"x","meta":1}`, session{}, "invalid in data.meta: must be an object"},
		{"no time to live", "i", "", `{"to":"ben","text":"x","ttl_ms":0}`, session{}, "invalid in data.ttl_ms: must be between 1 and 604800000"},
		{"too long a life", "i", "", `{"to":"ben","text":"x","ttl_ms":604800001}`, session{}, "invalid in data.ttl_ms: must be between 1 and 604800000"},
		{"a room", "i", "user:ben", `{"to":"ben","text":"x"}`, session{}, "invalid in room: a direct message goes to a user, not to a room"},
		{"without an id", "", "", `{"to":"ben","text":"x"}`, session{}, "invalid in id: this action needs an id"},
		{"to oneself without an id", "", "", `{"to":"ann","text":"x"}`, session{}, "invalid in id: this action needs an id"},
		{"device that is away", "i", "", `{"to":"ben","device":"tv","text":"x"}`, session{}, "not_found in data.device: no session of this device is open"},
		{"another's device", "i", "", `{"to":"ann","device":"desk","text":"x"}`, session{}, "not_found in data.device: no session of this device is open"},
		{"before the session", "i", "", `{"to":"ben","text":"x"}`, session{closed: true}, "session_required in payload.action: session:open or session:resume must come first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &devices{open: map[string]int{"ben/phone": 1, "ben/desk": 1}}
			ev, err := call(t, d, c.from, c.id, c.room, c.data)
			f := fault.Of(err)
			if got := fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message()); err == nil || got != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			if len(ev.Effects) != 0 || ev.Reply != nil || d.got != nil {
				t.Errorf("refused, and yet: %q %s %v", effects(ev), ev.Reply, d.got)
			}
		})
	}
}

// BenchmarkSend is the handler alone, to a user and to a device.
func BenchmarkSend(b *testing.B) {
	for _, c := range []struct{ name, data string }{
		{"user", `{"to":"ben","text":"good morning","meta":{"n":1}}`},
		{"device", `{"to":"ben","device":"phone","text":"good morning","meta":{"n":1}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			all := Actions(Deps{Devices: phone{}})
			ev := &event.Event{Spec: &all[0], Envelope: event.Envelope{ID: "i", Tenant: "acme", From: ann, Action: "direct:send"}}
			if err := validate.Payload(ev.Spec.Payload, []byte(c.data), ev.SetArg); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				ev.Effects, ev.Reply = ev.Effects[:0], nil
				if err := ev.Spec.Handle(b.Context(), ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// phone has one session.
type phone struct{}

func (phone) Direct(*event.Envelope, string, string) int { return 1 }
