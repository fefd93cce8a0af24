package validate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// send is what a message:send may look like, and a member of each other kind.
var send = event.Payload{
	{Name: "text", Kind: event.String, Required: true, Min: 1, Max: 8192},
	{Name: "body", Kind: event.Any, Max: 64},
	{Name: "mentions", Kind: event.Array, Min: 1, Max: 3, Elem: &event.Field{Kind: event.String, Format: "user"}},
	{Name: "meta", Kind: event.Map, Max: 40, Elem: &event.Field{Kind: event.String, Max: 10}},
	{Name: "ttl_ms", Kind: event.Int, Min: 1000, Max: 86400000},
	{Name: "ephemeral", Kind: event.Bool},
	{Name: "mode", Kind: event.String, Enum: []string{"plain", "rich"}},
	{Name: "place", Kind: event.Object, Max: 100, Fields: event.Payload{
		{Name: "room", Kind: event.String, Format: "room", Required: true},
		{Name: "offset", Kind: event.Int},
	}},
	{Name: "parts", Kind: event.Array, Elem: &event.Field{Kind: event.Map, Elem: &event.Field{Kind: event.Array, Max: 1}}},
	{Name: "ref", Kind: event.String, Format: "id"},
	{Name: "epoch", Kind: event.String, Format: "epoch"},
}

func TestPayloadTakes(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	for name, in := range map[string]string{
		"least":              `{"text":"x"}`,
		"white space":        " {\n\"text\" : \"x\" , \"ttl_ms\" : 1000 }\t",
		"unknown members":    `{"new":{"a":[1,{}]},"text":"x","new":2}`,
		"longest text":       `{"text":"` + strings.Repeat("x", 8192) + `"}`,
		"escapes count once": `{"text":"` + strings.Repeat(`\u0041`, 8192) + `"}`,
		"escaped name":       `{"t\u0065xt":"x"}`,
		"escaped enum":       `{"text":"x","mode":"pl\u0061in"}`,
		"everything": `{"text":"x","body":[{"a":null}],"mentions":["ann","b@c.d"],"meta":{"a":"1","":"2"},"ttl_ms":86400000,"ephemeral":false,` +
			`"mode":"rich","place":{"room":"conv:42/participant/ann","offset":9007199254740991},"parts":[{},{"a":[true],"b":[]}],"ref":"a b","epoch":"E-1"}`,
		"many keys": `{"text":"x","meta":{` + strings.Join(many, ",") + `}}`,
	} {
		if err := Payload(send, []byte(in), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPayloadRefuses(t *testing.T) {
	twice := make([]string, 30)
	for i := range twice {
		twice[i] = fmt.Sprintf(`"k%d":""`, i%29)
	}
	const invalid, large, malformed = fault.Invalid, fault.TooLarge, fault.Malformed
	for _, tc := range []struct {
		in    string
		kind  fault.Kind
		field string
		msg   string
	}{
		{`{}`, invalid, "data.text", "is missing"},
		{`[]`, invalid, "payload.data", "must be an object"},
		{`{"text":null}`, invalid, "data.text", "must be a string"},
		{`{"text":""}`, invalid, "data.text", "must be at least 1 bytes"},
		{`{"text":"` + strings.Repeat("é", 4096) + `x"}`, large, "data.text", "must be at most 8192 bytes"},
		{`{"text":"x","text":"x"}`, invalid, "data.text", "is there twice"},
		{`{"text":"x","te\u0078t":"x"}`, invalid, "data.text", "is there twice"},
		{`{"text":"x","body":"` + strings.Repeat("x", 63) + `"}`, large, "data.body", "must be at most 64 bytes of JSON"},
		{`{"text":"x","mentions":{}}`, invalid, "data.mentions", "must be an array"},
		{`{"text":"x","mentions":[]}`, invalid, "data.mentions", "must be at least 1 elements"},
		{`{"text":"x","mentions":["a","b","c","d"]}`, large, "data.mentions", "must be at most 3 elements"},
		{`{"text":"x","mentions":["a","b c"]}`, invalid, "data.mentions[1]", badUser},
		{`{"text":"x","meta":{"k":1}}`, invalid, "data.meta.k", "must be a string"},
		{`{"text":"x","meta":{"k":"","\u006b":""}}`, invalid, `data.meta.\u006b`, "is there twice"},
		{`{"text":"x","meta":{` + strings.Join(twice, ",") + `}}`, invalid, "data.meta.k0", "is there twice"},
		{`{"text":"x","meta":{"` + strings.Repeat("k", 100) + `":1}}`, invalid, "data.meta." + strings.Repeat("k", 64) + "…", "must be a string"},
		{`{"text":"x","ttl_ms":999}`, invalid, "data.ttl_ms", "must be between 1000 and 86400000"},
		{`{"text":"x","ttl_ms":86400001}`, invalid, "data.ttl_ms", "must be between 1000 and 86400000"},
		{`{"text":"x","ttl_ms":99999999999999999999}`, invalid, "data.ttl_ms", "must be between 1000 and 86400000"},
		{`{"text":"x","ttl_ms":1e4}`, invalid, "data.ttl_ms", "must be an integer"},
		{`{"text":"x","ttl_ms":"5000"}`, invalid, "data.ttl_ms", "must be an integer"},
		{`{"text":"x","ephemeral":0}`, invalid, "data.ephemeral", "must be true or false"},
		{`{"text":"x","mode":"Plain"}`, invalid, "data.mode", "must be one of plain, rich"},
		{`{"text":"x","place":{"offset":1}}`, invalid, "data.place.room", "is missing"},
		{`{"text":"x","place":{"room":"conv"}}`, invalid, "data.place.room", badRoom},
		{`{"text":"x","place":{"room":"conv:1","offset":-1}}`, invalid, "data.place.offset", "must be between 0 and 9007199254740991"},
		{`{"text":"x","place":{"room":"conv:1","x":"` + strings.Repeat("x", 90) + `"}}`, large, "data.place", "must be at most 100 bytes of JSON"},
		{`{"text":"x","parts":[{},{"a":[1,2]}]}`, large, "data.parts[1].a", "must be at most 1 elements"},
		{`{"text":"x","ref":""}`, invalid, "data.ref", badID},
		{`{"text":"x","ref":"a\nb"}`, invalid, "data.ref", badID},
		{`{"text":"x","epoch":"a b"}`, invalid, "data.epoch", badEpoch},
		{`{"text":"x"`, malformed, "payload.data", "the end comes too early"},
		{`{"text":"x"}}`, malformed, "payload.data", "bytes behind the value"},
		{`{"text":"x",}`, malformed, "payload.data", "not JSON"},
		{"{\"text\":\"\xff\"}", malformed, "payload.data", "invalid UTF-8"},
		{`{"text":"x","new":tru}`, malformed, "payload.data", "not JSON"},
		{`{"text":"x","ephemeral":tru}`, malformed, "data.ephemeral", "not JSON"},
		{`{"text":"x","parts":[{"a":[` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `]}]}`, malformed, "data.parts[0].a[0]", "nested deeper than 32 levels"},
		{``, malformed, "payload.data", "the end comes too early"},
	} {
		e := fault.Of(Payload(send, []byte(tc.in), nil))
		if e.Kind != tc.kind || e.Field != tc.field || e.Msg != tc.msg {
			t.Errorf("%.80s: %v", tc.in, e)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 128)
	for room, ok := range map[string]bool{
		"conv:42": true, "a:b": true, "conv:a.b_c~d@e-F9": true, "user:auth0|1": true, "conv:1/participant/a+b=": true, "conv:42/typing": true, "conv:42/participant/ann": true,
		"conv:42/participant/participant": true, "conv:" + long: true, strings.Repeat("t", 32) + ":1": true, "t-1_a:x": true,
		"": false, "conv": false, ":42": false, "conv:": false, "Conv:42": false, "1conv:42": false, "conv:4 2": false, "conv:42/": false,
		"conv:42/participant": false, "conv:42/participant/": false, "conv:42/typing/ann": false, "conv:42/Typing": false, "conv:a:b": false,
		"conv:" + long + "x": false, strings.Repeat("t", 33) + ":1": false, "conv:é": false, "conv:42/participant/a/b": false, "conv:\x00": false,
		"conv:42/" + strings.Repeat("f", 33): false, "conv:[": false, "conv:{": false, "conv:`": false,
	} {
		if err := RoomName(room); (err == nil) != ok || err != nil && (fault.Of(err).Field != "room" || !fault.Is(err, fault.Invalid)) {
			t.Errorf("room %q: %v", room, err)
		}
	}
	for user, ok := range map[string]bool{"ann": true, long: true, "A.b_c~d@e-9": true, "auth0|5f7c": true, "": false, long + "x": false, "a b": false, "a/b": false, "a:b": false} {
		if err := UserName(user); (err == nil) != ok || err != nil && fault.Of(err).Field != "user" {
			t.Errorf("user %q: %v", user, err)
		}
	}
}

func TestStage(t *testing.T) {
	ping := &event.Action{Name: "session:ping"}
	action := &event.Action{Name: "message:send", NeedsRoom: true, Payload: send}
	envelope := func(id, room, epoch string, typ event.Type) event.Envelope {
		return event.Envelope{Type: typ, ID: id, Room: room, Position: event.Position{Epoch: epoch}, Data: []byte(`{"ttl_ms":1000,"text":"hi"}`)}
	}
	for name, tc := range map[string]struct {
		env   event.Envelope
		spec  *event.Action
		field string // of the error; "" if it passes
	}{
		"whole":               {envelope("1", "conv:1", "", event.TypeEvent), action, ""},
		"no id":               {envelope("", "conv:1", "", event.TypeEvent), action, ""},
		"long id":             {envelope(strings.Repeat("1", 65), "conv:1", "", event.TypeEvent), action, "id"},
		"id of control bytes": {envelope("a\x7f", "conv:1", "", event.TypeEvent), action, "id"},
		"no room":             {envelope("1", "", "", event.TypeEvent), action, "room"},
		"bad room":            {envelope("1", "conv", "", event.TypeEvent), action, "room"},
		"no room needed":      {envelope("1", "", "", event.TypeEvent), ping, ""},
		"bad though unneeded": {envelope("1", "conv", "", event.TypeEvent), ping, "room"},
		"ack":                 {envelope("", "conv:1", "e", event.TypeAck), nil, ""},
		"ack without room":    {envelope("", "", "e", event.TypeAck), nil, "room"},
		"ack with bad epoch":  {envelope("", "conv:1", "e e", event.TypeAck), nil, "epoch"},
		"no declaration":      {envelope("1", "conv:1", "", event.TypeEvent), nil, "payload.action"},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &event.Event{Envelope: tc.env, Spec: tc.spec}
			verdict, err := Stage{}.Process(context.Background(), ev)
			if tc.field == "" && (verdict != pipeline.Pass || err != nil) || tc.field != "" && (verdict != pipeline.Reject || fault.Of(err).Field != tc.field) {
				t.Errorf("%v, %v", verdict, err)
			}
			if tc.spec == action && tc.field == "" && (ev.Str("text") != "hi" || ev.Int("ttl_ms") != 1000 || ev.Arg("body") != nil) {
				t.Errorf("arguments %q, %d", ev.Str("text"), ev.Int("ttl_ms"))
			}
		})
	}
	ev := &event.Event{Envelope: event.Envelope{Type: event.TypeEvent, Room: "conv:1", Data: []byte(`{}`)}, Spec: action}
	if verdict, err := (Stage{}).Process(context.Background(), ev); verdict != pipeline.Reject || fault.Of(err).Field != "data.text" {
		t.Errorf("bad payload: %v, %v", verdict, err)
	}
}

func TestNoAllocation(t *testing.T) {
	ev := sample()
	if n := testing.AllocsPerRun(100, func() {
		if v, err := (Stage{}).Process(context.Background(), ev); v != pipeline.Pass {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// sample is a message:send with all of its members, data of 300 bytes.
func sample() *event.Event {
	return &event.Event{
		Spec: &event.Action{Name: "message:send", NeedsRoom: true, Payload: send},
		Envelope: event.Envelope{
			Type: event.TypeMessage, ID: "01JDBQ5R8XW3T6Y9K2M4N7P0QA", Room: "conv:team-planning-42",
			Data: []byte(`{"text":"Shall we move the review to Thursday at ten? Ben can't make it before, and Carla is away until noon anyway.",` +
				`"body":{"format":"rich","blocks":[{"p":[1,2,3]}]},"mentions":["ben","carla"],` +
				`"meta":{"client":"web","thread":"t-1871","lang":"en"},"ttl_ms":86400000,"ephemeral":false}`),
		},
	}
}

func BenchmarkProcess(b *testing.B) {
	ev := sample()
	b.ReportAllocs()
	b.SetBytes(int64(len(ev.Data)))
	for b.Loop() {
		if v, err := (Stage{}).Process(context.Background(), ev); v != pipeline.Pass {
			b.Fatal(err)
		}
	}
}

func BenchmarkReject(b *testing.B) {
	data := []byte(`{"text":"x","parts":[{"a":[1,2]}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if Payload(send, data, nil) == nil {
			b.Fatal("accepted")
		}
	}
}

// A client must not be able to buy much time with one frame.
func BenchmarkHostileMap(b *testing.B) {
	var data strings.Builder
	data.WriteString(`{"m":{"":0`)
	for i := 0; data.Len() < 64<<10; i++ {
		fmt.Fprintf(&data, `,"%x":0`, i)
	}
	data.WriteString(`}}`)
	spec := event.Payload{{Name: "m", Kind: event.Map}}
	b.ReportAllocs()
	for b.Loop() {
		if err := Payload(spec, []byte(data.String()), nil); err != nil {
			b.Fatal(err)
		}
	}
}
