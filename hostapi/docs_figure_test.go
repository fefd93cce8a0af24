package hostapi_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fetch"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/config"
	route "github.com/heddle-rt/heddle/runtime/plugin"
)

// figure is a number that a package keeps to itself: a constant, by the folder and its
// name.
func figure(t *testing.T, folder, name string) int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var found ast.Expr
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i := range spec.Names {
					if spec.Names[i].Name == name {
						found = spec.Values[i]
					}
				}
			}
			return true
		})
		if found == nil {
			continue
		}
		text := types.ExprString(found)
		for unit, d := range map[string]time.Duration{"time.Millisecond": time.Millisecond, "time.Second": time.Second, "time.Minute": time.Minute} {
			text = strings.ReplaceAll(text, unit, fmt.Sprint(int64(d)))
		}
		v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, text)
		if err != nil {
			t.Fatalf("%s: %s: %v", file, name, err)
		}
		n, _ := constant.Int64Val(v.Value)
		return n
	}
	t.Fatalf("there is no constant %s in %s", name, folder)
	return 0
}

// initial is the default of an option, by its name in YAML.
func initial[T any](t *testing.T, name string) string {
	t.Helper()
	of := reflect.TypeFor[T]()
	for i := range of.NumField() {
		if of.Field(i).Tag.Get("yaml") == name {
			return of.Field(i).Tag.Get("default")
		}
	}
	t.Fatalf("%v has no option %s", of, name)
	return ""
}

// size is a number of bytes as people write it.
func size[N ~int | ~int64](n N) string {
	s := config.Size(n).String()
	return strings.NewReplacer("KiB", " KiB", "MiB", " MiB").Replace(s)
}

func span(n int64) string {
	s := time.Duration(n).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return strings.NewReplacer("ms", " ms", "m", " min", "s", " s").Replace(s)
}

// TestDocumentHasTheFigures: each of these is a part of a sentence, made of what the
// code says.
func TestDocumentHasTheFigures(t *testing.T) {
	of := func(folder, name string) int64 { return figure(t, folder, name) }
	for _, text := range slices.Concat(ofCalls(t, of), ofReach(t, of), ofLife(t, of)) {
		says(t, text)
	}
}

const plugin = "runtime/plugin"

func ofCalls(t *testing.T, of func(folder, name string) int64) []string {
	return []string{
		// what it may do
		fmt.Sprintf("The sender reads the text (%s at most)", size(of(plugin, "maxText"))),
		fmt.Sprintf("%d bytes of name, %s of all", of(plugin, "maxName"), size(of(plugin, "maxExtra"))),
		fmt.Sprintf("carries (%s at most)", size(of(plugin, "maxReply"))),
		// calls and failures
		fmt.Sprintf("A call has up to %d events", hostapi.MaxBatch), fmt.Sprintf("| events in a call | %d |", hostapi.MaxBatch),
		fmt.Sprintf("more than %d actions about one event, or no list", hostapi.MaxActions), fmt.Sprintf("| actions about one event | %d, `pass` among them |", hostapi.MaxActions),
		fmt.Sprintf("A failed `timer` comes again, %d times in all: after %s, 2 s, and so on up to %s", of("plugins/timer", "maxTries"), span(of("plugins/timer", "firstRetry")), span(of("plugins/timer", "lastRetry"))),
		fmt.Sprintf("After %s failures in a row (`plugins.run.break_from`)", initial[host.Config](t, "break_from")),
		fmt.Sprintf("not asked for %s, then", span(nanoseconds(t, initial[host.Config](t, "break_for")))),
		fmt.Sprintf("up to %d times", of("plugins/pool", "most")),
		fmt.Sprintf("has called it for %s\n(`plugins.run.idle`)", span(nanoseconds(t, initial[host.Config](t, "idle")))),
		fmt.Sprintf("changes all the time: %d reruns", of("plugins/pool", "maxStale")),
		// the manifest and its bundle
		fmt.Sprintf("Bounds: %d bindings, %d patterns in each list, %d own actions, %d attributes, %d hosts, %s of config.", of("plugins/manifest", "maxBindings"), of("plugins/manifest", "maxPatterns"),
			of("plugins/manifest", "maxActions"), hostapi.MaxAttribute, of("plugins/manifest", "maxHosts"), size(of("plugins/manifest", "maxConfig"))),
		fmt.Sprintf("path has at most %d names", of("plugins/manifest", "maxDepth")),
		fmt.Sprintf("`%s` (%s), `%s` and `%s/*.json` (%d files of %s), %s in all", manifest.FileName, size(of("plugins/manifest", "maxText")), manifest.ModuleName, manifest.FixturesDir,
			of("plugins/manifest", "maxFixtures"), size(of("plugins/manifest", "maxFixture")), size(manifest.MaxBundle)),
		// fixtures
		fmt.Sprintf("together: %d steps, %d configs of their own, %s", of("plugins/fixture", "maxSteps"), of("plugins/fixture", "maxConfigs"), span(of("plugins/fixture", "maxTime"))),
		time.UnixMilli(fixture.Beginning).UTC().Format("left out: 2006-01-02, and a second later"),
	}
}

func ofReach(t *testing.T, of func(folder, name string) int64) []string {
	return []string{
		// the store
		fmt.Sprintf("Keys of 1 to %d bytes, values of up to %s", guest.MaxKey, size(guest.MaxValue)),
		fmt.Sprintf("- %d keys in one call.", of("plugins/kv", "maxTouched")),
		fmt.Sprintf("key, value and %d bytes each", of("plugins/kv", "expiry")),
		fmt.Sprintf("(`storage`, %s)", spaced(initial[host.Policy](t, "storage"))),
		fmt.Sprintf("the whole call is run again, %d times at most", of("plugins/pool", "maxStale")),
		// timers
		fmt.Sprintf("1 to %d bytes, with a payload of up to %s, within %d days, %s of a plugin (`timers`)", timer.MaxName, size(timer.MaxPayload), timer.MaxDelay/(24*time.Hour), initial[host.Policy](t, "timers")),
		// HTTP
		fmt.Sprintf("over `http_per_second` (%s); over `plugins.http.queue` (%s)", initial[host.Policy](t, "http_per_second"), initial[fetch.Config](t, "queue")),
		fmt.Sprintf("at most %s (`plugins.http.timeout`)", span(nanoseconds(t, initial[fetch.Config](t, "timeout")))),
		fmt.Sprintf("Of a body %s are kept (`plugins.http.body`)", spaced(initial[fetch.Config](t, "body"))),
		fmt.Sprintf("`POST %s`", route.RequestPath),
		fmt.Sprintf("names in lower case, %s)", size(of(plugin, "maxHeaders"))),
		fmt.Sprintf("The body has %s at most", size(of(plugin, "maxRequest"))),
		fmt.Sprintf("or %d requests are under way", of(plugin, "maxRequests")),
		// look-ups, metrics, logs
		fmt.Sprintf("%d at a time; `next`", of("runtime/app", "lookupMembers")),
		fmt.Sprintf("- Metrics have %d names", of("plugins/host", "maxNames")),
		fmt.Sprintf("the newest %d lines of a plugin's log, in memory; %s a second (`logs_per_second`), and %s of a call", of("plugins/host", "maxLines"), initial[host.Policy](t, "logs_per_second"), spaced(initial[guest.Limits](t, "logs"))),
		fmt.Sprintf("in lines of %s", size(of("plugins/guest", "maxLine"))),
	}
}

func ofLife(t *testing.T, of func(folder, name string) int64) []string {
	return []string{
		// versions
		fmt.Sprintf("when after %s events it fails on %s %% more of them", initial[host.CanaryConfig](t, "events"), percent(t, initial[host.CanaryConfig](t, "failed"))),
		fmt.Sprintf("median event takes %s times as long", initial[host.CanaryConfig](t, "slower")),
		fmt.Sprintf("%s versions are kept (`plugins.run.canary.history`)", initial[host.CanaryConfig](t, "history")),
		fmt.Sprintf("The newest %d events that it decides otherwise", of("plugins/host", "maxDiffs")),
		// limits
		fmt.Sprintf("| plugins of a tenant | %s (`plugins`) |", initial[host.Policy](t, "plugins")),
		fmt.Sprintf("| %s (`plugins.run.queue`) |", initial[host.Config](t, "queue")),
		fmt.Sprintf("| %d and %s of the node, half of each of a tenant; more are not called", of(plugin, "afterQueue"), size(of(plugin, "afterBytes"))),
		fmt.Sprintf("a second's of that at once (at least %s)", span(of("plugins/pool", "leastBurst"))),
		fmt.Sprintf("write %s a second (`writes_per_second`), %s at once (`writes_at_once`), timers among them: key, value and %d bytes of each write",
			spaced(initial[host.Policy](t, "writes_per_second")), spaced(initial[host.Policy](t, "writes_at_once")), of("runtime/cell", "overhead")),
		fmt.Sprintf("| %s a second (`emits_per_second`), twice as many at once |", initial[host.Policy](t, "emits_per_second")),
		fmt.Sprintf("| %s of the node (`plugins.http.workers`) |", initial[fetch.Config](t, "workers")),
		fmt.Sprintf("| HTTP requests that wait | %s (`plugins.http.queue`) and %s of the node", initial[fetch.Config](t, "queue"), size(of("plugins/fetch", "queueBytes"))),
		fmt.Sprintf("| events that wait for shadows | %d and %s of the node", of("plugins/host", "shadowQueue"), size(of("plugins/host", "shadowBytes"))),
		fmt.Sprintf("| an arena | %s to %s |", size(hostapi.MinArena), size(hostapi.MaxArena)),
		fmt.Sprintf("behind these %d bytes are capacity bytes", hostapi.ArenaHeader),
	}
}

func nanoseconds(t *testing.T, text string) int64 {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return int64(d)
}

func spaced(text string) string {
	return strings.NewReplacer("KiB", " KiB", "MiB", " MiB").Replace(text)
}

func percent(t *testing.T, text string) string {
	t.Helper()
	var f float64
	if _, err := fmt.Sscan(text, &f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(100 * f)
}

// TestDocumentQuotesErrors: what the table of errors quotes is said somewhere.
func TestDocumentQuotesErrors(t *testing.T) {
	var code strings.Builder
	for _, folder := range []string{"plugins/*", "runtime/plugin", "runtime/config", "cmd/heddle/plugin"} {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
	}
	for _, row := range table(t, "| it says |") {
		for part := range strings.SplitSeq(row[0], "…") {
			part = strings.Trim(part, " ,")
			if part == "" || strings.HasPrefix(part, "there is no ") { // a tool's name follows
				continue
			}
			if !strings.Contains(code.String(), part) {
				t.Errorf("nobody says %q", part)
			}
		}
	}
}

var metric = regexp.MustCompile(`heddle_plugin_[a-z_]+`)

// TestDocumentsNameTheMetrics: OPERATIONS.md has each metric of plugins, and no document
// one that is none.
func TestDocumentsNameTheMetrics(t *testing.T) {
	var code []byte
	for _, name := range []string{"plugins.go", "hostmetrics.go"} {
		text, err := os.ReadFile(filepath.Join("..", "runtime", "app", name))
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, text...)
	}
	operations, err := os.ReadFile(filepath.Join("..", "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := metric.FindAllString(string(code), -1)
	for _, name := range known {
		if !strings.Contains(string(operations), "`"+name) {
			t.Errorf("OPERATIONS.md does not have %s", name)
		}
	}
	for _, name := range metric.FindAllString(string(operations)+readDocument(t), -1) {
		if !slices.Contains(known, name) {
			t.Errorf("there is no metric %s", name)
		}
	}
}
