package conformance

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
)

// testCase is an event, and what a guest must want done about it.
type testCase struct {
	name   string
	record hostapi.Record
	full   []byte // its payload, where the record has not all of it
	want   []hostapi.Action
	check  func(t *testing.T, h *host)
}

// event is one of an action, with something in each field.
func event(action string) hostapi.Record {
	payload := []byte(`{"text":"hé"}`)
	return hostapi.Record{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Flags: hostapi.FlagDurable, Sequence: 12, Time: 1767225600000, Connection: 7,
		Tenant: "acme", User: "ann", Device: "phone", Room: "conv:42", Action: action, ID: "m-1", Payload: payload, Whole: len(payload),
		Attributes: []hostapi.Attribute{
			{Name: "absent"},
			{Name: "b", Type: hostapi.AttrBool, Int: 1},
			{Name: "i", Type: hostapi.AttrInt, Int: -3},
			{Name: "f", Type: hostapi.AttrFloat, Float: 0.25},
			{Name: "t", Type: hostapi.AttrString, Text: []byte("hé \"quoted\" \\ back")},
			{Name: "tags", Type: hostapi.AttrJSON, Text: []byte(`["a", {"b":null}]`)},
		},
	}
}

// with is the event changed.
func with(r hostapi.Record, change func(r *hostapi.Record)) hostapi.Record {
	change(&r)
	return r
}

func hooked(h hostapi.Hook, action string) hostapi.Record {
	return with(event(action), func(r *hostapi.Record) { r.Hook = h })
}

func reply(text string) []hostapi.Action {
	return []hostapi.Action{{Kind: hostapi.Reply, A: []byte(text)}}
}

func drop(code hostapi.DropCode, number int64, text string) []hostapi.Action {
	return []hostapi.Action{{Kind: hostapi.Drop, Code: uint32(code), Number: number, A: []byte(text)}}
}

// cases are all that end well.
func cases() []testCase {
	list := written()
	list = append(list, read()...)
	list = append(list, hooks()...)
	return append(list, reached()...)
}

// written are the cases of cases.md that need no host: what they write is compared by
// the byte.
func written() []testCase {
	one := func(a hostapi.Action) []hostapi.Action { return []hostapi.Action{a} }
	list := []testCase{
		{name: "case:pass", want: one(hostapi.Action{Kind: hostapi.Pass})},
		{name: "case:nothing"},
		{name: "case:unknown"},
		{name: "case:forbi"},
		{name: "case:forbidden"},
		{name: "case:forbid", want: drop(hostapi.DropForbidden, 0, "not here")},
		{name: "case:invalid", want: drop(hostapi.DropInvalid, 0, "data.text: too long")},
		{name: "case:rate", want: drop(hostapi.DropRateLimited, 1500, "slow down")},
		{name: "case:silent", want: drop(hostapi.DropSilently, 0, "")},
		{name: "case:replace", want: one(hostapi.Action{Kind: hostapi.Replace, A: []byte(`{"was":{"text":"hé"}}`)})},
		{name: "case:set_attr", want: one(hostapi.Action{Kind: hostapi.SetAttr, A: []byte("lang"), B: []byte(`"fr"`)})},
		{name: "case:emit", want: []hostapi.Action{
			{Kind: hostapi.Emit, Flags: hostapi.EmitDurable, A: []byte("conv:1"), B: []byte("order:created"), C: []byte(`{"id":1}`)},
			{Kind: hostapi.Emit, A: []byte("user:ann"), B: []byte("order:told"), C: []byte(`{"id":1}`), D: []byte("phone")},
		}},
		{name: "case:route", want: one(hostapi.Action{Kind: hostapi.Route, A: []byte("conv:2")})},
		{name: "case:reply", want: reply(`{"ok":true}`)},
		{name: "case:respond", want: one(hostapi.Action{Kind: hostapi.Reply, Code: 201, A: []byte("made"), B: []byte("text/plain")})},
		{name: "case:http", want: one(hostapi.Action{
			Kind: hostapi.HTTP, A: []byte("POST https://api.example.com/x?y=1"), B: []byte("content-type: application/json\nx-a: b"),
			C: []byte(`{"q":"ü"}`), D: []byte("tag-1"), Number: 2500,
		})},
		{name: "case:timer", want: []hostapi.Action{
			{Kind: hostapi.SetTimer, A: []byte("remind"), C: []byte(`{"n":1}`), Number: 60000},
			{Kind: hostapi.CancelTimer, A: []byte("old")},
		}},
		{name: "case:attr", want: reply(`{"bool":true,"int":-3,"float":"0x3fd0000000000000","text":"hé \"quoted\" \\ back","missing":true}`)},
	}
	for i := range list {
		list[i].record = event(list[i].name)
	}
	echoed := func(name string, r hostapi.Record) {
		list = append(list, testCase{name: name, record: r, want: reply(echo(r))})
	}
	echoed("case:echo", event("case:echo"))
	echoed("case:echo of an action that the plugin owns", hooked(hostapi.HookHandle, "case:echo"))
	echoed("case:echo of nothing", hostapi.Record{Hook: hostapi.HookBefore, Action: "case:echo"})
	echoed("case:echo of large numbers", with(event("case:echo"), func(r *hostapi.Record) {
		r.Sequence, r.Connection, r.Time, r.Attempt, r.Whole = math.MaxUint64, math.MaxUint64, math.MinInt64, math.MaxInt32, math.MaxInt32
		r.Flags = hostapi.FlagPrefix | hostapi.FlagServer
	}))
	echoed("case:echo of bytes", with(event("case:echo"), func(r *hostapi.Record) {
		r.Codec, r.Payload, r.Flags = hostapi.CodecBytes, []byte{0, 1, 254, 255}, 1<<31|hostapi.FlagServer
	}))
	echoed("case:echo of texts", with(event("case:echo"), func(r *hostapi.Record) {
		r.User, r.Device, r.Room = `"`, `\`, "conv:日本 \U0001f9f5 é\u007f"
	}))
	echoed("case:echo of attributes", with(event("case:echo"), func(r *hostapi.Record) { r.Attributes = attributes() }))
	return list
}

// attributes are 64, and of each type the values that are easily got wrong.
func attributes() []hostapi.Attribute {
	list := []hostapi.Attribute{
		{Name: "no", Type: hostapi.AttrBool}, {Name: "min", Type: hostapi.AttrInt, Int: math.MinInt64}, {Name: "max", Type: hostapi.AttrInt, Int: math.MaxInt64},
		{Name: "nan", Type: hostapi.AttrFloat, Float: math.NaN()}, {Name: "inf", Type: hostapi.AttrFloat, Float: math.Inf(-1)},
		{Name: "minus zero", Type: hostapi.AttrFloat, Float: math.Copysign(0, -1)}, {Name: "pi", Type: hostapi.AttrFloat, Float: math.Pi},
		{Name: "empty", Type: hostapi.AttrString, Text: []byte{}}, {Name: "long", Type: hostapi.AttrString, Text: []byte(strings.Repeat("lång ", 1000))},
		{Name: "object", Type: hostapi.AttrJSON, Text: []byte(`{ "a" : [ ] }`)}, {Name: `né "1"`, Type: hostapi.AttrInt, Int: 1},
	}
	for i := len(list); i < hostapi.MaxAttribute; i++ {
		list = append(list, hostapi.Attribute{Name: fmt.Sprintf("%0*d", i%9+1, i), Type: hostapi.AttrInt, Int: int64(i)})
	}
	return list
}

// hooks are the cases by hook.
func hooks() (list []testCase) {
	for _, h := range []hostapi.Hook{hostapi.HookConnect, hostapi.HookJoin, hostapi.HookRequest} {
		r := hooked(h, "")
		list = append(list, testCase{name: h.String(), record: r, want: reply(echo(r))})
	}
	for _, h := range []hostapi.Hook{hostapi.HookTimer, hostapi.HookResponse} {
		list = append(list, testCase{name: h.String(), record: hooked(h, ""), want: []hostapi.Action{
			{Kind: hostapi.SetAttr, A: []byte("seen"), B: []byte(`"` + h.String() + `"`)},
		}})
	}
	for _, h := range []hostapi.Hook{hostapi.HookAfter, hostapi.HookDisconnect, hostapi.HookLeave} {
		list = append(list, testCase{name: h.String(), record: hooked(h, "case:forbid")})
	}
	return append(list, testCase{name: "a hook of a later version", record: hooked(200, "case:forbid")})
}

// read are the cases of payloads.
func read() (list []testCase) {
	for name, r := range map[string]hostapi.Record{
		"case:payload": event("case:payload"),
		"case:payload without one": with(event("case:payload"), func(r *hostapi.Record) {
			r.Codec, r.Payload, r.Whole = hostapi.CodecNone, nil, 0
		}),
	} {
		list = append(list, testCase{name: name, record: r, want: summed(r.Payload)})
	}
	long := []byte(strings.Repeat("0123456789é", 1000))
	list = append(list, testCase{name: "case:payload of a prefix", full: long, want: summed(long), record: with(event("case:payload"), func(r *hostapi.Record) {
		r.Payload, r.Whole, r.Flags = long[:10], len(long), hostapi.FlagPrefix
	})})
	return append(list, testCase{name: "case:payload not asked for", full: long[:1000], want: summed(long[:1000]), record: with(event("case:payload"), func(r *hostapi.Record) {
		r.Codec, r.Payload, r.Whole = hostapi.CodecNone, nil, 1000
	})})
}

// summed is what case:payload replies.
func summed(payload []byte) []hostapi.Action {
	hash := fnv.New64a()
	hash.Write(payload)
	return reply(fmt.Sprintf(`{"size":%d,"fnv":"%016x"}`, len(payload), hash.Sum64()))
}

// reached are the cases that call the host.
func reached() []testCase {
	known := newHost().lookups
	return []testCase{
		{name: "case:kv", record: event("case:kv"), want: reply(`{"get":"v","swap":"ok","again":"conflict","sum":3,"gone":"not_found"}`), check: stored},
		{name: "case:host", record: event("case:host"), want: reply(`{"now":true,"random":true,"config":` + config + `,"secret":"s3\"cret"}`), check: told},
		{name: "case:lookup", record: event("case:lookup"), want: reply(fmt.Sprintf(`{"room":%s,"member":%s,"presence":"not_found","members":%s}`,
			known["1 conv:1"], known["3 conv:1 ann"], known["2 conv:1"]))},
	}
}

func stored(t *testing.T, h *host) {
	if len(h.store) != 1 || string(h.store["n"]) != "3" {
		t.Errorf("the store has %q", h.store)
	}
}

func told(t *testing.T, h *host) {
	want := []line{{0, "debug line"}, {1, "info line"}, {2, "warn line"}, {3, "error line"}}
	if fmt.Sprint(h.lines) != fmt.Sprint(want) {
		t.Errorf("logged %v", h.lines)
	}
	if got := fmt.Sprint(h.metrics); got != "[{0 hits 2} {1 level 0.5} {2 took 0.25}]" {
		t.Errorf("measured %s", got)
	}
}

// echo is what case:echo replies.
func echo(r hostapi.Record) string {
	attrs := make([]string, len(r.Attributes))
	for i, a := range r.Attributes {
		kind, value := "none", "null"
		switch a.Type {
		case hostapi.AttrBool:
			kind, value = "bool", fmt.Sprint(a.Int != 0)
		case hostapi.AttrInt:
			kind, value = "int", fmt.Sprint(a.Int)
		case hostapi.AttrFloat:
			kind, value = "float", fmt.Sprintf(`"0x%016x"`, math.Float64bits(a.Float))
		case hostapi.AttrString:
			kind, value = "text", quoted(string(a.Text))
		case hostapi.AttrJSON:
			kind, value = "json", string(a.Text)
		}
		attrs[i] = fmt.Sprintf(`{"name":%s,"type":%q,"value":%s}`, quoted(a.Name), kind, value)
	}
	return fmt.Sprintf(`{"hook":%q,"tenant":%s,"user":%s,"device":%s,"room":%s,"action":%s,"id":%s,"time":%d,"sequence":%d,`+
		`"connection":%d,"attempt":%d,"durable":%t,"server":%t,"prefix":%t,"codec":%q,"payload_size":%d,"attrs":[%s]}`,
		r.Hook, quoted(r.Tenant), quoted(r.User), quoted(r.Device), quoted(r.Room), quoted(r.Action), quoted(r.ID), r.Time, r.Sequence,
		r.Connection, r.Attempt, r.Flags&hostapi.FlagDurable != 0, r.Flags&hostapi.FlagServer != 0, r.Flags&hostapi.FlagPrefix != 0,
		[...]string{"none", "json", "bytes"}[r.Codec], r.Whole, strings.Join(attrs, ","))
}

// quoted is a string without control characters in JSON.
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a string, into memory
	return strings.TrimSuffix(b.String(), "\n")
}
