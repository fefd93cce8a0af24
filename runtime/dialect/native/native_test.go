package native

import (
	"errors"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// codec is what both encodings offer.
type codec interface {
	Name() string
	Binary() bool
	Index() int
	Split(frame []byte, limit int, fn func(raw []byte) error) error
	Decode(raw []byte, env *event.Envelope) error
	DecodeFull(raw []byte, env *event.Envelope) error
	Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame
}

func codecs() []codec { return []codec{JSON{}, MessagePack{}} }

// wire is an envelope given as JSON, in c's encoding.
func wire(t testing.TB, c codec, js string) []byte {
	t.Helper()
	if !c.Binary() {
		return []byte(js)
	}
	b, ok := toMessagePack(nil, []byte(js))
	if !ok {
		t.Fatalf("%q is not JSON", js)
	}
	return b
}

const request = `{"v":1,"type":"message","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QA","room":"conv:team-planning-42","payload":{"action":"message:send",` +
	`"data":{"text":"Shall we move the review to Thursday at ten? Ben can't make it before.","mentions":["ben","carla"],` +
	`"meta":{"client":"web","thread":"t-1871"},"ttl_ms":86400000}}}`

func delivered() *event.Envelope {
	return &event.Envelope{
		Type: event.TypeMessage, ID: "01JDBQ5R8XW3T6Y9K2M4N7P0QB", Tenant: "acme", Timestamp: 1767225600000, Room: "conv:team-planning-42",
		From: event.Sender{User: "ann", Device: "phone"}, Position: event.Position{Epoch: "01JDBQ5R8X", Offset: 17},
		Ref: "r\"\\\n1", Expires: 1767225660000, Action: "message:send",
		Data: []byte(`{"text":"Shall we move the review to Thursday at ten?","mentions":["ben","carla"],"n":[-1,0,127,128,65536,4294967296,18446744073709551615,1.5]}`),
	}
}

func TestNames(t *testing.T) {
	for i, c := range codecs() {
		if c.Index() != i || !strings.HasPrefix(c.Name(), "heddle.v1.") || c.Binary() != strings.HasSuffix(c.Name(), "msgpack") {
			t.Errorf("%d: %s, binary %v, index %d", i, c.Name(), c.Binary(), c.Index())
		}
	}
}

func TestFieldOrder(t *testing.T) {
	env := delivered()
	env.Data, env.Ref = []byte(`{"text":"hi"}`), "r1"
	got := string(JSON{}.Encode(env, frame.Durable, "").Payload())
	want := `{"v":1,"type":"message","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QB","tenant_id":"acme","timestamp":1767225600000,"room":"conv:team-planning-42",` +
		`"from":{"user":"ann","device":"phone"},"epoch":"01JDBQ5R8X","offset":17,"ref":"r1","expires_at":1767225660000,` +
		`"payload":{"action":"message:send","data":{"text":"hi"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEncodeThenDecodeFull(t *testing.T) {
	sparse := func(change func(*event.Envelope)) *event.Envelope {
		env := &event.Envelope{Type: event.TypeEvent, Action: "session:drain", Data: []byte(`{}`)}
		change(env)
		return env
	}
	for name, env := range map[string]*event.Envelope{
		"everything":  delivered(),
		"little":      sparse(func(*event.Envelope) {}),
		"no device":   sparse(func(e *event.Envelope) { e.From.User = "ann" }),
		"offset 0":    sparse(func(e *event.Envelope) { e.Epoch = "e" }),
		"ack":         {Type: event.TypeAck, Room: "conv:1", Position: event.Position{Epoch: "e", Offset: maxInteger}, Data: []byte(`{}`)},
		"bare error":  {Type: event.TypeError, Data: []byte(`{"code":"malformed"}`)},
		"error":       sparse(func(e *event.Envelope) { e.Type = event.TypeError }),
		"large":       sparse(func(e *event.Envelope) { e.Data = []byte(`{"text":"` + strings.Repeat("x", 70000) + `"}`) }),
		"many":        sparse(func(e *event.Envelope) { e.Data = []byte(`{"a":[` + strings.Repeat("1,", 69999) + `1]}`) }),
		"long, plain": sparse(func(e *event.Envelope) { e.Data = []byte(`{"text":"` + strings.Repeat("\\n", 300) + `"}`) }),
		"32 bytes":    sparse(func(e *event.Envelope) { e.Data = []byte(`{"text":"\n1234567890123456789012345678901"}`) }),
		"16 members": sparse(func(e *event.Envelope) {
			e.Data = []byte(`{"a":[` + strings.Repeat(`{"k":[]},`, 15) + `{}],"b":{"c":{}}}`)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range codecs() {
				f := c.Encode(env, frame.Ephemeral, "k")
				if f.Binary() != c.Binary() || f.Class() != frame.Ephemeral || f.Key() != "k" {
					t.Errorf("%s: frame %v %v %q", c.Name(), f.Binary(), f.Class(), f.Key())
				}
				var got event.Envelope
				if err := c.DecodeFull(f.Payload(), &got); err != nil {
					t.Fatalf("%s: %v", c.Name(), err)
				}
				same(t, c.Name(), &got, env)
			}
		})
	}
}

func same(t *testing.T, name string, got, want *event.Envelope) {
	t.Helper()
	g, w := *got, *want
	g.Data, w.Data = nil, nil
	if string(got.Data) != string(want.Data) {
		t.Errorf("%s: data %.200s, want %.200s", name, got.Data, want.Data)
	}
	if g.Type != w.Type || g.ID != w.ID || g.Tenant != w.Tenant || g.Timestamp != w.Timestamp || g.Room != w.Room || g.From != w.From ||
		g.Position != w.Position || g.Ref != w.Ref || g.Action != w.Action || g.Expires != w.Expires {
		t.Errorf("%s: %+v, want %+v", name, g, w)
	}
}

func TestClientsAckHasNoPayload(t *testing.T) {
	env := &event.Envelope{Type: event.TypeAck, Room: "conv:1", Position: event.Position{Epoch: "e", Offset: 17}}
	if got := string(JSON{}.Encode(env, frame.Control, "").Payload()); got != `{"v":1,"type":"ack","room":"conv:1","epoch":"e","offset":17}` {
		t.Error(got)
	}
	for _, c := range codecs() {
		var got event.Envelope
		if err := c.Decode(c.Encode(env, frame.Control, "").Payload(), &got); err != nil || got.Position != env.Position {
			t.Errorf("%s: %v, %+v", c.Name(), err, got)
		}
	}
}

func TestDecodeIgnoresWhatTheSessionKnows(t *testing.T) {
	for _, c := range codecs() {
		var env event.Envelope
		raw := wire(t, c, `{"type":"event","tenant_id":"evil","from":[{"user":1}],"timestamp":"x","expires_at":{},"future":[{"a":[1]}],"payload":{"action":"a:b","more":1}}`)
		if err := c.Decode(raw, &env); err != nil {
			t.Fatalf("%s: %v", c.Name(), err)
		}
		same(t, c.Name(), &env, &event.Envelope{Type: event.TypeEvent, Action: "a:b", Data: []byte(`{}`)})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, field, msg string }{
		{"no type", `{"id":"7","payload":{"action":"a:b"}}`, "type", "type is missing"},
		{"type unknown", `{"type":"call","id":"7","payload":{"action":"a:b"}}`, "type", "type must be message, event or ack"},
		{"type error", `{"type":"error","id":"7","payload":{"action":"a:b"}}`, "type", "type must be message, event or ack"},
		{"type number", `{"type":1,"id":"7","payload":{"action":"a:b"}}`, "type", "type must be a string"},
		{"no payload", `{"type":"event","id":"7"}`, "payload", "payload is missing"},
		{"payload string", `{"type":"event","payload":"x","id":"7"}`, "payload", "payload must be "},
		{"no action", `{"type":"event","payload":{"data":{}},"id":"7"}`, "payload.action", "payload.action is missing"},
		{"action number", `{"type":"event","payload":{"action":5},"id":"7"}`, "payload.action", "payload.action must be a string"},
		{"data array", `{"type":"event","payload":{"action":"a:b","data":[]},"id":"7"}`, "payload.data", "payload.data must be "},
		{"data null", `{"type":"event","payload":{"action":"a:b","data":null},"id":"7"}`, "payload.data", "payload.data must be "},
		{"room null", `{"type":"event","room":null,"payload":{"action":"a:b"},"id":"7"}`, "room", "room must be a string"},
		{"offset negative", `{"type":"ack","offset":-1,"epoch":"e","room":"r:1","id":"7"}`, "offset", "offset must be between 0 and 2^53-1"},
		{"offset 2^53", `{"type":"ack","offset":9007199254740992,"epoch":"e","room":"r:1","id":"7"}`, "offset", "offset must be between 0 and 2^53-1"},
		{"offset huge", `{"type":"ack","offset":18446744073709551615,"epoch":"e","room":"r:1","id":"7"}`, "offset", "offset must be between 0 and 2^53-1"},
		{"offset fraction", `{"type":"ack","offset":1.5,"epoch":"e","room":"r:1","id":"7"}`, "offset", "offset must be an integer"},
		{"offset string", `{"type":"ack","offset":"1","epoch":"e","room":"r:1","id":"7"}`, "offset", "offset must be an integer"},
		{"ack without offset", `{"type":"ack","epoch":"e","room":"r:1","id":"7"}`, "offset", "offset is missing"},
		{"ack without epoch", `{"type":"ack","offset":1,"room":"r:1","id":"7"}`, "epoch", "epoch is missing"},
		{"ack without room", `{"type":"ack","offset":1,"epoch":"e","id":"7"}`, "room", "room is missing"},
		{"v string", `{"v":"1","type":"event","payload":{"action":"a:b"},"id":"7"}`, "v", "v must be an integer"},
		{"v fraction", `{"v":1.5,"type":"event","payload":{"action":"a:b"},"id":"7"}`, "v", "v must be an integer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, c := range codecs() {
				var env event.Envelope
				e := fault.Of(c.Decode(wire(t, c, tc.in), &env))
				if e.Kind != fault.Invalid || e.Field != tc.field || !strings.HasPrefix(e.Msg, tc.msg) {
					t.Errorf("%s: %+v", c.Name(), e)
				}
				if env.ID != "7" {
					t.Errorf("%s: the id is lost", c.Name())
				}
			}
		})
	}
}

func TestVersionDecidesFirst(t *testing.T) {
	for _, in := range []string{
		`{"id":"7","payload":5,"v":2}`, `{"v":0,"id":"7"}`, `{"v":-1,"id":"7"}`, `{"v":18446744073709551615,"id":"7"}`,
	} {
		for _, c := range codecs() {
			var env event.Envelope
			e := fault.Of(c.Decode(wire(t, c, in), &env))
			if e.Kind != fault.UnsupportedVersion || e.Field != "v" || !strings.HasSuffix(e.Msg, "supported: 1") || env.ID != "7" {
				t.Errorf("%s %s: %+v, id %q", c.Name(), in, e, env.ID)
			}
		}
	}
}

func TestMalformedJSON(t *testing.T) {
	deep := func(n int) string {
		return `{"id":"7","type":"event","payload":{"action":"a:b","data":{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}}`
	}
	if err := (JSON{}).Decode([]byte(deep(29)), new(event.Envelope)); err != nil {
		t.Errorf("at the depth allowed: %v", err)
	}
	for _, in := range []string{
		deep(30), `{"id":"7",`, `{"id":"7"}}`, `{"id":"7"} {}`, `{"id":"7","id":"8"}`, `{"id":"7","\u0069d":"8"}`, `{"id":"7","x":01}`, `{"id":"7","x":1e999}`,
		`{"id":"7","x":"\ud800"}`, `{"id":"7","payload":{"action":"a","action":"b"}}`, `{"id":"7","from":1,"from":2}`, `{"id":"7","payload":{"action":"a","data":{"x":tru}}}`,
	} {
		var env event.Envelope
		if err := (JSON{}).Decode([]byte(in), &env); !fault.Is(err, fault.Malformed) || env.ID != "7" {
			t.Errorf("%s: %v, id %q", in, err, env.ID)
		}
	}
	for _, in := range []string{``, ` `, `null`, `[]`, `"x"`, `{`, "{\"id\":\"\xff\"}"} {
		if err := (JSON{}).Decode([]byte(in), new(event.Envelope)); !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestMalformedMessagePack(t *testing.T) {
	data := func(value string) string {
		return "\x83\xa2id\xa17\xa4type\xa5event\xa7payload\x82\xa6action\xa3a:b\xa4data\x81\xa1x" + value
	}
	for name, in := range map[string]string{
		"deep":             data(strings.Repeat("\x91", 30) + "\x90"),
		"deep and empty":   data(strings.Repeat("\x91", 29) + "\x90"),
		"extension":        data("\xd4\x01\x00"),
		"timestamp":        data("\xd6\xff\x00\x00\x00\x00"),
		"NaN":              data("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
		"infinity":         data("\xca\x7f\x80\x00\x00"),
		"number as key":    data("\x81\x01\x02"),
		"not UTF-8":        data("\xa1\xff"),
		"never used byte":  data("\xc1"),
		"huge map":         data("\xdf\xff\xff\xff\xff"),
		"huge array":       data("\xdd\xff\xff\xff\xff\x01"),
		"huge string":      data("\xdb\xff\xff\xff\xff"),
		"cut off":          data("\x92\x01"),
		"trailing":         data("\x01\x01"),
		"id twice":         "\x82\xa2id\xa17\xa2id\xa18",
		"deep and unknown": "\x82\xa2id\xa17\xa1x" + strings.Repeat("\x91", 40) + "\x90",
	} {
		var env event.Envelope
		if err := (MessagePack{}).Decode([]byte(in), &env); !fault.Is(err, fault.Malformed) || env.ID != "7" {
			t.Errorf("%s: %v, id %q", name, err, env.ID)
		}
	}
	for in, want := range map[string]string{
		strings.Repeat("\x91", 28) + "\x90": strings.Repeat("[", 29) + strings.Repeat("]", 29),
		"\xc4\x03\x00\xff\x10":              `"AP8Q"`,
		"\xca\x3d\xcc\xcc\xcd":              `0.1`,
		"\x81\xa1\"\xc0":                    `{"\"":null}`,
	} {
		var env event.Envelope
		if err := (MessagePack{}).Decode([]byte(data(in)), &env); err != nil || string(env.Data) != `{"x":`+want+`}` {
			t.Errorf("%q: %v, %s", in, err, env.Data)
		}
	}
	nils := data("\xdd\x00\x01\x00\x00" + strings.Repeat("\xc0", 65536))
	if err := (MessagePack{}).Decode([]byte(nils), new(event.Envelope)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("growth: %v", err)
	}
}

func TestSplit(t *testing.T) {
	one := `{"id":"7","x":[1,{"y":"]"}]}`
	batch := func(n int) string { return " [ " + strings.Repeat(one+" ,\n", n-1) + one + " ]\t" }
	for _, tc := range []struct {
		name, in string
		limit    int
		calls    int
		kind     fault.Kind
	}{
		{"single", one, 64, 1, 0},
		{"two", batch(2), 64, 2, 0},
		{"64", batch(64), 64, 64, 0},
		{"65", batch(65), 100, 0, fault.TooLarge},
		{"over a smaller limit", batch(3), 2, 0, fault.TooLarge},
		{"limit 0", batch(1), 0, 0, fault.TooLarge},
		{"empty", "[]", 64, 0, fault.Malformed},
		{"not an object", "[" + one + ",5]", 64, 0, fault.Malformed},
		{"nested batch", "[" + batch(1) + "]", 64, 0, fault.Malformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, c := range codecs() {
				n := 0
				err := c.Split(wire(t, c, tc.in), tc.limit, func(raw []byte) error {
					var env event.Envelope
					_ = c.Decode(raw, &env)
					if n++; env.ID != "7" {
						t.Errorf("%s: envelope %q", c.Name(), raw)
					}
					return nil
				})
				if n != tc.calls || (err == nil) != (tc.kind == 0) || err != nil && fault.Of(err).Kind != tc.kind {
					t.Errorf("%s: %d calls, %v", c.Name(), n, err)
				}
			}
		})
	}
	for _, in := range []string{"[" + one, "[" + one + ",", "[" + one + ",]", "[" + one + "] x", "[" + one + " " + one + "]", "[{\"a\":\"\xff\"}]"} {
		err := JSON{}.Split([]byte(in), 64, func([]byte) error { t.Error("called"); return nil })
		if !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, in := range []string{"\x92\x80", "\x91\x80\x80", "\xdd\xff\xff"} {
		err := MessagePack{}.Split([]byte(in), 64, func([]byte) error { t.Error("called"); return nil })
		if !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSplitEndsWithTheCallersError(t *testing.T) {
	stop := errors.New("stop")
	for _, c := range codecs() {
		n := 0
		err := c.Split(wire(t, c, `[{},{},{}]`), 64, func([]byte) error { n++; return stop })
		if n != 1 || !errors.Is(err, stop) {
			t.Errorf("%s: %d calls, %v", c.Name(), n, err)
		}
	}
}

func TestDecodeCopies(t *testing.T) {
	for _, c := range codecs() {
		raw := wire(t, c, request)
		var env event.Envelope
		if err := c.Decode(raw, &env); err != nil {
			t.Fatal(err)
		}
		clear(raw)
		if env.Room != "conv:team-planning-42" || !strings.Contains(string(env.Data), `"thread":"t-1871"`) {
			t.Errorf("%s: %+v", c.Name(), env)
		}
	}
}

func TestAllocations(t *testing.T) {
	escaped := strings.NewReplacer("conv", `\u0063onv`, "room", `\u0072oom`).Replace(request)
	for _, c := range codecs() {
		for _, in := range []string{request, escaped, `{"type":"event","payload":{"action":"session:ping"}}`} {
			raw := wire(t, c, in)
			var env event.Envelope
			if n := testing.AllocsPerRun(100, func() {
				env = event.Envelope{}
				if err := c.Decode(raw, &env); err != nil {
					t.Fatal(err)
				}
			}); n != 1 {
				t.Errorf("%s: %v allocations to decode %s", c.Name(), n, in)
			}
		}
		env := delivered()
		if n := testing.AllocsPerRun(100, func() { c.Encode(env, frame.Durable, "") }); n != 2 {
			t.Errorf("%s: %v allocations to encode", c.Name(), n)
		}
	}
}
