package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/meter"
)

// metered is a program that is run with fuel and without.
type metered struct {
	name     string
	code     func(context.Context) ([]byte, error)
	function string
	argument uint64
	fill     int     // bytes of JSON that it finds at its function text
	goal     float64 // 0: none
}

func (b *Bench) programs() []metered {
	inC := func(context.Context) ([]byte, error) {
		return os.ReadFile(b.repository("plugins", "meter", "testdata", "guest", "guest.wasm"))
	}
	json := func(ctx context.Context) ([]byte, error) {
		out := filepath.Join(b.dir, "gojson.wasm")
		if err := b.buildGo(ctx, b.repository("plugins", "meter", "testdata", "gojson"), out); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	}
	serde := func(ctx context.Context) ([]byte, error) { return b.guest(ctx, "rust/serde") }
	const text = 60000
	return []metered{
		{"tight integer loop in C (spin)", inC, "spin", 60000, 0, 1.6},
		{"byte scanner in C (scan: strings, depth and members of JSON)", inC, "scan", text, text, 1.7},
		{"the tightest byte scanner in C (find: how far is it to a byte)", inC, "find", text, text, 0},
		{"recursion in C (recurse)", inC, "recurse", 22, 0, 0},
		{"serde_json (a Value from text, and back)", serde, "run", 20, 0, 1.25},
		{"Go encoding/json (struct and map from text, struct to text)", json, "run", 10, 0, 1.25},
	}
}

// metering compares rewritten modules with what they were, on the same engine.
func (b *Bench) metering(ctx context.Context) (*Report, error) {
	r := &Report{}
	t := r.table("Metered code beside the same code without", "program", "plain µs", "metered µs", "ratio", "of the rounds", "of the fastest rounds", "module KiB", "metered KiB")
	for _, p := range b.programs() {
		b.logf("metering: %s", p.name)
		code, err := p.code(ctx)
		if err != nil {
			r.leave(p.name, err)
			continue
		}
		if err := b.weigh(ctx, r, t, &p, code); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	r.note("Both run on wazero's compiler with the options of the host, and memory of the same kind; the metered one has its clock looked at, and is given a slice of %d, at each tick, as in the host.", meter.Slice)
	return r, nil
}

// weigh measures one program.
func (b *Bench) weigh(ctx context.Context, r *Report, t *Table, p *metered, code []byte) error {
	limits, err := defaults[guest.Limits]()
	if err != nil {
		return err
	}
	rewritten, err := b.rewrite(ctx, code, &limits)
	if err != nil {
		return err
	}
	var list []contestant
	for _, version := range [][]byte{code, rewritten} {
		call, end, err := p.start(ctx, version, &limits)
		if err != nil {
			return err
		}
		defer end()
		list = append(list, contestant{p.name, call})
	}
	times, err := b.inTurns(ctx, list)
	if err != nil {
		return err
	}
	is := ratio(&times[1], &times[0])
	t.row(p.name, times[0].median/1000, times[1].median/1000, is, ratios(&times[1], &times[0]), times[1].low/times[0].low, len(code)>>10, len(rewritten)>>10)
	if p.goal > 0 {
		r.below("metered: "+p.name, is, "times as long", p.goal)
	}
	return nil
}

// ratios are the lowest and the highest of the rounds.
func ratios(a, b *took) string {
	var list []float64
	for i := range a.rounds {
		list = append(list, a.rounds[i]/b.rounds[i])
	}
	return figure(percentile(list, 0)) + "–" + figure(percentile(list, 1))
}

// rewrite meters a module as the engine does.
func (b *Bench) rewrite(ctx context.Context, code []byte, limits *guest.Limits) ([]byte, error) {
	validator := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer func() { _ = validator.Close(ctx) }()
	cfg := meter.Default(func(original []byte) error {
		m, err := validator.CompileModule(ctx, original)
		if err != nil {
			return err
		}
		return m.Close(ctx)
	})
	cfg.Memory, cfg.Depth, cfg.Module = limits.Memory, limits.Stack, limits.Module
	m, err := meter.Rewrite(code, cfg)
	if err != nil {
		return nil, err
	}
	return m.Code, nil
}

// start instantiates a module, and finds its function.
func (p *metered) start(ctx context.Context, code []byte, limits *guest.Limits) (call func(n int) error, end func(), err error) {
	engine := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).
		WithDebugInfoEnabled(false).WithMemoryLimitPages(uint32(limits.Memory/meter.PageSize)))
	end = func() { _ = engine.Close(ctx) }
	defer func() {
		if err != nil {
			end()
		}
	}()
	clock := &ticker{began: time.Now(), timeout: time.Hour}
	if err := clock.install(ctx, engine); err != nil {
		return nil, nil, err
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, engine); err != nil {
		return nil, nil, err
	}
	m, err := engine.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, nil, err
	}
	if p.fill > 0 {
		at, err := m.ExportedFunction("text").Call(ctx)
		if err != nil {
			return nil, nil, err
		}
		if !m.Memory().Write(uint32(at[0]), document(p.fill)) {
			return nil, nil, errors.New("the text does not fit")
		}
	}
	f := m.ExportedFunction(p.function)
	slice, _ := m.ExportedGlobal(meter.ExportSlice).(api.MutableGlobal)
	var stack [4]uint64
	return func(n int) error {
		for range n {
			if slice != nil {
				slice.Set(meter.Slice)
			}
			stack[0], stack[1] = p.argument, 0
			if err := f.CallWithStack(ctx, stack[:]); err != nil {
				return err
			}
			if int32(stack[0]) == -1 {
				return errors.New("the guest has failed")
			}
		}
		return nil
	}, end, nil
}

// ticker answers what the rewriter has put into a module, as the host does.
type ticker struct {
	began   time.Time
	timeout time.Duration
}

func (t *ticker) install(ctx context.Context, r wazero.Runtime) error {
	tick := func(_ context.Context, _ api.Module, stack []uint64) {
		if time.Since(t.began) > t.timeout {
			panic(errors.New("out of time"))
		}
		stack[0] = meter.Slice
	}
	overflow := func(context.Context, api.Module, []uint64) { panic(errors.New("calls are nested too deep")) }
	_, err := r.NewHostModuleBuilder(meter.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(tick), nil, []api.ValueType{api.ValueTypeI32}).Export(meter.ImportTick).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(overflow), nil, nil).Export(meter.ImportOverflow).
		Instantiate(ctx)
	return err
}

// document is JSON of n bytes, without an end.
func document(n int) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `"key%d":{"text":"a \"quoted\" word, and then some more text","n":[%d,true,null]},`, i, i*i)
	}
	return []byte(b.String()[:n])
}
