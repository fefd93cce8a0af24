package app

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

const unhurried = "limits: {timeout: 10s, start: 60s}\n"

// lie is a guest whose output is one action, changed.
func lie(change func(b []byte) []byte) raw {
	a := hostapi.Action{Kind: hostapi.Replace, A: []byte(`{"text":"a lie"}`)}
	b := make([]byte, a.Size())
	a.Put(b)
	b = change(b)
	return raw{Change: func(m *wasm.Module) {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: wat{}.I32(guesttest.OutAt + hostapi.ArenaHeader)}, Bytes: b})
	}, Batch: wat{}.I32(int64(len(b)))}
}

// word has the 32 bits at an offset of an action be others.
func word(at int, value uint32) raw {
	return lie(func(b []byte) []byte {
		copy(b[at:], []byte{byte(value), byte(value >> 8), byte(value >> 16), byte(value >> 24)})
		return b
	})
}

// half is word for 16 bits.
func half(at int, value uint16) raw {
	return lie(func(b []byte) []byte {
		copy(b[at:], []byte{byte(value), byte(value >> 8)})
		return b
	})
}

// TestHostileOutput: what guests say is not believed.
func TestHostileOutput(t *testing.T) {
	r := newRaid(t)
	bad := func(guest raw, log string) attack { return attack{guest, unhurried, "output", log} }
	const all = ^uint32(0)
	r.holds(t, map[string]attack{
		"as long as its arena":      bad(raw{Batch: wat{}.I32(guesttest.OutCap)}, "size 0 is none of an action"),
		"longer than its arena":     bad(raw{Batch: wat{}.I32(guesttest.OutCap + 1)}, "the output is said to have 32769 bytes, its arena has 32768"),
		"longer than is permitted":  {raw{Batch: wat{}.I32(2000)}, "limits: {timeout: 10s, start: 60s, output: 1KiB}\n", "output", "the output has 2000 bytes, 1024 are permitted"},
		"longer than the memory":    bad(raw{Batch: wat{}.I32(1 << 30)}, "the output has 1073741824 bytes, 262144 are permitted"),
		"of a negative length":      {raw{Batch: wat{}.I32(-1 << 31)}, unhurried, "status", "heddle_batch answered unknown"},
		"cut off":                   bad(lie(func(b []byte) []byte { return b[:hostapi.ActionSize-8] }), "the last action is cut off"),
		"an action too long":        bad(word(0, 1000), "size 1000 is more than the 72 bytes that are left"),
		"an action that wraps":      bad(word(0, all-7), "bytes that are left"),
		"an action of no size":      bad(word(0, 0), "size 0 is none of an action"),
		"an action too short":       bad(word(0, 48), "size 48 is none of an action"),
		"an action not aligned":     bad(word(0, 57), "size 57 is none of an action"),
		"one byte too many":         bad(lie(func(b []byte) []byte { return append(b, 0) }), "the last action is cut off"),
		"no kind":                   bad(half(4, 0), "there is no action 0"),
		"an unknown kind":           bad(half(4, 11), "there is no action 11"),
		"the largest kind":          bad(half(4, 0xffff), "there is no action 65535"),
		"a record too many":         bad(half(6, 1), "record 1 of 1"),
		"the largest record":        bad(half(6, 0xffff), "record 65535 of 1"),
		"a reference into the head": bad(word(24, 8), "reference a lies outside of the action"),
		"a reference behind":        bad(word(24, 64), "reference a lies outside of the action"),
		"a reference to the input":  bad(word(24, guesttest.InAt), "reference a lies outside of the action"),
		"a reference that wraps":    bad(lie(func(b []byte) []byte { copy(b[24:], bytes.Repeat([]byte{0xff}, 8)); return b }), "reference a lies outside"),
		"a negative offset":         bad(word(24, all), "reference a lies outside of the action"),
		"a negative length":         bad(word(28, all), "reference a lies outside of the action"),
		"the last reference":        bad(lie(func(b []byte) []byte { copy(b[48:], []byte{0, 1, 0, 0, 1}); return b }), "reference d lies outside of the action"),
		"no payload":                {word(28, 0), unhurried, "action", "replace: the action does not take this payload"},
	})
}

// TestHostileArenas: a guest whose buffers cannot be, or that speaks another version,
// is not deployed, and the answer says why.
func TestHostileArenas(t *testing.T) {
	r := newRaid(t)
	at := func(in, out int64) wat { return wat{}.I64(in | out<<32) }
	capacity := func(n uint32) raw { return raw{Out: guesttest.OutAt, OutCap: n} }
	r.peace(t, 20, func() {
		for name, c := range map[string]struct {
			guest raw
			want  string
		}{
			"beyond the memory":     {raw{Buffers: at(guesttest.InAt, 1<<16)}, "an arena at 65536"},
			"at the memory's end":   {raw{Buffers: at(guesttest.InAt, 1<<16-8)}, "an arena at 65528 with 0 bytes cannot be"},
			"at the highest":        {raw{Buffers: at(guesttest.InAt, 0xfffffff8)}, "an arena at 4294967288"},
			"negative":              {raw{Buffers: wat{}.I64(-1)}, "an arena at 4294967295"},
			"not aligned":           {raw{Buffers: at(guesttest.InAt+4, guesttest.OutAt)}, "an arena at 4100"},
			"one for both":          {raw{Buffers: at(guesttest.InAt, guesttest.InAt)}, "the arenas overlap"},
			"no capacity":           {raw{Buffers: at(guesttest.TextAt, guesttest.OutAt)}, "an arena at 64 with 0 bytes cannot be"},
			"too small":             {capacity(4095), "with 4095 bytes cannot be"},
			"to behind the memory":  {capacity(1<<16 - guesttest.OutAt - 8 + 1), "an arena at 24576"},
			"more than there is":    {capacity(^uint32(0)), "an arena at 24576"},
			"over the input":        {raw{Out: guesttest.InAt + 8192, OutCap: 8192}, "the arenas overlap"},
			"an older version":      {raw{ABI: wat{}.I32(0)}, "version 0 of the contract, this node speaks 1"},
			"a newer version":       {raw{ABI: wat{}.I32(2)}, "version 2 of the contract, this node speaks 1"},
			"a negative version":    {raw{ABI: wat{}.I32(-1)}, "version 4294967295 of the contract"},
			"init says no":          {raw{Init: wat{}.I32(-7)}, "heddle_init: it answered failed; its log may say why"},
			"init traps":            {raw{Init: wat{}.Op(wasm.OpUnreachable)}, "heddle_init: guest: unreachable"},
			"init answers nonsense": {raw{Init: wat{}.I32(77)}, "heddle_init: it answered unknown"},
			"a large config":        {raw{}, "config has 20"},
		} {
			more := binding("liar")
			if name == "a large config" {
				more += `config: '{"x": "` + strings.Repeat("x", 20000) + "\"}'\n"
			}
			s := r.put(t, "acme", "liar", c.guest.Module(), more)
			if s.status != http.StatusBadRequest || s.Code != "invalid" || s.Field != "bundle" || !strings.Contains(s.Message, c.want) {
				t.Errorf("%s: %d %s", name, s.status, s.js)
			}
		}
	})
	if n := r.counted("heddle_plugin_deploys_total", map[string]string{"result": "refused"}); n != 18 {
		t.Errorf("%v refused deploys are counted", n)
	}
	r.calm(t)
}

// TestHostileWords: actions that are well-formed and want what must not be.
func TestHostileWords(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.emits_per_second=5")
	bad := func(log string, actions ...hostapi.Action) attack {
		return attack{raw{Actions: actions}, unhurried + "capabilities: [emit, http, timers]\nhosts: [api.example.com]\n", "action", log}
	}
	mean := func(a attack) attack { a.manifest = unhurried; return a }
	emit := func(room, action, data, device string) hostapi.Action {
		return hostapi.Action{Kind: hostapi.Emit, A: []byte(room), B: []byte(action), C: []byte(data), D: []byte(device)}
	}
	durable := emit("live:1", "x:y", "{}", "")
	durable.Flags = hostapi.EmitDurable
	attr := func(name, value string) hostapi.Action {
		return hostapi.Action{Kind: hostapi.SetAttr, A: []byte(name), B: []byte(value)}
	}
	text := func(k hostapi.ActionKind, a string) hostapi.Action { return hostapi.Action{Kind: k, A: []byte(a)} }
	long := strings.Repeat("x", 17<<10)
	r.holds(t, map[string]attack{
		"an attribute too large":     bad("set_attr: attributes of more than 16384 bytes", attr("a", `"`+long+`"`)),
		"attributes too large":       bad("set_attr: attributes of more than 16384 bytes", attr("a", `"`+long[:9000]+`"`), attr("b", `"`+long[:9000]+`"`)),
		"an attribute not read":      bad("set_attr: attributes of more than 16384 bytes", attr("a", `"`+long)),
		"an attribute no json":       bad("set_attr: \"a\" is no name, or its value is not JSON", attr("a", `{"x":`)),
		"an attribute of two values": bad("its value is not JSON", attr("a", `1 2`)),
		"an attribute of nothing":    bad("its value is not JSON", attr("a", ``)),
		"an attribute no name":       bad("is no name", attr("", `1`)),
		"an attribute long name":     bad("is no name", attr(long[:33], `1`)),
		"an attribute odd name":      bad("is no name", attr("a\"b", `1`)),
		"a reply":                    bad("reply: nobody waits for one at hook before", text(hostapi.Reply, "{}")),
		"a payload no json":          bad("replace: the action does not take this payload", text(hostapi.Replace, "{")),
		"a payload not its":          bad("replace: the action does not take this payload", text(hostapi.Replace, `{"text":1}`)),
		"a route to nowhere":         bad("route: \"nowhere\" is no room", text(hostapi.Route, "nowhere")),
		"a route to no type":         bad("route: ", text(hostapi.Route, "none:1")),
		"a route of long name":       bad("is no room", text(hostapi.Route, "channel:"+long)),
		"a route not granted":        mean(bad("route: the manifest does not ask for the capability emit", text(hostapi.Route, "channel:calm"))),
		"an emit not granted":        mean(bad("emit: the manifest does not ask for the capability emit", emit("channel:calm", "x:y", "{}", ""))),
		"an http not granted":        mean(bad("http: the manifest does not ask for the capability http", text(hostapi.HTTP, "GET https://api.example.com/"))),
		"a timer not granted":        mean(bad("set_timer: the manifest does not ask for the capability timers", text(hostapi.SetTimer, "t"))),
		"a cancel not granted":       mean(bad("cancel_timer: the manifest does not ask for the capability timers", text(hostapi.CancelTimer, "t"))),
		"an emit of a builtin":       bad("is no action that a plugin emits", emit("channel:calm", "room:delete", "{}", "")),
		"an emit of a session":       bad("is no action that a plugin emits", emit("channel:calm", "session:open", "{}", "")),
		"an emit of no action":       bad("is no action that a plugin emits", emit("channel:calm", "xy", "{}", "")),
		"an emit no json":            bad("the payload of x:y is not a JSON object", emit("channel:calm", "x:y", "[", "")),
		"an emit to nowhere":         bad("emit: \"\" is no room", emit("", "x:y", "{}", "")),
		"an emit kept nowhere":       bad("keep no stream", durable),
		"an emit to a device":        bad("is no user's own room", emit("channel:calm", "x:y", "{}", "phone")),
		"a drop of no code":          bad("drop: there is no code 9", hostapi.Action{Kind: hostapi.Drop, Code: 9}),
	})
	var floods []hostapi.Action
	for i := range 200 {
		floods = append(floods, emit("channel:flood", "x:y", fmt.Sprintf(`{"i":%d}`, i), ""))
	}
	r.holds(t, map[string]attack{"a flood of emits": bad("emit: the plugin sends more events a second than it may", floods...)})
	if n := len(r.records("acme", "channel:flood")); n != 0 {
		t.Errorf("%d of the flood are stored", n)
	}
}

// TestHostileReplies: what answers carry is bounded, and JSON.
func TestHostileReplies(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.emits_per_second=1000")
	huge := []byte(`{"x":"` + strings.Repeat("x", 300<<10) + `"}`)
	reply := func(b []byte) raw {
		return raw{Pages: 32, Out: 1 << 16, OutCap: 1 << 20, Actions: []hostapi.Action{{Kind: hostapi.Reply, A: b}}}
	}
	r.peace(t, 20, func() {
		for name, c := range map[string]struct {
			guest  raw
			reason string
			want   string
		}{
			"huge":      {reply(huge), "action", "reply: want a JSON object of at most 262144 bytes"},
			"no-json":   {reply([]byte(`{"x":`)), "action", "reply: want a JSON object"},
			"no-object": {reply([]byte(`[1]`)), "action", "reply: want a JSON object"},
			"empty":     {reply(nil), "action", "reply: want a JSON object"},
		} {
			action := strings.ReplaceAll(name, "-", "") + ":do"
			r.placed(t, name, c.guest.Module(), "limits: {timeout: 10s, start: 60s, output: 1MiB}\nactions: [{name: \""+action+"\", no_room: true}]\n")
			c1 := r.open(t, dial{user: "rex"})
			defer c1.drop()
			c1.do("room:join", "channel:x", "{}")
			if e := c1.says(action, "1", "{}"); e.Payload.Data.Code != "plugin_failed" {
				t.Errorf("%s: %s", name, e.js)
			}
			if log := r.logs(t, name); !strings.Contains(log, c.want) {
				t.Errorf("%s: %q", name, log)
			}
			if n := r.failures(name, c.reason); n != 1 {
				t.Errorf("%s: %v are counted", name, n)
			}
		}
	})
	r.calm(t)
}

// TestHostileManyWords: an event may want so many actions, and what the node does with them is
// their tenant's to pay, though its guest does nothing: a neighbour has its part meanwhile.
func TestHostileManyWords(t *testing.T) {
	r := newRaid(t)
	const page = 1 << 16
	attr := hostapi.Action{Kind: hostapi.SetAttr, A: []byte("a"), B: []byte("1")}
	wants := func(n int, a hostapi.Action, more ...hostapi.Action) raw {
		return raw{Pages: 20, Out: page, OutCap: 1 << 20, Actions: append(slices.Repeat([]hostapi.Action{a}, n), more...)}
	}
	large := "limits: {timeout: 10s, start: 60s, output: 1MiB}\n"
	r.holds(t, map[string]attack{
		"too many":       {wants(hostapi.MaxActions+1, attr), large, "output", "the output has more than 256 actions about one event"},
		"as many as may": {wants(hostapi.MaxActions, attr), large, "", ""},
		"one large":      {wants(1, hostapi.Action{Kind: hostapi.SetAttr, A: []byte("a"), B: bytes.Repeat([]byte("x"), 1<<20-100)}), large, "action", "set_attr: attributes of more than 16384 bytes"},
	})
	b := r.bystander(t, "globex", "nora", "channel:calm")
	defer b.drop()
	rounds := func() time.Duration {
		var all []time.Duration
		for range 50 {
			began := time.Now()
			b.goOn()
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	usual := max(rounds(), rounds())
	text := hostapi.Action{Kind: hostapi.Replace, A: fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 4000))}
	silent := hostapi.Action{Kind: hostapi.Drop, Code: uint32(hostapi.DropSilently)} // what others hear is not what is looked at here
	r.placed(t, "many", wants(hostapi.MaxActions-1, text, silent).Module(), large+binding("many"))
	var over atomic.Bool // ends the flood
	var flood sync.WaitGroup
	for i := range 8 {
		c := r.open(t, dial{user: fmt.Sprint("max", i)})
		defer c.drop()
		c.do("room:join", "channel:many", "{}")
		flood.Go(func() {
			const together = 10
			for n := 0; !over.Load() && !t.Failed(); n++ {
				for k := range together {
					c.text(envelope("message:send", "channel:many", fmt.Sprint(i, ".", n, ".", k), `{"text":"x"}`))
				}
				for range together {
					c.answered()
				}
			}
		})
	}
	defer flood.Wait()
	defer over.Store(true)
	eventually(t, "acme's plugins have used more than their part", func() bool { return r.app.plugins.host.Heavy("acme") })
	beside := rounds()
	t.Logf("5 messages of a neighbour take %v, %v beside them", usual, beside)
	if beside > 10*usual+50*time.Millisecond {
		t.Errorf("5 messages of a neighbour took %v, %v before", beside, usual)
	}
	if r.app.plugins.host.Heavy("globex") {
		t.Error("the neighbour is said to have used more than its part")
	}
}
