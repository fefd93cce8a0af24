package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// command is one line of a specification test, as wast2json writes it.
type command struct {
	Type       string  `json:"type"`
	Line       int     `json:"line"`
	Name       string  `json:"name"`
	As         string  `json:"as"`
	File       string  `json:"filename"`
	ModuleType string  `json:"module_type"`
	Action     action  `json:"action"`
	Expected   []value `json:"expected"`
}

type action struct {
	Type   string  `json:"type"`
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

type value struct {
	Type  string          `json:"type"`
	Lane  string          `json:"lane_type"`
	Value json.RawMessage `json:"value"`
}

// TestSpec runs the WebAssembly specification's tests, as wazero has them in its
// module, on originals and on rewritten modules side by side: as they are rewritten
// for the server and compiled, and with a charge for each instruction, each of which
// ticks, in the interpreter (compiling that would take minutes).
func TestSpec(t *testing.T) {
	dir := spectestDir(t)
	for _, v := range []struct {
		name     string
		features api.CoreFeatures
	}{{"v1", api.CoreFeaturesV1}, {"v2", api.CoreFeaturesV2}} {
		files, _ := filepath.Glob(filepath.Join(dir, v.name, "testdata", "*.json"))
		if len(files) < 50 {
			t.Fatalf("%s has %d test files", v.name, len(files))
		}
		if quick() {
			for i := range len(files) / 4 {
				files[i] = files[4*i]
			}
			files = files[:len(files)/4]
		}
		for _, mode := range []struct {
			name   string
			limit  int
			slice  int32
			engine wazero.RuntimeConfig
		}{
			{"compiled", 256, 1000, wazero.NewRuntimeConfigCompiler()},
			{"each instruction ticks", 1, 0, wazero.NewRuntimeConfigInterpreter()},
		} {
			t.Run(v.name+"/"+mode.name, func(t *testing.T) {
				total := newTally()
				t.Cleanup(func() { total.report(t) }) // when the files are done
				for _, file := range files {
					t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
						t.Parallel()
						cfg := Default(validator(t, v.features))
						cfg.Limit, cfg.Memory, cfg.Table, cfg.Frame, cfg.Compile = mode.limit, 1<<30, 1<<20, 1<<20, 0
						engine := mode.engine.WithCoreFeatures(v.features)
						s := &script{dir: filepath.Dir(file), cfg: cfg, tally: total, engine: engine, slice: mode.slice}
						s.run(t, file)
					})
				}
			})
		}
	}
}

// spectestDir is where wazero keeps the tests in the module cache.
func spectestDir(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Skipf("the module cache cannot be asked: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the module of wazero comes without specification tests")
	}
	return dir
}

// tally counts what was compared, and why modules were left out.
type tally struct {
	mu      sync.Mutex
	done    map[string]int
	skipped map[string]int
}

func newTally() *tally { return &tally{done: map[string]int{}, skipped: map[string]int{}} }

func (c *tally) add(of map[string]int, what string) {
	c.mu.Lock()
	of[what]++
	c.mu.Unlock()
}

func (c *tally) report(t *testing.T) {
	for _, m := range []map[string]int{c.done, c.skipped} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			t.Logf("%6d %s", m[k], k)
		}
	}
	if !quick() && (c.done["assert_return"] < 10000 || c.done["assert_trap"] < 300 || c.done["refused"] < 500) {
		t.Errorf("too little was compared: %v", c.done)
	}
}

func (c *command) do(ctx context.Context, m api.Module) ([]uint64, error) {
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return nil, fmt.Errorf("no function %q", c.Action.Field)
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.bits()...)
	}
	return f.Call(ctx, args...)
}

// bits are the value as wazero's API wants it.
func (v value) bits() []uint64 {
	if v.Type != "v128" {
		var s string
		_ = json.Unmarshal(v.Value, &s)
		return []uint64{number(s)}
	}
	var lanes []string
	_ = json.Unmarshal(v.Value, &lanes)
	out := make([]uint64, 2)
	for i, l := range lanes {
		width := 128 / len(lanes)
		out[i*width/64] |= number(l) << (i * width % 64)
	}
	return out
}

func number(s string) uint64 {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return uint64(n)
}
