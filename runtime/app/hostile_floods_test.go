package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// TestHostileLogs: a guest that logs on and on is cut off and counted, takes no more of
// the node than its lines are kept, and cannot hide why it fails.
func TestHostileLogs(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.logs_per_second=20")
	spam := raw{Imports: []string{"log"}, Text: strings.Repeat("spam ", 800), Batch: wat{}.Times(900, 2, wat{}.I32(1, guesttest.TextAt, 40).Call(0)).I32(0)}
	wide := raw{Imports: []string{"log"}, Pages: 20, Batch: wat{}.I32(1, 0, 64<<10).Call(0).I32(0)}
	traps := spam
	traps.Batch = slices.Clone(spam.Batch[:len(spam.Batch)-2]).Op(wasm.OpUnreachable)
	r.peace(t, 20, func() {
		r.placed(t, "spam", spam.Module(), unhurried+binding("spam"))
		r.placed(t, "wide", wide.Module(), "limits: {timeout: 10s, start: 60s, logs: 64KiB}\n"+binding("wide"))
		r.placed(t, "traps", traps.Module(), unhurried+binding("traps"))
		c := r.open(t, dial{user: "log"})
		defer c.drop()
		for _, room := range []string{"spam", "wide", "traps"} {
			c.do("room:join", "channel:"+room, "{}")
			for i := range 30 {
				c.text(envelope("message:send", "channel:"+room, fmt.Sprint(room, i), `{"text":"x"}`))
				if e := c.answer(fmt.Sprint(room, i)); (e.Type == "ack") == (room == "traps") {
					t.Errorf("%s: %s", room, e.js)
				}
			}
		}
	})
	for name, most := range map[string]int{"spam": 500 * 50, "wide": 100 * 5000, "traps": 500 * 2000} {
		log := r.logs(t, name)
		if len(log) > most || len(log) == 0 {
			t.Errorf("%s: its log has %d bytes", name, len(log))
		}
		if name == "traps" && !strings.Contains(log, "failed (code): unreachable") {
			t.Errorf("nobody finds why it fails in %.300s", log)
		}
		if n := r.counted("heddle_plugin_logs_dropped_total", map[string]string{"plugin": name}); n == 0 && name != "wide" {
			t.Errorf("%s: no line that was dropped is counted", name)
		}
	}
	r.calm(t)
}

// emits is a guest that emits an event, of the action that it is given, about each event
// that it is asked about.
func emits(action, room string, flags uint32) raw {
	return raw{Actions: []hostapi.Action{{Kind: hostapi.Emit, A: []byte(room), B: []byte(action), C: []byte(`{"text":"again"}`), Flags: flags}}}
}

// TestHostileEmits: no plugin is asked about what plugins emit, so that emits cannot feed
// each other: neither over each other's bindings and own actions, nor by hook after.
func TestHostileEmits(t *testing.T) {
	r := newRaid(t)
	caps := unhurried + "capabilities: [emit]\n"
	r.peace(t, 20, func() {
		r.placed(t, "ping", emits("message:send", "channel:pong", hostapi.EmitDurable).Module(), caps+`bindings: [{rooms: ["channel:ping"]}, {hooks: [after], rooms: ["channel:ping"]}]`)
		r.placed(t, "pong", emits("message:send", "channel:ping", hostapi.EmitDurable).Module(), caps+`bindings: [{rooms: ["channel:pong"]}, {hooks: [after], rooms: ["channel:pong"]}]`)
		r.placed(t, "self", emits("message:send", "channel:self", hostapi.EmitDurable).Module(), caps+`bindings: [{rooms: ["channel:self"]}, {hooks: [after], rooms: ["channel:self"]}]`)
		r.placed(t, "own", emits("own:do", "channel:own", hostapi.EmitDurable).Module(), caps+"bindings: [{actions: [\"own:*\"]}, {hooks: [after], actions: [\"own:*\"]}]\nactions: [{name: \"own:do\", durable: true}]\n")
		c := r.open(t, dial{user: "eve"})
		defer c.drop()
		for room, action := range map[string]string{"ping": "message:send", "self": "message:send", "own": "own:do"} {
			c.do("room:join", "channel:"+room, "{}")
			c.text(envelope(action, "channel:"+room, "1"+room, `{"text":"x"}`))
			if e := c.answer("1" + room); e.Type != "ack" {
				t.Error(e.js)
			}
		}
	})
	// The event, what the binding emits, and what hook after does; of the own action, for
	// which it is asked twice, one more.
	for room, want := range map[string]int{"ping": 1, "pong": 2, "self": 3, "own": 4} {
		eventually(t, room+" is done", func() bool { return len(r.records("acme", "channel:"+room)) >= want })
	}
	for plugin, want := range map[string]float64{"ping": 2, "pong": 0, "self": 2, "own": 3} {
		if n := r.counted("heddle_plugin_events_total", map[string]string{"plugin": plugin}); n != want {
			t.Errorf("%s was asked %v times, not %v", plugin, n, want)
		}
	}
	r.peace(t, 20)
	for room, want := range map[string]int{"ping": 1, "pong": 2, "self": 3, "own": 4} {
		if n := len(r.records("acme", "channel:"+room)); n != want {
			t.Errorf("%d events in %s, not %d", n, room, want)
		}
	}
	r.calm(t)
}

// rearms is a guest that sets n timers at once whenever it is called, by any hook.
func rearms(n int) raw {
	var all []hostapi.Action
	for i := range n {
		all = append(all, hostapi.Action{Kind: hostapi.SetTimer, A: fmt.Appendf(nil, "t%d", i), C: []byte("{}")})
	}
	return raw{Actions: all}
}

// counting has a guest count its calls in a metric of its own, and spin for a while, before it
// does as it says.
func counting(rounds int64, r raw) raw {
	r.Imports = append([]string{"metric"}, r.Imports...)
	r.Text = "calls"
	size := int64(0)
	for i := range r.Actions {
		size += int64(r.Actions[i].Size())
	}
	r.Batch = wat{}.I32(0, guesttest.TextAt, 5).F64(0x3ff0000000000000).Call(0).Op(wasm.OpDrop).Times(rounds, 2, nil).I32(size)
	return r
}

// TestHostileTimers: timers that set timers at once go on for as long as the plugin is
// there, and delay nobody else's.
func TestHostileTimers(t *testing.T) {
	r := newRaid(t)
	caps := unhurried + "capabilities: [timers, emit]\n"
	r.placed(t, "rearm", counting(20_000_000, rearms(hostapi.MaxActions)).Module(), caps+binding("rearm"))
	if s := r.put(t, "globex", "bell", ringer().Module(), caps+"bindings: [{hooks: [request]}]\n"); s.status != http.StatusCreated {
		t.Fatal(s.js)
	}
	c := r.open(t, dial{user: "tim"})
	defer c.drop()
	c.do("room:join", "channel:rearm", "{}")
	r.peace(t, 5, func() {
		c.send1("channel:rearm", "1", "go")
		eventually(t, "they fire", func() bool { return r.own("rearm", "calls") > 5 })
		// A request has globex's plugin set a timer.
		for i := range 5 {
			before := r.own("rearm", "calls")
			resp, err := http.Post("http://"+r.app.Addr().String()+"/hooks/globex/bell", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			eventually(t, "globex's timer fires", func() bool { return len(r.records("globex", "channel:bell")) > i })
			if n := r.own("rearm", "calls") - before; n > 100 {
				t.Errorf("globex's timer waited for %v of acme's", n)
			}
		}
	})
	if n := r.counted("heddle_plugin_timers", nil); n > hostapi.MaxActions+1 {
		t.Errorf("%v timers are set", n)
	}
	if n := r.counted("heddle_plugin_timers_total", map[string]string{"result": "fired"}); n < 5 {
		t.Errorf("%v are counted", n)
	}
	r.calm(t)
}

// ringer sets a timer when it is asked, and emits when it fires. A record's hook is at
// byte 6.
func ringer() raw {
	set := hostapi.Action{Kind: hostapi.SetTimer, A: []byte("bell"), C: []byte("{}"), Number: 1}
	ring := hostapi.Action{Kind: hostapi.Emit, A: []byte("channel:bell"), B: []byte("bell:rings"), C: []byte("{}"), Flags: hostapi.EmitDurable}
	return byHook(map[hostapi.Hook]hostapi.Action{hostapi.HookRequest: set, hostapi.HookTimer: ring})
}

// byHook does one thing for each hook. The action is copied to the output from guesttest.TextAt.
func byHook(does map[hostapi.Hook]hostapi.Action) raw {
	var r raw
	var text []byte
	body := wat{}
	for hook, a := range does {
		b := make([]byte, a.Size())
		a.Put(b)
		at := int64(guesttest.TextAt + len(text))
		text = append(text, b...)
		body = body.I32(guesttest.InAt+8).With(0x2d, 0, 6).I32(int64(hook)).Op(guesttest.OpI32Eq).
			When(wat{}.I32(guesttest.OutAt+8, at, int64(len(b))).With(wasm.OpMemoryCopy, 0, 0).I32(int64(len(b))).Op(wasm.OpReturn))
	}
	r.Text, r.Batch = string(text), body.I32(0)
	return r
}

// TestHostileBehind: hooks that no event waits for, of a tenant that has many of them and
// is slow, keep nobody else's from being called.
func TestHostileBehind(t *testing.T) {
	r := newRaid(t)
	slow := counting(20_000_000, raw{})
	r.placed(t, "slow", slow.Module(), unhurried+"bindings: [{hooks: [after], rooms: [\"channel:slow\"]}]\n")
	if s := r.put(t, "globex", "ear", counting(1, raw{}).Module(), unhurried+"bindings: [{hooks: [after], rooms: [\"channel:heard\"]}]\n"); s.status != http.StatusCreated {
		t.Fatal(s.js)
	}
	c := r.open(t, dial{user: "sam"})
	defer c.drop()
	g := r.open(t, dial{tenant: "globex", user: "gil"})
	defer g.drop()
	c.do("room:join", "channel:slow", "{}")
	g.do("room:join", "channel:heard", "{}")
	const flood = 3000
	r.peace(t, 5, func() {
		for i := range flood {
			c.text(envelope("message:send", "channel:slow", fmt.Sprint(i), `{"text":"x"}`))
			if i%100 == 99 {
				c.answer(fmt.Sprint(i))
			}
		}
		eventually(t, "too many wait", func() bool { return r.counted("heddle_plugin_hooks_missed_total", nil) > 0 })
		for i := range 20 {
			g.send1("channel:heard", fmt.Sprint(i), "x")
			eventually(t, "globex's hook is called", func() bool {
				return r.counted("heddle_plugin_own_total", map[string]string{"tenant": "globex", "name": "calls"}) == float64(i+1)
			})
		}
	})
	if n := r.own("slow", "calls"); n >= flood {
		t.Errorf("it was over before: %v", n)
	}
	r.calm(t)
}

// TestHostileDoor: a plugin that is slow about who connects and joins keeps no other
// tenant's users waiting.
func TestHostileDoor(t *testing.T) {
	r := newRaid(t)
	// A call lasts much longer than the turns that others' goroutines wait for, also where
	// they have one processor together.
	r.placed(t, "door", raw{Batch: wat{}.Times(1_000_000_000, 2, nil).I32(0)}.Module(), "limits: {timeout: 10s, start: 60s, fuel: 10000000000}\nbindings: [{hooks: [connect, join]}]\n")
	const crowd = 60
	all := make([]*client, crowd)
	for i := range all {
		c := r.connect(t, dial{user: fmt.Sprint("u", i)})
		all[i] = c
		c.text(envelope("session:open", "", "o", "{}"))
	}
	asked := func() float64 { return r.counted("heddle_plugin_events_total", map[string]string{"plugin": "door"}) }
	eventually(t, "the door is asked", func() bool { return asked() > 0 })
	g := r.open(t, dial{tenant: "globex", user: "gia"})
	g.do("room:join", "channel:calm", "{}")
	g.drop()
	calls := r.counted("heddle_plugin_calls_total", map[string]string{"plugin": "door"})
	eventually(t, "one of the crowd is counted as too many", func() bool { return r.failures("door", "busy") > 0 })
	for _, c := range all {
		c.drop()
	}
	t.Logf("%v of %d were asked about in %v calls when globex was in", asked(), crowd, calls)
	if calls > 10 {
		t.Errorf("globex waited for %v calls of acme's", calls)
	}
	r.acme.must("DELETE", "plugins/door", "")
	r.calm(t)
}

// TestHostileStore: what plugins keep is bounded for the tenant, and calls are undone
// whole.
func TestHostileStore(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.storage=256KiB")
	// 60 KiB under a key that is the event's sequence number.
	body := wat{}.I32(guesttest.TextAt).I32(guesttest.InAt+8).With(0x28, 2, 16).With(0x36, 2, 0). // the key: a record's sequence
													I32(guesttest.TextAt, 4, 0, 60<<10).I64(0).Call(0).With(wasm.OpLocalTee, 2).I32(int64(hostapi.Quota)).Op(guesttest.OpI32Eq).
													When(wat{}.I32(3, guesttest.TextAt+8, 17).Call(1).Op(wasm.OpUnreachable)).I32(0)
	guest := raw{Imports: []string{"kv_put", "log"}, Text: "\x00\x00\x00\x00\x00\x00\x00\x00the store is full", Batch: body}
	caps := unhurried + "capabilities: [kv]\n"
	r.peace(t, 20, func() {
		for _, name := range []string{"hoard", "other"} { // it is the tenant's, not the plugin's
			r.placed(t, name, guest.Module(), caps+binding(name))
			c := r.open(t, dial{user: name})
			defer c.drop()
			c.do("room:join", "channel:"+name, "{}")
			failed := 0
			for i := range 10 {
				c.text(envelope("message:send", "channel:"+name, fmt.Sprint(i), `{"text":"x"}`))
				if e := c.answer(fmt.Sprint(i)); e.Type != "ack" {
					failed++
				}
			}
			if want := map[string]int{"hoard": 6, "other": 10}[name]; failed != want || r.failures(name, "code") != float64(want) {
				t.Errorf("%s: %d have failed, %v are counted", name, failed, r.failures(name, "code"))
			}
			if log := r.logs(t, name); !strings.Contains(log, "the store is full") {
				t.Error(log)
			}
		}
	})
	r.calm(t)
}

// TestHostileBreaker: a plugin that fails on every event is left alone for a while, and
// asked again; its manifest decides about the events; and what was kept is replayed when
// a good version is there.
func TestHostileBreaker(t *testing.T) {
	r := newRaid(t, "plugins.run.break_from=5", "plugins.run.break_for=50ms")
	bad := raw{Batch: wat{}.Op(wasm.OpUnreachable)}
	opened := func(name string) float64 {
		return r.counted("heddle_plugin_breakers_total", map[string]string{"plugin": name})
	}
	r.peace(t, 20, func() {
		for _, failure := range []string{"closed", "open", "dead_letter"} {
			name := strings.ReplaceAll(failure, "_", "-")
			r.placed(t, name, bad.Module(), unhurried+binding(name)+"failure: "+failure+"\n")
			c := r.open(t, dial{user: name})
			defer c.drop()
			c.do("room:join", "channel:"+name, "{}")
			codes := map[string]int{}
			for i := 0; i < 30 || opened(name) < 2; i++ {
				id := fmt.Sprint(name, i)
				c.text(envelope("message:send", "channel:"+name, id, `{"text":"`+id+`"}`))
				e := c.answer(id)
				codes[e.Type+e.Payload.Data.Code]++
				if i > 100000 {
					t.Fatal("it opens no second time")
				}
			}
			switch {
			case failure == "closed" && (codes["errorplugin_failed"] < 5 || codes["erroroverloaded"] < 5 || len(codes) != 2),
				failure == "open" && len(codes) != 1 && codes["ack"] == 0,
				failure == "dead_letter" && (codes["errorplugin_failed"] < 30 || len(codes) != 1):
				t.Errorf("%s: %v", failure, codes)
			}
			if r.failures(name, "code") < 5 || r.failures(name, "broken") < 5 {
				t.Errorf("%s: %v and %v are counted", failure, r.failures(name, "code"), r.failures(name, "broken"))
			}
			if log := r.logs(t, name); !strings.Contains(log, "failed (code): unreachable") {
				t.Errorf("%s: %s", failure, log)
			}
			// A good version is asked at once.
			r.placed(t, name, raw{}.Module(), unhurried+binding(name))
			before := len(r.records("acme", "channel:"+name))
			c.send1("channel:"+name, name+"good", "good")
			if n := len(r.records("acme", "channel:"+name)); n != before+1 {
				t.Errorf("%s: %d events, %d before", failure, n, before)
			}
			if failure == "dead_letter" {
				r.replays(t, name, codes["errorplugin_failed"])
			}
		}
	})
	r.calm(t)
}

// replays has the letters of a room run again, once.
func (r *raid) replays(t *testing.T, name string, want int) {
	t.Helper()
	letters := r.letters("?tenant=acme&limit=1000").Letters
	if len(letters) != min(want, 1000) || letters[0].Code != "plugin_failed" || !strings.Contains(letters[0].Reason, "unreachable") {
		t.Fatalf("%d letters of %d: %+v", len(letters), want, letters[:1])
	}
	letters = letters[:30]
	for _, l := range letters {
		for _, status := range []int{http.StatusOK, http.StatusNotFound} {
			if a := r.tell("POST", "/deadletters/"+l.ID+"/replay"); a.status != status {
				t.Errorf("replay: %+v, want %d", a, status)
			}
		}
	}
	seen := map[string]int{}
	for _, e := range r.records("acme", "channel:"+name) {
		var data struct{ Text string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		seen[data.Text]++
	}
	for _, l := range letters {
		if seen[l.EventID] != 1 {
			t.Errorf("%s is there %d times", l.EventID, seen[l.EventID])
		}
	}
}
