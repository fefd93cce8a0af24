package meter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

var (
	errFuel     = errors.New("out of fuel")
	errOverflow = errors.New("calls are nested too deeply")
)

// host is what the plugin host will be: it answers ticks, and measures them.
type host struct {
	slice  int32             // what tick gives
	fuel   int64             // what may be used; below zero a tick fails
	used   int64             // as of the last tick
	left   api.MutableGlobal // the slice; nil before begin
	ticks  int
	given  int32
	timed  bool
	last   time.Duration // of cpuTime, at the last tick
	worst  time.Duration // between two ticks
	onTick func()
}

// begin prepares m for a call from outside.
func (h *host) begin(m api.Module) {
	h.left = global(m, ExportSlice)
	h.left.Set(0)
	global(m, ExportDepth).Set(0)
	h.used, h.ticks, h.given, h.worst, h.last = 0, 0, 0, 0, cpuTime()
}

// end is what a call has used, if it returned.
func (h *host) end() int64 {
	h.used += int64(h.given) - int64(int32(h.left.Get()))
	h.clock()
	return h.used
}

// quick tells that a test is to take a sample only.
func quick() bool { return testing.Short() || underRace }

// clock takes the time since the last tick.
func (h *host) clock() {
	if h.timed {
		now := cpuTime()
		h.worst = max(h.worst, now-h.last)
		h.last = now
	}
}

// features are those that the plugin host has switched on.
const features = api.CoreFeaturesV2

func global(m api.Module, name string) api.MutableGlobal {
	return m.ExportedGlobal(name).(api.MutableGlobal)
}

func (h *host) tick(_ context.Context, _ api.Module, stack []uint64) {
	h.ticks++
	h.clock()
	h.used += int64(h.given)
	if h.left != nil { // else the start function runs
		h.used -= int64(int32(h.left.Get()))
	}
	h.given = h.slice
	if h.onTick != nil {
		h.onTick()
	}
	if h.fuel > 0 && h.used > h.fuel {
		panic(errFuel)
	}
	stack[0] = api.EncodeI32(h.slice)
}

// install gives a runtime the module that rewritten modules import from.
func (h *host) install(t testing.TB, r wazero.Runtime) {
	t.Helper()
	_, err := r.NewHostModuleBuilder(ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(h.tick), nil, []api.ValueType{api.ValueTypeI32}).Export(ImportTick).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(context.Context, api.Module, []uint64) {
		panic(errOverflow)
	}), nil, nil).Export(ImportOverflow).
		Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// compiler is wazero's compiler, closed at the end of the test.
func compiler(t testing.TB, features api.CoreFeatures) wazero.Runtime {
	return runtime(t, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
}

// interpreter is wazero's interpreter: where each instruction ticks, compiling
// would take most of the time.
func interpreter(t testing.TB) wazero.Runtime {
	return runtime(t, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
}

func runtime(t testing.TB, config wazero.RuntimeConfig) wazero.Runtime {
	ctx := context.WithoutCancel(t.Context())
	r := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { _ = r.Close(ctx) })
	return r
}

// validator is Config.Validate by a runtime of its own.
func validator(t testing.TB, features api.CoreFeatures) func([]byte) error {
	ctx := context.WithoutCancel(t.Context())
	r := runtime(t, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	return func(module []byte) error {
		c, err := r.CompileModule(ctx, module)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	}
}
