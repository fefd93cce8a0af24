package native

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

func seedEnvelopes(f *testing.F, c codec) {
	for _, js := range []string{
		request, `{}`, `[{},{"type":"ack","room":"conv:1","epoch":"e","offset":17}]`, `{"v":2,"id":"\u0061\n\ud83d\ude00"}`,
		`{"type":"event","payload":{"action":"a:b","data":{"x":[1,-1.5e3,true,null,"\u0000\"",{"":[]}],"y":1e300,"z":-0}}}`,
		string(appendEnvelope(nil, delivered())),
	} {
		f.Add(wire(f, c, js))
	}
}

// value of JSON as encoding/json reads it into numbers, strings and maps.
func value(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return v
}

// FuzzJSON holds a decoded envelope to what encoding/json reads, and to itself
// after an encoding in both ways.
func FuzzJSON(f *testing.F) {
	seedEnvelopes(f, JSON{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = JSON{}.Split(raw, MaxBatch, func(b []byte) error {
			var env event.Envelope
			err := JSON{}.DecodeFull(b, &env)
			checkVerdict(t, b, err)
			if err != nil {
				return nil
			}
			checkValues(t, b, &env)
			checkRoundTrip(t, &env)
			return nil
		})
	})
}

func checkVerdict(t *testing.T, b []byte, err error) {
	t.Helper()
	valid := jsonscan.Valid(b, 0) == jsonscan.OK && bytes.HasPrefix(bytes.TrimSpace(b), []byte("{"))
	if e := fault.Of(err); err != nil && valid && e.Kind == fault.Malformed && e.Field == "" {
		t.Fatalf("%q is a JSON object: %v", b, err)
	}
	if err == nil && !valid {
		t.Fatalf("%q is not a JSON object", b)
	}
}

func checkValues(t *testing.T, b []byte, env *event.Envelope) {
	t.Helper()
	want := value(t, b).(map[string]any)
	payload, _ := want["payload"].(map[string]any)
	text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	from, _ := want["from"].(map[string]any)
	for _, pair := range [][2]string{
		{env.ID, text(want, "id")}, {env.Room, text(want, "room")}, {env.Epoch, text(want, "epoch")}, {env.Ref, text(want, "ref")},
		{env.Tenant, text(want, "tenant_id")}, {env.Type.String(), text(want, "type")}, {env.Action, text(payload, "action")},
		{env.From.User, text(from, "user")}, {env.From.Device, text(from, "device")},
	} {
		if pair[0] != pair[1] {
			t.Fatalf("%q: %q, want %q", b, pair[0], pair[1])
		}
	}
	if offset, _ := want["offset"].(float64); uint64(offset) != env.Offset {
		t.Fatalf("%q: offset %d", b, env.Offset)
	}
	if data, ok := payload["data"]; ok && !reflect.DeepEqual(data, value(t, env.Data)) {
		t.Fatalf("%q: data %q", b, env.Data)
	}
}

func checkRoundTrip(t *testing.T, env *event.Envelope) {
	t.Helper()
	if env.Action == "" || env.Epoch == "" && env.Offset != 0 || env.From.User == "" && env.From.Device != "" {
		return // what is zero, or half there, is left out when encoding
	}
	for _, c := range codecs() {
		frame := c.Encode(env, frame.Durable, "").Payload()
		if !c.Binary() && jsonscan.Valid(frame, 0) != jsonscan.OK {
			t.Fatalf("%q: not JSON", frame)
		}
		var again event.Envelope
		if err := c.DecodeFull(frame, &again); err != nil {
			t.Fatalf("%s: %q: %v", c.Name(), frame, err)
		}
		if !reflect.DeepEqual(value(t, env.Data), value(t, again.Data)) {
			t.Fatalf("%s: data %q became %q", c.Name(), env.Data, again.Data)
		}
		again.Data = env.Data
		same(t, c.Name(), &again, env)
	}
}

// FuzzMessagePack feeds the other decoder; what it accepts must be strict JSON,
// and survive the way there and back.
func FuzzMessagePack(f *testing.F) {
	seedEnvelopes(f, MessagePack{})
	f.Add([]byte("\x82\xa4type\xa5event\xa7payload\x82\xa6action\xa3a:b\xa4data\x84\xa1a\xc4\x02\xff\x00\xa1b\xca\x3d\xcc\xcc\xcd\xa1c\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1d\xd3\x80\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = MessagePack{}.Split(raw, MaxBatch, func(b []byte) error {
			var env event.Envelope
			err := MessagePack{}.DecodeFull(b, &env)
			if !utf8.ValidString(env.ID) {
				t.Fatalf("%q: id %q", b, env.ID)
			}
			if err != nil {
				return nil
			}
			if p := jsonscan.Valid(env.Data, 2); p != jsonscan.OK || env.Data[0] != '{' {
				t.Fatalf("%q: data %q: %v", b, env.Data, p)
			}
			checkRoundTrip(t, &env)
			return nil
		})
	})
}

// FuzzToMessagePack holds the transcoder to the scanner's verdict, and its output
// to the same values.
func FuzzToMessagePack(f *testing.F) {
	f.Add([]byte(request))
	f.Add([]byte(`[[],{},[{}],1e5,-0,18446744073709551616,"\u00e9\\"]`))
	f.Fuzz(func(t *testing.T, js []byte) {
		packed, ok := toMessagePack(nil, js)
		if valid := jsonscan.Valid(js, 0) == jsonscan.OK; valid != ok && utf8.Valid(js) {
			t.Fatalf("%q: transcoded %v, valid %v", js, ok, valid)
		}
		if !ok || !utf8.Valid(js) {
			return
		}
		back, rest, p := toJSON(nil, packed, 0, 1<<30)
		if p != jsonscan.OK || len(rest) > 0 {
			t.Fatalf("%q: %q: %v", js, packed, p)
		}
		if !reflect.DeepEqual(value(t, js), value(t, back)) {
			t.Fatalf("%q became %q", js, back)
		}
	})
}
