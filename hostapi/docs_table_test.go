package hostapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
)

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: the document has\n %q\nthe code\n %q", what, got, want)
	}
}

// numbered lists what has a name for each number from first on.
func numbered[T ~uint8 | ~uint16](first T, name func(T) string) (out []string) {
	for n := first; name(n) != ""; n++ {
		out = append(out, fmt.Sprint(int(n), " ", name(n)))
	}
	return out
}

func pairs(rows [][]string) (out []string) {
	for _, r := range rows {
		out = append(out, r[0]+" "+r[1])
	}
	return out
}

func TestDocumentHasTheHooks(t *testing.T) {
	rows := table(t, "| n | hook |")
	same(t, "hooks", pairs(rows), numbered(hostapi.HookBefore, hostapi.Hook.String))
	for _, r := range rows {
		if want := hostapi.ParseHook(r[1]).Decides(); (r[3] == "yes") != want {
			t.Errorf("%s decides: %v", r[1], want)
		}
	}
}

func TestDocumentHasTheActions(t *testing.T) {
	rows := table(t, "| n | action |")
	same(t, "actions", pairs(rows), numbered(hostapi.Pass, hostapi.ActionKind.String))
	for _, r := range rows {
		needs := string(hostapi.ParseAction(r[1]).Needs())
		if needs == "" {
			needs = "–"
		}
		if r[2] != needs {
			t.Errorf("%s needs %s, the document says %s", r[1], needs, r[2])
		}
	}
	var codes []string
	for n := uint32(0); ; n++ {
		a := fixture.Describe(hostapi.Action{Kind: hostapi.Drop, Code: n})
		if strings.HasPrefix(a.Code, "unknown") {
			break
		}
		codes = append(codes, fmt.Sprint(n, " ", a.Code))
	}
	same(t, "codes of drop", pairs(table(t, "| n | `drop` code |")), codes)
}

var quotedWord = regexp.MustCompile("`([a-z_]+)`")

// TestDocumentSaysWhatHooksTake: the sentence below the tables of actions is what Permits
// has. It does not name pass, which is the same as saying nothing.
func TestDocumentSaysWhatHooksTake(t *testing.T) {
	sentence := "`before`" + between(t, "\n`before`", ". Anything else")
	var hooks, others []string
	for _, r := range table(t, "| n | hook |") {
		others = append(others, r[1])
	}
	words := func(s string) (out []string) {
		for _, m := range quotedWord.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
		return out
	}
	for clause := range strings.SplitSeq(sentence, "; ") {
		subject, object, found := strings.Cut(clause, " take")
		if hooks = words(subject); !found { // "the others emit …"
			hooks, object = others, clause
		}
		kinds, all := words(object), strings.Contains(object, " all")
		if strings.Contains(object, "timers") {
			kinds = append(kinds, "set_timer", "cancel_timer")
		}
		for _, hook := range hooks {
			others = slices.DeleteFunc(slices.Clone(others), func(o string) bool { return o == hook })
			for k := hostapi.Pass; k.String() != ""; k++ {
				want := k == hostapi.Pass || slices.Contains(kinds, k.String()) != all
				if got := hostapi.Permits(hostapi.ParseHook(hook), k); got != want {
					t.Errorf("%v at %s: the document has it: %v, the code: %v", k, hook, want, got)
				}
			}
		}
	}
	if len(others) > 0 || hostapi.Permits(0, hostapi.Pass) || hostapi.Permits(200, hostapi.Pass) || hostapi.Permits(hostapi.HookHandle, 0) || hostapi.Permits(hostapi.HookHandle, 200) {
		t.Errorf("nothing is said of %v, or something of what there is not", others)
	}
}

func TestDocumentHasTheStatuses(t *testing.T) {
	var want []string
	for s := hostapi.OK; s.String() != "unknown"; s-- {
		want = append(want, fmt.Sprint(int(s), " ", s))
	}
	same(t, "statuses", pairs(table(t, "| value | status |")), want)
}

func TestDocumentHasTheExports(t *testing.T) {
	want := []string{
		hostapi.ExportMemory, hostapi.ExportABI, hostapi.ExportBuffers, hostapi.ExportInit, hostapi.ExportBatch, hostapi.ExportIdle, hostapi.ExportSeed, "_initialize",
	}
	same(t, "exports", column(table(t, "| export |"), 0), want)
}

// TestDocumentHasTheChoices: modes, policies, reasons and capabilities.
func TestDocumentHasTheChoices(t *testing.T) {
	same(t, "modes", column(table(t, "| mode |"), 0), enum("Mode"))
	same(t, "failure", column(table(t, "| `failure` | the event |"), 0), enum("Failure"))
	var want []string
	for _, r := range guest.Reasons() {
		want = append(want, r.String())
	}
	want = append(want, pool.ReasonStart, pool.ReasonStale, pool.ReasonStore, pool.ReasonAction, pool.ReasonTooLong, pool.ReasonBusy, pool.ReasonBroken)
	same(t, "reasons", column(table(t, "| reason |"), 0), want)
	for _, reason := range want {
		text := fmt.Sprintf(`{"name":"x","steps":[{"event":{},"fails":%q}]}`, reason)
		_, err := fixture.Parse(manifest.Fixture{Name: "x.json", Text: []byte(text)})
		alone := slices.Contains([]string{pool.ReasonStale, pool.ReasonBusy, pool.ReasonBroken}, reason)
		if (err == nil) == alone { // a fixture has one event at a time: nothing waits, and nobody else writes
			t.Errorf("fails: %s: %v", reason, err)
		}
	}
	same(t, "capabilities", strings.Split(between(t, "What the guest may do beside deciding: ", "."), ", "), capabilities())
}

func enum(field string) []string {
	f, _ := reflect.TypeFor[manifest.Manifest]().FieldByName(field)
	return strings.Split(f.Tag.Get("enum"), ",")
}

func capabilities() (out []string) {
	for _, c := range hostapi.Capabilities() {
		out = append(out, string(c))
	}
	return out
}

func between(t *testing.T, from, to string) string {
	t.Helper()
	_, rest, found := strings.Cut(readDocument(t), from)
	if !found {
		t.Fatalf("the document has no %q", from)
	}
	out, _, _ := strings.Cut(rest, to)
	return out
}

// TestDocumentHasTheFixtures: the members of fixtures, steps and events, and of each
// action that a fixture expects.
func TestDocumentHasTheFixtures(t *testing.T) {
	for header, of := range map[string]reflect.Type{
		"| fixture |": reflect.TypeFor[fixture.Fixture](), "| step |": reflect.TypeFor[fixture.Step](), "| event |": reflect.TypeFor[fixture.Event](),
	} {
		var got, want []string
		for _, cell := range column(table(t, header), 0) {
			got = append(got, strings.Split(cell, ", ")...)
		}
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		slices.Sort(got)
		slices.Sort(want)
		same(t, header, got, want)
	}
	rows := table(t, "| `do` |")
	same(t, "actions of fixtures", column(rows, 0), column(table(t, "| n | action |"), 1))
	for _, r := range rows {
		expects(t, r[0], strings.Split(r[1], ", "))
	}
}

// expects holds the members of an action against what a fixture takes.
func expects(t *testing.T, do string, members []string) {
	t.Helper()
	of := reflect.TypeFor[fixture.Action]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "do" {
			continue
		}
		value := reflect.New(of.Field(i).Type).Elem().Interface()
		if of.Field(i).Type == reflect.TypeFor[json.RawMessage]() {
			value = json.RawMessage("{}")
		}
		action := map[string]any{"do": do, name: value}
		if do == "drop" {
			action["code"] = "forbidden"
		}
		text, err := json.Marshal(fixture.Fixture{Name: "x", Steps: []fixture.Step{{}}})
		if err != nil {
			t.Fatal(err)
		}
		list, err := json.Marshal([]any{action})
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.Replace(string(text), `"event":{}`, `"event":{},"expect":`+string(list), 1))
		_, err = fixture.Parse(manifest.Fixture{Name: "x.json", Text: text})
		if taken, told := err == nil, slices.Contains(members, name); taken != told {
			t.Errorf("%s of %s: the document has it: %v, the code: %v (%v)", name, do, told, taken, err)
		}
	}
}

// TestLookupsHaveOneWording: what a look-up answers stands alike in the document, in the
// contract and in every SDK, and its members where the node makes them.
func TestLookupsHaveOneWording(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	files, err := filepath.Glob(filepath.Join("..", "runtime", "app", "plugin*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var node string
	for _, file := range files {
		node += read(strings.TrimPrefix(filepath.ToSlash(file), "../"))
	}
	member := regexp.MustCompile(`"([a-z_]+)":`)
	for _, row := range table(t, "| kind | name | JSON |") {
		form := row[2][:strings.LastIndex(row[2], "}")+1]
		for _, name := range []string{"hostapi/function.go", "sdk-wasm/go/lookup.go", "sdk-wasm/rust/src/lookup.rs", "sdk-wasm/c/heddle.h", "sdk-wasm/as/assembly/host.ts"} {
			if !strings.Contains(read(name), form) {
				t.Errorf("%s: %s does not say %s", row[0], name, form)
			}
		}
		for _, m := range member.FindAllStringSubmatch(form, -1) {
			if !regexp.MustCompile(`"` + m[1] + `"[\]:]|json:"` + m[1] + `\b`).MatchString(node) {
				t.Errorf("%s: the node does not make %q", row[0], m[1])
			}
		}
	}
}

// TestDocumentsFixtureIsOne: the example can be parsed.
func TestDocumentsFixtureIsOne(t *testing.T) {
	text := between(t, "```json\n", "```")
	if _, err := fixture.Parse(manifest.Fixture{Name: "x.json", Text: []byte(text)}); err != nil {
		t.Error(err)
	}
}

// TestDocumentHasTheHooksAttributes: what a hook brings along is named where it is made.
func TestDocumentHasTheHooksAttributes(t *testing.T) {
	for file, hooks := range map[string][]string{"outside.go": {"timer", "response"}, "request.go": {"request"}} {
		code, err := os.ReadFile(filepath.Join("..", "runtime", "plugin", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range table(t, "| n | hook |") {
			_, list, found := strings.Cut(row[4], "attributes ")
			if found != slices.Contains([]string{"timer", "response", "request"}, row[1]) {
				t.Errorf("%s: %s", row[1], row[4])
			}
			if !slices.Contains(hooks, row[1]) {
				continue
			}
			for name := range strings.SplitSeq(list, ", ") {
				if !strings.Contains(string(code), `"`+name+`"`) {
					t.Errorf("%s does not make the attribute %s", file, name)
				}
			}
		}
	}
}
