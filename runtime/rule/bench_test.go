package rule

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		name  string
		rules []Config
	}{
		{"NoRules", nil},
		{"OtherAction", []Config{{Actions: []string{"room:create"}, Require: "false"}}},
		{"OtherRoom", []Config{{Actions: []string{"*"}, Rooms: []string{"news:*"}, Require: "false"}}},
		{"User", []Config{{Actions: []string{"*"}, Require: `user != "bob"`}}},
		{"RoomAndMember", []Config{{Actions: []string{"*"}, Require: `room.type == "conv" && (user.startsWith("bo") || member.publish)`}}},
		{"Token", []Config{{Actions: []string{"*"}, Require: `token.plan == "pro"`}}},
		{"Data", []Config{{Actions: []string{"*"}, Require: `size(data.text) < 1000`}}},
		{"DataLoop", []Config{{Actions: []string{"*"}, Require: `data.mentions.all(m, m != "bob")`}}},
		{"FourRules", []Config{
			{Actions: []string{"*"}, Require: `user != "bob"`}, {Actions: []string{"*"}, Require: `token.plan == "pro"`},
			{Actions: []string{"*"}, Require: `member.publish`}, {Actions: []string{"*"}, Require: `now > 0`},
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, err := New(map[string][]Config{"acme": c.rules}, Deps{Actions: actions})
			if err != nil {
				b.Fatal(err)
			}
			ev := happens("message:send", "conv:42", `{"text":"hello, how are you?","mentions":["ann","cid"],"meta":{"a":1}}`)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Check(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWorst is the longest that an event can keep its connection: a loop that
// runs into its bound.
func BenchmarkWorst(b *testing.B) {
	r := rules(b, Config{Require: `data.a.all(x, data.a.all(y, y <= x))`})
	data := []byte(`{"a":[1`)
	for range 30000 {
		data = append(data, ",1"...)
	}
	ev := happens("message:send", "conv:42", string(append(data, "]}"...)))
	b.ReportAllocs()
	for b.Loop() {
		if r.Check(ev) == nil {
			b.Fatal("it held")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	list := []Config{{Actions: []string{"*"}, Require: `room.type == "conv" && (user.startsWith("bo") || member.publish)`}}
	b.ReportAllocs()
	for b.Loop() {
		if p := Check(list); p != nil {
			b.Fatal(p)
		}
	}
}

var _ event.Origin = (*origin)(nil)
