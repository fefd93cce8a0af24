package rule

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// FuzzCompile: no expression panics or takes long, at load or with an event.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`user == "ann"`, `data.text.matches("^a+$")`, `data.list.map(x, [x, x]).all(y, y.size() == 2)`, `[1,2].all(x, [3].exists(y, x==y))`,
		`has(token.a.b) ? token.a.b : false`, `room.type in ["conv"]`, "\"\\u00e9\" == 'x'", `timestamp("2026-01-01T00:00:00Z") < timestamp(now)`,
		`dyn(1) == 1u || b'\x00' == bytes(user)`, `type(data) == map`, `{"a": {"b": user}}.a.b == "ann"`, `-(-(-1)) < 2`, "((((((", `a.b.c.d(e)`, ``,
	} {
		f.Add(s, `{"text":"aaa","list":[1,2,3],"n":1.5}`)
	}
	f.Fuzz(func(t *testing.T, require, data string) {
		if !json.Valid([]byte(data)) || len(data) > 1<<16 {
			data = "{}"
		}
		cfg := Config{Actions: []string{"*"}, Require: require}
		took := func() time.Duration {
			start := time.Now()
			if Check([]Config{cfg}) == nil {
				r, err := New(map[string][]Config{"acme": {cfg}}, Deps{Actions: actions})
				if err != nil {
					t.Fatalf("Check finds nothing, New says %v", err)
				}
				_ = r.Check(happens("message:send", "conv:1", data)) // it may say what it likes
			}
			return time.Since(start)
		}
		const long = 2 * time.Second
		if first := took(); first > long && took() > long && took() > long { // and not the machine
			t.Fatalf("took %v", first)
		}
	})
}

// FuzzData: what is JSON can be read, and nothing else.
func FuzzData(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,2.5e3,-0,"\u00e9\ud83d\ude00",true,null,{}]}`, `{"a":{"a":{"a":[[]]}}}`, `{"a":1,}`, `{"a"`, `"x"`, `  {"a" : [ ] } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		v := object(data, true, nil)
		if string(data) != before {
			t.Fatal("the data was changed")
		}
		m := map[string]any{}
		good := utf8.Valid(data) && jsonscan.Valid(data, 0) == jsonscan.OK && json.Unmarshal(data, &m) == nil && m != nil
		_, bad := v.Value().(error)
		if good && bad {
			t.Errorf("%q: %v", data, v)
		}
		if got, ok := v.(traits.Mapper); ok && good && got.Size() != types.Int(len(m)) {
			t.Errorf("%q: %v members", data, got.Size())
		}
	})
}
