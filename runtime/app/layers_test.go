package app

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/heddle-rt/heddle/"

var leaves = []string{"runtime/event", "runtime/fault", "runtime/frame", "runtime/observe", "runtime/config"}

// layers says what each package may import of the project, tests aside. A
// package that is not listed may be imported by nobody and import nothing; runtime/app
// may import all that is below it.
var layers = map[string][]string{
	"runtime/event":                   nil,
	"runtime/fault":                   nil,
	"runtime/frame":                   nil,
	"runtime/observe":                 nil,
	"runtime/config":                  nil,
	"runtime/jsonscan":                nil,
	"runtime/planted":                 nil,
	"runtime/pipeline":                leaves,
	"runtime/socket":                  leaves,
	"runtime/dialect/native":          append(leaves, "runtime/jsonscan"),
	"runtime/trail":                   {"runtime/frame"},
	"runtime/dialect/socketio":        append(leaves, "runtime/jsonscan", "runtime/trail"),
	"runtime/engineio":                append(leaves, "runtime/socket"),
	"runtime/socketio":                append(leaves, "runtime/dialect/socketio", "runtime/engineio", "runtime/jsonscan", "runtime/session", "runtime/socket", "runtime/trail"),
	"runtime/decode":                  append(leaves, "runtime/pipeline"),
	"runtime/authenticate":            append(leaves, "runtime/pipeline", "runtime/jsonscan", "runtime/room"),
	"runtime/limit":                   append(leaves, "runtime/pipeline"),
	"runtime/validate":                append(leaves, "runtime/pipeline", "runtime/jsonscan"),
	"runtime/rule":                    append(leaves, "runtime/jsonscan"),
	"runtime/authorize":               append(leaves, "runtime/pipeline"),
	"runtime/sequence":                append(leaves, "runtime/planted", "runtime/pipeline"),
	"runtime/sequence/logtest":        append(leaves, "runtime/sequence"),
	"runtime/deliver":                 append(leaves, "runtime/planted", "runtime/pipeline", "runtime/room"),
	"runtime/ack":                     append(leaves, "runtime/pipeline", "runtime/jsonscan"),
	"runtime/room":                    leaves,
	"runtime/room/roomtest":           append(leaves, "runtime/room"),
	"runtime/tail":                    append(leaves, "runtime/planted", "runtime/room", "runtime/sequence"),
	"runtime/session":                 append(leaves, "runtime/planted", "runtime/pipeline", "runtime/room", "runtime/deliver", "runtime/ack", "runtime/limit", "runtime/jsonscan", "runtime/trail"),
	"runtime/cell":                    nil,
	"runtime/cell/celltest":           {"runtime/cell"},
	"runtime/session/storetest":       append(leaves, "runtime/session"),
	"runtime/adapter/clienttls":       nil,
	"runtime/adapter/codec":           append(leaves, "runtime/room", "runtime/sequence", "runtime/session"),
	"runtime/adapter/embedded":        append(leaves, "runtime/adapter/codec", "runtime/cell", "runtime/room", "runtime/sequence", "runtime/session"),
	"runtime/adapter/kafka":           append(leaves, "runtime/planted", "runtime/adapter/clienttls", "runtime/adapter/codec", "runtime/sequence", "runtime/worker"),
	"runtime/adapter/mongo":           append(leaves, "runtime/adapter/clienttls", "runtime/cell", "runtime/room", "runtime/sequence", "runtime/worker"),
	"runtime/adapter/kafka/kafkatest": nil,
	"runtime/adapter/redis":           append(leaves, "runtime/adapter/clienttls", "runtime/adapter/codec", "runtime/cell", "runtime/limit", "runtime/session"),
	"runtime/adapter/redis/redistest": nil,
	"runtime/worker":                  leaves,
	"runtime/cluster":                 append(leaves, "runtime/planted", "runtime/adapter/codec", "runtime/deliver", "runtime/room", "runtime/sequence"),
	"runtime/directory":               append(leaves, "runtime/planted", "runtime/adapter/codec", "runtime/session"),
	"runtime/plugin":                  append(leaves, "runtime/adapter/codec", "runtime/jsonscan", "runtime/pipeline", "runtime/room", "runtime/validate", "hostapi", "plugins/fair", "plugins/fetch", "plugins/host", "plugins/manifest", "plugins/pool", "plugins/timer"),
	"runtime/protocoldoc":             append(leaves, "runtime/validate"),
	"runtime/deadletter":              append(leaves, "runtime/jsonscan", "runtime/room"),
	"runtime/api":                     append(leaves, "runtime/ack", "runtime/jsonscan", "runtime/limit", "runtime/protocoldoc", "runtime/room", "runtime/validate"),

	"builtin":              append(leaves, "runtime/pipeline", "runtime/room", "builtin/chat", "builtin/direct", "builtin/presence", "builtin/room", "builtin/typing"),
	"builtin/chat":         append(leaves, "runtime/room"),
	"builtin/room":         append(leaves, "runtime/room"),
	"builtin/direct":       append(leaves, "runtime/room"),
	"builtin/presence":     append(leaves, "runtime/room"),
	"builtin/typing":       leaves,
	"builtin/notification": append(leaves, "runtime/jsonscan", "runtime/room"),

	// The WASM host knows no event of the route: runtime/plugin brings the two together.
	"hostapi":                 nil,
	"plugins/wasm":            nil,
	"plugins/memory":          nil,
	"plugins/meter":           {"plugins/wasm", "runtime/config"},
	"plugins/guest":           {"hostapi", "plugins/memory", "plugins/meter", "runtime/config"},
	"plugins/guest/guesttest": {"hostapi", "plugins/wasm"},
	"plugins/kv":              {"hostapi", "runtime/cell"},
	"plugins/fair":            {"hostapi"},
	"plugins/timer":           {"plugins/fair", "runtime/cell", "runtime/fault"},
	"plugins/fetch":           {"plugins/fair", "runtime/config", "runtime/observe"},
	"plugins/manifest":        {"hostapi", "plugins/guest", "runtime/config"},
	"plugins/record":          {"hostapi", "plugins/manifest", "runtime/jsonscan"},
	"plugins/pool":            {"hostapi", "plugins/guest", "plugins/kv", "runtime/config", "runtime/observe"},
	"plugins/host":            {"hostapi", "plugins/fair", "plugins/guest", "plugins/kv", "plugins/manifest", "plugins/pool", "plugins/record", "runtime/cell", "runtime/config", "runtime/fault", "runtime/observe"},
	"plugins/fixture":         {"hostapi", "plugins/guest", "plugins/kv", "plugins/manifest", "plugins/pool", "plugins/record", "runtime/cell"},

	// What an author of a native plugin imports has nothing of the node in it.
	"plugins/native":               append(leaves, "builtin/notification", "plugins/native/wire"),
	"plugins/native/serve":         {"plugins/native/wire"},
	"plugins/native/wire":          nil,
	"plugins/native/wire/generate": nil,

	"sdk-wasm":             nil,
	"sdk-wasm/as":          nil,
	"sdk-wasm/c/test":      nil,
	"sdk-wasm/rust/test":   nil,
	"sdk-wasm/conformance": nil,

	"clients/go":            {"clients/go/wire"},
	"clients/go/wire":       nil,
	"clients/go/clienttest": {"clients/go"},
	"clients/go/heddletest": {"clients/go/wire"},
	"clients/js/build":      nil,

	"examples/chat":                 nil,
	"examples/plugins":              nil,
	"examples/native/authenticator": {"plugins/native/serve"},
	"examples/native/moderator":     {"plugins/native/serve"},
	"examples/native/pushnotifier":  {"plugins/native/serve"},
	"examples/native/sink":          {"plugins/native/serve"},

	"docs/generate": append(leaves, "builtin", "runtime/api", "runtime/app", "runtime/protocoldoc", "runtime/session"),
	"cmd/heddle": append(leaves, "clients/go/wire", "cmd/heddle/loadtest", "cmd/heddle/plugin", "examples/chat", "runtime/app", "runtime/authenticate",
		"runtime/deadletter", "runtime/validate", "runtime/worker"),
	"cmd/heddle/loadtest": {"clients/go/wire", "runtime/observe"},
	"cmd/heddle/plugin": {"builtin", "hostapi", "plugins/fixture", "plugins/guest", "plugins/host", "plugins/manifest", "plugins/meter", "plugins/record", "plugins/wasm",
		"runtime/config", "runtime/plugin", "runtime/session", "sdk-wasm"},
}

// drivers may each be imported by their homes alone; the clients are programs of others,
// with drivers of their own.
var drivers = map[string][]string{
	"github.com/lxzan/gws":               {"runtime/socket", "clients/go", "clients/go/heddletest", "cmd/heddle/loadtest"},
	"github.com/redis/rueidis":           {"runtime/adapter/redis"},
	"github.com/twmb/franz-go":           {"runtime/adapter/kafka", "runtime/adapter/kafka/kafkatest"},
	"go.mongodb.org/mongo-driver/v2":     {"runtime/adapter/mongo"},
	"github.com/cockroachdb/pebble/v2":   {"runtime/adapter/embedded"},
	"github.com/prometheus":              {"runtime/observe"},
	"github.com/goccy/go-yaml":           {"runtime/config"},
	"github.com/pires/go-proxyproto":     {"runtime/socket"},
	"github.com/klauspost/compress":      {"runtime/adapter/redis", "runtime/socket"},
	"github.com/tinylib/msgp":            {"runtime/dialect/native", "clients/go/wire"},
	"github.com/alecthomas/kong":         {"cmd/heddle", "cmd/heddle/plugin"},
	"cel.dev/cel-go":                     {"runtime/rule"},
	"github.com/tetratelabs/wazero":      {"plugins/guest", "plugins/memory"}, // memory implements its allocator
	"github.com/hashicorp/go-plugin":     {"plugins/native", "plugins/native/serve"},
	"github.com/hashicorp/go-hclog":      {"plugins/native", "plugins/native/serve"},
	"google.golang.org/grpc":             {"plugins/native", "plugins/native/serve", "plugins/native/wire"},
	"google.golang.org/protobuf":         {"plugins/native/wire"},
	"github.com/evanw/esbuild":           {"clients/js/build"},
	"github.com/go-json-experiment/json": nil, // anybody
	"github.com/oklog/ulid/v2":           nil,
	"golang.org/x/sync":                  nil,
	"golang.org/x/sys":                   nil,
	"golang.org/x/time":                  nil,
}

func TestImportsPointDownward(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != root && foreign(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil || !strings.HasSuffix(file, ".go") {
			return err
		}
		if !strings.HasSuffix(file, "_test.go") {
			checkFile(t, file, path.Dir(filepath.ToSlash(rel)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range layers {
		if _, err := os.Stat(filepath.Join(root, pkg)); err != nil {
			t.Errorf("%s has a place in the layers, and is not there", pkg)
		}
	}
}

// foreign reports whether a folder is no part of the module.
func foreign(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// above are the folders whose packages import runtime/app, or stand beside it.
var above = []string{"cmd/", "docs/", "examples/", "clients/", "sdk-wasm"}

func mayImport(pkg, own string) bool {
	if pkg == "runtime/app" {
		return !slices.ContainsFunc(above, func(folder string) bool { return strings.HasPrefix(own, folder) })
	}
	return slices.Contains(layers[pkg], own)
}

func checkFile(t *testing.T, file, pkg string) {
	if _, known := layers[pkg]; !known && pkg != "runtime/app" {
		t.Errorf("%s: the package has no place in the layers", pkg)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Comments) > 0 && f.Comments[0].List[0].Text == "//go:build ignore" { // a generator, which is of no package
		return
	}
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		first, _, _ := strings.Cut(name, "/")
		switch own, ours := strings.CutPrefix(name, module); {
		case ours && !mayImport(pkg, own):
			t.Errorf("%s: imports %s, which is not below it", file, own)
		case !ours && strings.Contains(first, "."):
			checkDriver(t, file, pkg, name)
		}
	}
}

func checkDriver(t *testing.T, file, pkg, name string) {
	for driver, homes := range drivers {
		if name != driver && !strings.HasPrefix(name, driver+"/") {
			continue
		}
		if homes != nil && !slices.Contains(homes, pkg) {
			t.Errorf("%s: imports %s, which belongs to %s alone", file, name, strings.Join(homes, ", "))
		}
		return
	}
	t.Errorf("%s: imports %s, which has no home", file, name)
}
