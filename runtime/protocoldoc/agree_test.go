package protocoldoc

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// byteLimits lets the validator know the keywords that JSON Schema lacks.
type byteLimits struct{ least, most, json int64 }

func (l byteLimits) Validate(ctx *jsonschema.ValidatorContext, v any) {
	s, isText := v.(string)
	if n := int64(len(s)); isText && (n < l.least || l.most > 0 && n > l.most) || l.json > 0 && int64(len(compact(v))) > l.json {
		ctx.AddError(&kind.FalseSchema{})
	}
}

func compact(v any) []byte {
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func compileByteLimits(_ *jsonschema.CompilerContext, obj map[string]any) (jsonschema.SchemaExt, error) {
	number := func(keyword string) int64 {
		n, _ := obj[keyword].(json.Number)
		i, _ := n.Int64()
		return i
	}
	l := byteLimits{number(minBytes), number(maxBytes), number(maxJSONBytes)}
	if l == (byteLimits{}) {
		return nil, nil
	}
	return l, nil
}

// schemas are the compiled definitions that the tests need.
type schemas struct{ server, client, data *jsonschema.Schema }

func compile(t testing.TB, actions []event.Action) (s schemas) {
	t.Helper()
	b, err := Schema(actions)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertVocabs()
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: "urn:heddle:bytes", Compile: compileByteLimits})
	const id = "urn:heddle:protocol:1"
	if err := c.AddResource(id, parse(t, b)); err != nil {
		t.Fatal(err)
	}
	definition := func(name string) *jsonschema.Schema {
		d, err := c.Compile(id + "#/$defs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	s.server, s.client = definition("frame_to_server"), definition("frame_to_client")
	if len(actions) > 0 {
		s.data = definition(actions[0].Name + ".data")
	}
	return s
}

func parse(t testing.TB, js []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
	if err != nil {
		t.Fatalf("%q: %v", js, err)
	}
	return v
}

// anything is a JSON value that a declaration may or may not want.
func anything() *rapid.Generator[any] {
	return rapid.SampledFrom([]any{nil, true, 0, -4, 1.5, 1 << 53, "", "ab", "é", strings.Repeat("é", 7), []any{}, map[string]any{}, map[string]any{"epoch": "e"}})
}

func texts(s ...any) *rapid.Generator[any] { return rapid.SampledFrom(s) }

func integers(low, high int64) *rapid.Generator[any] {
	return rapid.Map(rapid.Int64Range(low, high), func(n int64) any { return n })
}

func lists(elem *rapid.Generator[any], most int) *rapid.Generator[any] {
	return rapid.Map(rapid.SliceOfN(elem, 0, most), func(s []any) any { return s })
}

func dictionaries(elem *rapid.Generator[any], most int) *rapid.Generator[any] {
	return rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"", "a", "b", "é", "\"\n"}), elem, 0, most), func(m map[string]any) any { return m })
}

func positions() *rapid.Generator[any] {
	return nearly(map[string]any{"epoch": "e", "offset": 1}, map[string]*rapid.Generator[any]{
		"epoch": texts("e", "01JD", "a b", "", strings.Repeat("e", 64), strings.Repeat("e", 65)), "offset": texts(-1, 0, 1<<53-1, 1<<53), "more": texts("x", strings.Repeat("x", 40)),
	})
}

// nearly changes a few members of a valid object: to something close, to anything,
// or to nothing. One wrong member at a time shows disagreement best.
func nearly(valid map[string]any, members map[string]*rapid.Generator[any]) *rapid.Generator[any] {
	names := slices.Sorted(maps.Keys(members))
	return rapid.Custom(func(t *rapid.T) any {
		m := maps.Clone(valid)
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.IntRange(0, 9).Draw(t, "how") {
			case 0:
				delete(m, name)
			case 1:
				m[name] = anything().Draw(t, name)
			default:
				m[name] = members[name].Draw(t, name)
			}
		}
		return m
	})
}

func data() *rapid.Generator[any] {
	users := texts("ann", "b@c.d", "ann", "a/b")
	return nearly(map[string]any{"text": "hi"}, map[string]*rapid.Generator[any]{
		"text":      texts("hi", "héllo", "\"\\\n\t\u2028<", "123456789012", "1234567890123", "ééééééé", "é", "😀😀😀", "😀😀😀😀"),
		"body":      rapid.OneOf(anything(), lists(integers(0, 9), 6)),
		"mentions":  lists(users, 4),
		"meta":      dictionaries(texts("", "abc", "é", "éé", "abcd"), 3),
		"ttl_ms":    integers(-4, 6),
		"ephemeral": texts(true, false),
		"mode":      texts("plain", "rich", "Plain"),
		"since":     positions(),
		"room":      texts("conv:42", "conv:42/typing", "conv:42/participant/ann", "conv:42/participant", "conv:42/participant/participant", "conv", "Conv:1", "conv:4 2", "a:b/c/d"),
		"ref":       texts("01J", " ~", "", "é", "a\n", strings.Repeat("r", 64), strings.Repeat("r", 65)),
		"many":      dictionaries(lists(positions(), 2), 2),
		"unknown":   anything(),
	})
}

// The schema and package validate are two readings of one declaration.
func TestValidateAgreesOnData(t *testing.T) {
	s, spec := compile(t, actions()), actions()[0].Payload
	accepted, refused := 0, 0
	check(t, func(t *rapid.T) {
		js := compact(data().Draw(t, "data"))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := validate.Payload(spec, js, nil), s.data.Validate(v)
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("%s:\nvalidate %v\nschema   %v", js, ours, theirs)
		}
		if ours == nil {
			accepted++
		} else {
			refused++
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("one-sided: %d accepted, %d refused", accepted, refused)
	}
}

func TestDecodeAgreesOnEnvelopes(t *testing.T) {
	s, list := compile(t, actions()), actions()
	hi := map[string]any{"action": "message:send", "data": map[string]any{"text": "hi"}}
	payload := nearly(hi, map[string]*rapid.Generator[any]{
		"action": texts("message:send", "session:ping", "message:send", "message:none", "call:none", "nosuch"),
		"data":   rapid.Map(texts("hi", "x"), func(text any) any { return map[string]any{"text": text} }),
	})
	valid := map[string]any{"v": 1, "type": "event", "room": "conv:42", "epoch": "e", "offset": 5, "payload": hi}
	envelopes := nearly(valid, map[string]*rapid.Generator[any]{
		"v": texts(1, 1, 1, 2), "type": texts("event", "message", "event", "ack", "error", "no"), "id": texts("1", "a b", "é", strings.Repeat("i", 65)),
		"room": texts("conv:42", "conv:42", "conv"), "epoch": texts("e", "e e"), "offset": texts(-1, 0, 1<<53-1, 1<<53), "ref": texts("r"), "payload": payload,
		"from": anything(), "tenant_id": anything(), "timestamp": anything(), "expires_at": anything(), "unknown": anything(),
	})
	check(t, func(t *rapid.T) {
		m := envelopes.Draw(t, "envelope").(map[string]any)
		for _, name := range []string{"id", "room"} {
			if m[name] == "" {
				delete(m, name) // the server takes an empty one for none, the schema does not
			}
		}
		js := compact(m)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
		if err != nil {
			t.Fatal(err)
		}
		if ours, theirs := accept(js, list), s.server.Validate(v); (ours == nil) != (theirs == nil) {
			t.Fatalf("%s:\nserver %v\nschema %v", js, ours, theirs)
		}
	})
}

// Actions that plugins may own are in the schema, whose data it cannot know.
func TestOwnActions(t *testing.T) {
	s := compile(t, actions())
	for action, want := range map[string]bool{"order:created": true, "message:send": false, "message:created": false, "doc:created": false, "order": false, "Order:created": false} {
		err := s.server.Validate(parse(t, []byte(`{"type":"event","room":"conv:1","payload":{"action":"`+action+`","data":{"any":1}}}`)))
		if (err == nil) != want {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// accept is what decode and validate do on the route.
func accept(js []byte, list []event.Action) error {
	var env event.Envelope
	if err := (native.JSON{}).Decode(js, &env); err != nil {
		return err
	}
	var spec *event.Action
	for i := range list {
		if env.Type != event.TypeAck && list[i].Name == env.Action {
			spec = &list[i]
		}
	}
	if err := validate.Envelope(&env, spec); err != nil || spec == nil {
		return err
	}
	return validate.Payload(spec.Payload, env.Data, nil)
}

// check runs more cases than rapid does by default.
func check(t *testing.T, property func(*rapid.T)) {
	for range 20 {
		rapid.Check(t, property)
	}
}
