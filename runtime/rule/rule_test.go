package rule

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// origin is a session.
type origin struct {
	id     *event.Identity
	member *event.Membership
}

func (o *origin) Identity() *event.Identity { return o.id }
func (*origin) Opened() bool                { return true }
func (o *origin) Member(string) (event.Membership, bool) {
	if o.member == nil {
		return event.Membership{}, false
	}
	return *o.member, true
}

var actions = []event.Action{
	{Name: "message:send"}, {Name: "message:edit"}, {Name: "room:create"}, {Name: "session:open"}, {Name: "typing:start"},
}

// happens makes an event of ann, on her phone.
func happens(action, room, data string) *event.Event {
	return &event.Event{
		Envelope: event.Envelope{Tenant: "acme", From: event.Sender{User: "ann", Device: "phone"}, Room: room, Action: action, Data: []byte(data)},
		Spec:     &event.Action{Name: action},
		Origin: &origin{
			id:     &event.Identity{Tenant: "acme", User: "ann", Metadata: []byte(`{"plan":"pro","level":3,"tags":["a","b"]}`)},
			member: &event.Membership{Publish: true},
		},
	}
}

const noon = 1767268800000

func rules(t testing.TB, list ...Config) *Rules {
	t.Helper()
	for i := range list {
		if list[i].Actions == nil {
			list[i].Actions = []string{"*"}
		}
	}
	r, err := New(map[string][]Config{"acme": list}, Deps{Actions: actions, Now: func() time.Time { return time.UnixMilli(noon) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExpressions(t *testing.T) {
	const (
		held = iota
		refused
		failed
		costly
	)
	long := `{"list":[` + strings.Repeat("1,", 999) + `1]}`
	for name, c := range map[string]struct {
		require, data string
		want          int
	}{
		"user":                     {`user == "ann"`, "", held},
		"another user":             {`user == "bob"`, "", refused},
		"device":                   {`device == "phone"`, "", held},
		"tenant and action":        {`tenant == "acme" && action == "message:send"`, "", held},
		"room's parts":             {`room.name == "conv:42/polls" && room.type == "conv" && room.id == "42"`, "", held},
		"member":                   {`member.publish && !member.moderate`, "", held},
		"now":                      {`now == 1767268800000`, "", held},
		"now as a time":            {`timestamp(now / 1000).getHours() == 12`, "", held},
		"token":                    {`token.plan == "pro" && token.level > 2 && "b" in token.tags`, "", held},
		"token without it":         {`token.region == "eu"`, "", failed},
		"asked for first":          {`has(token.region) && token.region == "eu"`, "", refused},
		"data":                     {`size(data.text) < 10`, `{"text":"hello"}`, held},
		"data's text too long":     {`size(data.text) < 10`, `{"text":"hello, world"}`, refused},
		"no data":                  {`!has(data.text)`, "", held},
		"a missing field":          {`data.text != ""`, `{}`, failed},
		"another type":             {`data.text.startsWith("a")`, `{"text":1}`, failed},
		"escapes":                  {`data.text == "a\"é\n"`, `{"text":"a\"\u00e9\n"}`, held},
		"whole numbers":            {`data.n == 3 && data.n % 2 == 1`, `{"n":3}`, held},
		"fractions":                {`data.n > 2 && data.n == 2.5`, `{"n":2.5}`, held},
		"exponents":                {`data.n == 2000.0`, `{"n":2e3}`, held},
		"beyond 64 bits":           {`data.n > 1`, `{"n":99999999999999999999}`, held},
		"true, false, null":        {`data.a && !data.b && data.c == null`, `{"a":true,"b":false,"c":null}`, held},
		"nested":                   {`data.a.b[1].c == "x"`, `{"a":{"b":[0,{"c":"x"}]}}`, held},
		"the last of two":          {`data.a == 2`, `{"a":1,"a":2}`, held},
		"a loop":                   {`data.list.all(x, x == 1)`, `{"list":[1,1,1]}`, held},
		"a loop that fails":        {`data.list.all(x, x == 1)`, `{"list":[1,2,1]}`, refused},
		"a loop in a loop":         {`data.list.all(x, data.list.all(y, y == x))`, long, costly},
		"a long list, often":       {`data.list.all(x, x in data.other)`, `{"list":[` + strings.Repeat("1,", 99) + `1],"other":[` + strings.Repeat("2,", 200) + `1]}`, costly},
		"long texts, often":        {`data.list.all(x, data.a <= data.a)`, `{"list":[` + strings.Repeat("1,", 99) + `1],"a":"` + strings.Repeat("x", 2000) + `"}`, costly},
		"doubling texts":           {`(data.a+data.a+data.a+data.a).size() > 0`, `{"a":"` + strings.Repeat("x", 30000) + `"}`, costly},
		"a pattern":                {`data.text.matches("^[a-z]+$")`, `{"text":"hello"}`, held},
		"a client's own pattern":   {`data.text.matches(data.p)`, `{"text":"hello","p":"^h"}`, held},
		"a client's large pattern": {`data.text.matches(data.p)`, `{"text":"hello","p":"((a{50}){50}){50}"}`, failed},
		"a client's bad pattern":   {`data.text.matches(data.p)`, `{"text":"hello","p":"("}`, failed},
		"not an object":            {`has(data.text)`, `[1]`, failed},
		"not JSON":                 {`has(data.text)`, `{"text"`, failed},
		"too deep":                 {`has(data.text)`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), failed},
		"division by zero":         {`data.n / 0 == 1`, `{"n":1}`, failed},
	} {
		t.Run(name, func(t *testing.T) {
			r := rules(t, Config{Require: c.require, Message: "no"})
			err := r.Check(happens("message:send", "conv:42/polls", c.data))
			s := r.Stats()[0]
			got := [...]uint64{held: s.Held, refused: s.Refused, failed: s.Failed, costly: s.Costly}
			if got[c.want] != 1 || (err == nil) != (c.want == held) {
				t.Fatalf("%+v, %v", s, err)
			}
			if c.want == held {
				return
			}
			f := fault.Of(err)
			if f.Kind != fault.Forbidden || c.want != costly && f.Msg != "no" || c.want == costly && !strings.Contains(f.Msg, "too long") {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// TestMembersThatAreRead: only what expressions mention is read of data, which
// they can not notice.
func TestMembersThatAreRead(t *testing.T) {
	const data = `{"a":{"x":1},"b":"no text","c":[1,2],"d":0}`
	for require, want := range map[string]string{
		`user == "ann"`: "[]",
		`data.a.x == 1`: "[a]",
		`has(data.a) && data.a.x == 1 && !has(data.e)`: "[a e]",
		`data.c.all(b, b > data.d)`:                    "[c d]",
		`data["a"].x == 1`:                             "everything",
		`"a" in data`:                                  "everything",
		`size(data) == 4 && has(data.b)`:               "everything",
		`data.all(k, k < "e")`:                         "everything",
		`data.c.all(data, data < 3)`:                   "everything", // another data: no harm
	} {
		r := rules(t, Config{Require: require})
		got := fmt.Sprint((*r.current.Load())["acme"].byAction["message:send"].members)
		if (*r.current.Load())["acme"].byAction["message:send"].whole {
			got = "everything"
		}
		if got != want {
			t.Errorf("%s: reads %s, want %s", require, got, want)
		}
		if err := r.Check(happens("message:send", "conv:1", data)); err != nil {
			t.Errorf("%s: %v", require, err)
		}
	}
	r := rules(t, Config{Require: "has(data.a)"}, Config{Require: "data.d == 0 && !has(data.z)"}, Config{Require: "has(data.a)"})
	if got := fmt.Sprint((*r.current.Load())["acme"].byAction["message:send"].members); got != "[a d z]" {
		t.Error(got)
	}
	if err := r.Check(happens("message:send", "conv:1", data)); err != nil {
		t.Error(err)
	}
}

func TestWhichRulesApply(t *testing.T) {
	r := rules(t,
		Config{Actions: []string{"message:*"}, Rooms: []string{"news:*", "conv:1"}, Require: "member.moderate", Message: "first"},
		Config{Actions: []string{"message:send", "room:create"}, Require: `user != "ann"`, Message: "second"},
		Config{Actions: []string{"room:create"}, Require: "true", Message: "never"},
	)
	for name, c := range map[string]struct{ action, room, want string }{
		"by a beginning, room by a beginning": {"message:edit", "news:a", "first"},
		"the first that does not hold":        {"message:send", "conv:1", "first"},
		"another room":                        {"message:edit", "conv:12", ""},
		"rooms left out":                      {"message:send", "conv:2", "second"},
		"no room at all":                      {"room:create", "", "second"},
		"an action without rules":             {"typing:start", "news:a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check(happens(c.action, c.room, ""))
			if (err == nil) != (c.want == "") || err != nil && fault.Of(err).Msg != c.want {
				t.Error(err)
			}
		})
	}
	t.Run("another tenant", func(t *testing.T) {
		ev := happens("message:send", "conv:1", "")
		ev.Tenant = "globex"
		if err := r.Check(ev); err != nil {
			t.Error(err)
		}
	})
	t.Run("no member", func(t *testing.T) {
		ev := happens("message:edit", "conv:1", "")
		ev.Origin.(*origin).member = nil
		if err := r.Check(ev); !fault.Is(err, fault.Forbidden) {
			t.Error(err)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		ev := happens("message:edit", "conv:1", "")
		ev.Origin = &origin{}
		if err := rules(t, Config{Require: "size(token) == 0"}).Check(ev); err != nil {
			t.Error(err)
		}
	})
}

func TestFaultyRules(t *testing.T) {
	all := []string{"*"}
	literal := "[" + strings.Repeat("1,", 200) + "1]"
	for name, c := range map[string]struct {
		rule Config
		want string // one line for each problem
	}{
		"syntax":            {Config{Actions: all, Require: `user == `}, `rules[0].require: 1:9: Syntax error: mismatched input '<EOF>'`},
		"unknown variable":  {Config{Actions: all, Require: "true &&\n  usr == 'a'"}, `rules[0].require: 2:3: undeclared reference to 'usr'`},
		"unknown member":    {Config{Actions: all, Require: `room.kind == "a"`}, `rules[0].require: 1:5: undeclared reference to 'room.kind' (did you mean 'room.id'?)`},
		"mixed types":       {Config{Actions: all, Require: `user > 3`}, `rules[0].require: 1:6: found no matching overload for '_>_'`},
		"not bool":          {Config{Actions: all, Require: `user`}, `rules[0].require: 1:1: the expression is of type string, want bool`},
		"perhaps bool":      {Config{Actions: all, Require: `data.ok`}, `rules[0].require: 1:1: the expression is of type dyn, want bool; compare it`},
		"a bad pattern":     {Config{Actions: all, Require: `user.matches("(")`}, `rules[0].require: `},
		"a large pattern":   {Config{Actions: all, Require: `user.matches("((a{50}){50}){50}")`}, `rules[0].require: `},
		"too long":          {Config{Actions: all, Require: `user == "` + strings.Repeat("x", 5000) + `"`}, `rules[0].require: `},
		"too deep":          {Config{Actions: all, Require: strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500)}, `rules[0].require: `},
		"too costly":        {Config{Actions: all, Cost: 1000, Require: literal + ".all(x, " + literal + ".all(y, x == y))"}, `rules[0].require: 1:1: the expression costs up to`},
		"perhaps too much":  {Config{Actions: all, Cost: 5, Require: `user == "a" || user == "b" || user == "c"`}, `rules[0].require: 1:1: the expression costs up to`},
		"certainly":         {Config{Actions: all, Cost: 3, Require: `size(data.a + data.b) + size(user) > now`}, `rules[0].require: 1:1: the expression costs at least`},
		"star in between":   {Config{Actions: []string{"me*:send"}, Require: "true"}, `rules[0].actions[0]: want a name`},
		"no name":           {Config{Actions: all, Rooms: []string{"conv:*", ""}, Require: "true"}, `rules[0].rooms[1]: want a name`},
		"two at once":       {Config{Actions: all, Require: `a == b`}, "rules[0].require: 1:1: undeclared reference to 'a'\nrules[0].require: 1:6: undeclared reference to 'b'"},
		"a name of no type": {Config{Actions: all, Require: `member == null`}, `rules[0].require: 1:1: undeclared reference to 'member'`},
	} {
		t.Run(name, func(t *testing.T) {
			problems := Check([]Config{c.rule})
			var got []string
			for _, p := range problems {
				got = append(got, p.Error())
			}
			want := strings.Split(c.want, "\n")
			if len(got) != len(want) {
				t.Fatalf("got %q", got)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("got  %s\nwant %s", got[i], want[i])
				}
			}
			if _, err := New(map[string][]Config{"acme": {c.rule}}, Deps{Actions: actions}); err == nil || !strings.HasPrefix(err.Error(), "tenants.acme."+want[0]) {
				t.Errorf("New: %v", err)
			}
		})
	}
	_, err := New(map[string][]Config{"acme": {{Actions: []string{"message:*", "mesage:*"}, Require: "true"}}}, Deps{Actions: actions})
	if err == nil || err.Error() != `tenants.acme.rules[0].actions[1]: no action is called "mesage:*"` {
		t.Error(err)
	}
}

// TestKnownCost: what is bounded beforehand is not tracked, which is where the
// speed comes from.
func TestKnownCost(t *testing.T) {
	for require, tracked := range map[string]bool{
		`user == "ann"`: false,
		`room.type == "conv" && (user.startsWith("an") || member.publish)`: false,
		`room.name.matches("^conv:[0-9]+$") && action != tenant`:           false,
		`user in ["ann", "bob"] && now > 0`:                                false,
		`token.plan == "pro"`:                                              false,
		`size(data.text) < 1000`:                                           false,
		`data.a == data.b`:                                                 true,
		`data.list.all(x, x == 1)`:                                         true,
		`data.a + data.b != "x"`:                                           true,
		`data.a < data.b`:                                                  true,
		`data.a in data.b`:                                                 true,
		`user in data.b`:                                                   true,
		`string(data.a) == "1"`:                                            true,
		`data.text.contains(token.word)`:                                   true,
	} {
		r := rules(t, Config{Require: require})
		if got := (*r.current.Load())["acme"].byAction["message:send"].rules[0].tracked; got != tracked {
			t.Errorf("%s: tracked %v", require, got)
		}
	}
}

func TestReload(t *testing.T) {
	r := rules(t, Config{Require: "false", Message: "old"})
	send := func() error { return r.Check(happens("message:send", "conv:1", "")) }
	if err := send(); fault.Of(err).Msg != "old" {
		t.Fatal(err)
	}
	all := []string{"*"}
	err := r.Reload(map[string][]Config{
		"acme":   {{Actions: all, Require: "true"}, {Actions: all, Require: "tru"}},
		"globex": {{Actions: all, Require: "1"}},
	})
	if err == nil || !strings.Contains(err.Error(), "tenants.acme.rules[1].require: 1:1: ") || !strings.Contains(err.Error(), "tenants.globex.rules[0].require: 1:1: ") {
		t.Fatal(err)
	}
	if err := send(); fault.Of(err).Msg != "old" {
		t.Errorf("a faulty reload changed something: %v", err)
	}
	if err := r.Reload(map[string][]Config{"acme": {{Actions: all, Require: `user == "ann"`}}}); err != nil {
		t.Fatal(err)
	}
	if err := send(); err != nil {
		t.Error(err)
	}
	if s := r.Stats()[0]; s.Refused != 2 || s.Held != 1 {
		t.Errorf("the counters did not survive: %+v", s)
	}
	if err := r.Reload(nil); err != nil || len(r.Stats()) != 0 || send() != nil {
		t.Error("no rules")
	}
}

// TestAtOnce: events of several goroutines while the rules are swapped. Every
// event sees one set of rules or the other.
func TestAtOnce(t *testing.T) {
	r := rules(t, Config{Require: `data.n == 7 && token.n == 7 && size(user) > 0`, Message: "no"})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				n := (g + i) % 10
				ev := happens("message:send", "conv:1", fmt.Sprintf(`{"n":%d}`, n))
				ev.Origin.(*origin).id.Metadata = fmt.Appendf(nil, `{"n":%d}`, n)
				if err := r.Check(ev); (err == nil) != (n == 7) {
					t.Errorf("n is %d: %v", n, err)
				}
			}
		})
	}
	for i := range 20 {
		err := r.Reload(map[string][]Config{"acme": {{Actions: []string{"*"}, Message: "no", Require: fmt.Sprintf(`data.n == 7 && token.n == 7 && size(user) < %d`, 100+i)}}})
		if err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestTokensOfManyUsers(t *testing.T) {
	r := rules(t, Config{Require: `token.user == user`})
	for i := range 5000 { // more than there are places
		ev := happens("message:send", "conv:1", "")
		ev.From.User = fmt.Sprint("u", i)
		ev.Origin.(*origin).id = &event.Identity{Metadata: fmt.Appendf(nil, `{"user":"u%d"}`, i)}
		for range 2 {
			if err := r.Check(ev); err != nil {
				t.Fatal(i, err)
			}
		}
	}
}
