package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
)

// TestPluginTimersHoldNobodyUp: the timers that an event sets are nothing that its partition
// waits for. Here nobody can change timers for as long as another tenant's users go on.
func TestPluginTimersHoldNobodyUp(t *testing.T) {
	r := newRaid(t, "sequence.partitions=1")
	caps := unhurried + "capabilities: [timers]\n"
	var sets raw
	for i := range hostapi.MaxActions {
		sets.Actions = append(sets.Actions, hostapi.Action{Kind: hostapi.SetTimer, A: fmt.Appendf(nil, "t%d", i), C: []byte("{}"), Number: 3600_000})
	}
	r.placed(t, "sets", sets.Module(), caps+binding("sets"))
	c, g := r.open(t, dial{user: "tim"}), r.open(t, dial{tenant: "globex", user: "gia"})
	defer c.drop()
	defer g.drop()
	c.do("room:join", "channel:sets", "{}")
	g.do("room:join", "channel:calm", "{}")
	timers := func() float64 { return r.counted("heddle_plugin_timers", nil) }
	c.send1("channel:sets", "1", "go")
	eventually(t, "they are set", func() bool { return timers() == hostapi.MaxActions })

	held, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(release); <-over })
	defer free()
	holds := sync.OnceFunc(func() { close(held) })
	go func() { // ends with free
		defer close(over)
		r.app.plugins.timers.Unload(func(string, string) bool {
			holds()
			<-release
			return false
		})
	}()
	<-held
	for i := range 5 {
		c.send1("channel:sets", fmt.Sprint("again", i), "go")
		g.send1("channel:calm", fmt.Sprint("calm", i), "as ever")
	}
	free()
	r.acme.must("DELETE", "plugins/sets", "")
	eventually(t, "none is left", func() bool { return timers() == 0 })
	r.calm(t)
}

// TestPluginRequestsAreBounded: requests beyond what a plugin may send fail the call that
// wants them, as emits do. So those that are refused, and come back as responses, cannot feed
// more.
func TestPluginRequestsAreBounded(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.http_per_second=0.01") // one, and then none for this test
	ask := hostapi.Action{Kind: hostapi.HTTP, A: []byte("GET https://elsewhere.example.com/"), D: []byte("x")}
	caps := unhurried + "capabilities: [http]\nhosts: [api.example.com]\n"
	r.placed(t, "asks", raw{Actions: []hostapi.Action{ask}}.Module(), caps+binding("asks"))
	many := raw{}
	for range hostapi.MaxActions {
		many.Actions = append(many.Actions, ask)
	}
	r.placed(t, "many", many.Module(), caps+binding("many"))
	c := r.open(t, dial{user: "eve"})
	defer c.drop()
	for _, room := range []string{"asks", "many"} {
		c.do("room:join", "channel:"+room, "{}")
		for i := range 5 {
			id := fmt.Sprint(room, i)
			c.text(envelope("message:send", "channel:"+room, id, `{"text":"x"}`))
			if e := c.answer(id); (e.Type == "ack") != (id == "asks0") {
				t.Error(e.js)
			}
		}
	}
	eventually(t, "its response wants more", func() bool { return r.failures("asks", "action") == 5 })
	if n := r.counted("heddle_plugin_requests_total", nil); n != 1 {
		t.Errorf("%v requests are counted, want the one that was paid for", n)
	}
	for _, name := range []string{"asks", "many"} {
		if log := r.logs(t, name); !strings.Contains(log, "http: the plugin sends more requests a second than it may") || strings.Count(log, "\n") > 20 {
			t.Errorf("%s: %s", name, log)
		}
	}
	r.calm(t)
}

// TestPluginEmitsBeyondAQueue: an event with more durable emits than a partition's queue
// holds is stored whole.
func TestPluginEmitsBeyondAQueue(t *testing.T) {
	r := newRaid(t, "sequence.partitions=1", "sequence.queue_len=16")
	g := emits("note:taken", "channel:notes", hostapi.EmitDurable)
	for len(g.Actions) < hostapi.MaxActions {
		g.Actions = append(g.Actions, g.Actions[0])
	}
	r.placed(t, "notes", g.Module(), unhurried+"capabilities: [emit]\n"+binding("notes"))
	c := r.open(t, dial{user: "eve"})
	defer c.drop()
	c.do("room:join", "channel:notes", "{}")
	r.peace(t, 5, func() { c.send1("channel:notes", "1", "x") })
	if n := len(r.records("acme", "channel:notes")); n != 1+hostapi.MaxActions {
		t.Errorf("%d events in the room, want the message and %d emits", n, hostapi.MaxActions)
	}
	r.calm(t)
}

// TestPluginRouteMeetsFilters: an event that a plugin routes comes past the plugins that are
// bound to the room where it goes, whether they are asked before that one or behind it, and
// also if it is the owner of the event's action.
func TestPluginRouteMeetsFilters(t *testing.T) {
	r := newRaid(t)
	router := raw{Actions: []hostapi.Action{{Kind: hostapi.Route, A: []byte("channel:shut")}}}
	shuts := raw{Actions: []hostapi.Action{{Kind: hostapi.Drop, A: []byte("nobody gets in here")}}}
	caps := unhurried + "capabilities: [emit]\n"
	r.placed(t, "m-router", router.Module(), caps+`bindings: [{rooms: ["channel:open"]}]`)
	r.placed(t, "m-owner", router.Module(), caps+`actions: [{name: "parcel:send", durable: true}]`)
	c := r.open(t, dial{user: "rob"})
	defer c.drop()
	for _, room := range []string{"open", "shut"} {
		c.do("room:join", "channel:"+room, "{}")
	}
	stored := func() int { return len(r.records("acme", "channel:shut")) }
	for i, action := range []string{"message:send", "parcel:send"} {
		c.text(envelope(action, "channel:open", "free"+action, `{"text":"x"}`))
		if e := c.answer("free" + action); e.Type != "ack" || stored() != i+1 {
			t.Fatalf("%s, %d events are there", e.js, stored())
		}
	}
	for _, filter := range []string{"a-filter", "z-filter"} {
		r.placed(t, filter, shuts.Module(), unhurried+`bindings: [{rooms: ["channel:shut"]}]`+"\nfailure: closed\n")
		for _, action := range []string{"message:send", "parcel:send"} {
			c.text(envelope(action, "channel:open", filter+action, `{"text":"x"}`))
			if e := c.answer(filter + action); e.Payload.Data.Code != "forbidden" || stored() != 2 {
				t.Errorf("%s %s: %s, %d events are there", filter, action, e.js, stored())
			}
		}
		if n := r.counted("heddle_plugin_events_total", map[string]string{"plugin": filter}); n != 2 {
			t.Errorf("%s was asked %v times, want once for each", filter, n)
		}
		r.acme.must("DELETE", "plugins/"+filter, "")
	}
	r.calm(t)
}
