package validate

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// FuzzPayload compares the verdict with a plain one on encoding/json's values, and
// checks that the members handed over are those that encoding/json finds.
func FuzzPayload(f *testing.F) {
	f.Add(sample().Data)
	for _, s := range []string{
		`{"text":"x","place":{"room":"conv:1","offset":5},"parts":[{"a":[1]}],"mode":"plain"}`, `{"text":"x","text":"y"}`,
		`{"text":"\u00e9\n","meta":{"a":"1","a":"2"},"ttl_ms":1e3}`, `{"text":"x","mentions":["a",5],"ref":"a b","epoch":"e"}`, `{"text":1}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var args [event.MaxFields][]byte
		err := Payload(send, data, func(i int, raw []byte) { args[i] = raw })
		valid := jsonscan.Valid(data, around) == jsonscan.OK
		if err == nil && !valid {
			t.Fatalf("%q is not JSON", data)
		}
		if valid && fault.Is(err, fault.Malformed) {
			t.Fatalf("%q is JSON: %v", data, err)
		}
		if !jsontext.Value(data).IsValid() || !valid {
			return // names that come twice, which encoding/json does not see
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if e := d.Decode(&v); e != nil {
			t.Fatal(e)
		}
		if want := takes(&event.Field{Kind: event.Object, Fields: send}, v, data); (err == nil) != want {
			t.Fatalf("%q: %v, want accepted: %v", data, err, want)
		}
		if err == nil {
			checkArgs(t, data, &args)
		}
	})
}

func checkArgs(t *testing.T, data []byte, args *[event.MaxFields][]byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for i := range send {
		if !bytes.Equal(args[i], members[send[i].Name]) {
			t.Fatalf("%q: %s is %q", data, send[i].Name, args[i])
		}
	}
}

// takes says what the declaration says, as plainly as can be. raw is v's JSON, nil
// where bytes of JSON are not checked.
func takes(f *event.Field, v any, raw []byte) bool {
	switch f.Kind {
	case event.String:
		s, ok := v.(string)
		return ok && int64(len(s)) >= f.Min && (f.Max == 0 || int64(len(s)) <= f.Max) && (f.Enum == nil || oneOf(f.Enum, []byte(s))) &&
			format(f.Format, []byte(s)) == ""
	case event.Int:
		n, _ := v.(json.Number)
		i, err := strconv.ParseInt(n.String(), 10, 64)
		return err == nil && i >= f.Min && (f.Max == 0 && i < 1<<53 || i <= f.Max)
	case event.Bool:
		_, ok := v.(bool)
		return ok
	case event.Array:
		list, ok := v.([]any)
		for _, e := range list {
			ok = ok && (f.Elem == nil || takes(f.Elem, e, nil))
		}
		return ok && int64(len(list)) >= f.Min && (f.Max == 0 || int64(len(list)) <= f.Max)
	case event.Map:
		m, ok := v.(map[string]any)
		for _, e := range m {
			ok = ok && takes(f.Elem, e, nil)
		}
		return ok && int64(len(m)) >= f.Min && (f.Max == 0 || int64(len(m)) <= f.Max)
	case event.Object:
		return takesMembers(f, v, raw)
	}
	return f.Max == 0 || int64(len(raw)) <= f.Max
}

func takesMembers(f *event.Field, v any, raw []byte) bool {
	m, ok := v.(map[string]any)
	if !ok || f.Max != 0 && int64(len(raw)) > f.Max {
		return false
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(raw, &members)
	for i := range f.Fields {
		e, there := m[f.Fields[i].Name]
		if there && !takes(&f.Fields[i], e, members[f.Fields[i].Name]) || !there && f.Fields[i].Required {
			return false
		}
	}
	return true
}
