package app

import (
	"go/parser"
	"go/token"
	"io/fs"
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
// package that is not listed may be imported by nobody and import nothing.
var layers = map[string][]string{
	"runtime/event":            nil,
	"runtime/fault":            nil,
	"runtime/frame":            nil,
	"runtime/observe":          nil,
	"runtime/config":           nil,
	"runtime/jsonscan":         nil,
	"runtime/pipeline":         leaves,
	"runtime/socket":           leaves,
	"runtime/dialect/native":   append(leaves, "runtime/jsonscan"),
	"runtime/decode":           append(leaves, "runtime/pipeline"),
	"runtime/authenticate":     append(leaves, "runtime/pipeline", "runtime/jsonscan", "runtime/room"),
	"runtime/limit":            append(leaves, "runtime/pipeline"),
	"runtime/validate":         append(leaves, "runtime/pipeline", "runtime/jsonscan"),
	"runtime/rule":             append(leaves, "runtime/jsonscan"),
	"runtime/authorize":        append(leaves, "runtime/pipeline"),
	"runtime/sequence":         append(leaves, "runtime/pipeline"),
	"runtime/deliver":          append(leaves, "runtime/pipeline", "runtime/room"),
	"runtime/ack":              append(leaves, "runtime/pipeline", "runtime/jsonscan"),
	"runtime/room":             leaves,
	"runtime/session":          append(leaves, "runtime/pipeline", "runtime/room", "runtime/deliver", "runtime/ack", "runtime/limit", "runtime/jsonscan"),
	"runtime/cell":             nil,
	"runtime/adapter/embedded": append(leaves, "runtime/cell", "runtime/room", "runtime/sequence", "runtime/session"),
	"runtime/plugin":           append(leaves, "runtime/pipeline", "runtime/room", "runtime/validate", "hostapi", "plugins/fetch", "plugins/host", "plugins/manifest", "plugins/pool", "plugins/timer"),
	"runtime/protocoldoc":      append(leaves, "runtime/validate"),
	"builtin":                  append(leaves, "runtime/pipeline", "runtime/room", "builtin/chat", "builtin/direct", "builtin/presence", "builtin/room", "builtin/typing"),
	"builtin/chat":             append(leaves, "runtime/room"),
	"builtin/room":             append(leaves, "runtime/room"),
	"builtin/direct":           append(leaves, "runtime/room"),
	"builtin/presence":         append(leaves, "runtime/room"),
	"builtin/typing":           leaves,
	"builtin/notification":     append(leaves, "runtime/jsonscan", "runtime/room"),
	"runtime/deadletter":       append(leaves, "runtime/jsonscan", "runtime/room"),
	"runtime/api":              append(leaves, "runtime/ack", "runtime/jsonscan", "runtime/limit", "runtime/protocoldoc", "runtime/room", "runtime/validate"),
}

// drivers may each be imported by one package alone.
var drivers = map[string]string{
	"github.com/lxzan/gws":           "runtime/socket",
	"github.com/cockroachdb/pebble":  "runtime/adapter/embedded",
	"github.com/prometheus":          "runtime/observe",
	"github.com/goccy/go-yaml":       "runtime/config",
	"github.com/pires/go-proxyproto": "runtime/socket",
	"github.com/tinylib/msgp":        "runtime/dialect/native",
	"github.com/alecthomas/kong":     "cmd/heddle",
	"cel.dev/cel-go":                 "runtime/rule",
}

func TestImportsPointDownward(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, top := range []string{"runtime", "builtin"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			checkFile(t, file, path.Dir(filepath.ToSlash(rel)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkFile(t *testing.T, file, pkg string) {
	if pkg == "runtime/app" || strings.HasSuffix(pkg, "test") { // logtest: a suite
		return
	}
	allowed, known := layers[pkg]
	if !known {
		t.Errorf("%s: the package has no place in the layers", pkg)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if own, ok := strings.CutPrefix(name, module); ok && !slices.Contains(allowed, own) {
			t.Errorf("%s: imports %s, which is not below it", file, own)
		}
		for driver, home := range drivers {
			if strings.HasPrefix(name, driver) && pkg != home {
				t.Errorf("%s: imports %s, which belongs to %s alone", file, name, home)
			}
		}
	}
}
