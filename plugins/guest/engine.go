package guest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/meter"
)

// Config of an engine.
type Config struct {
	Cache string // folder for compiled code, so that a restart does not compile again; nobody else may write to it. Empty: none
	Most  int64  // bytes in Cache from which on Trim removes the oldest; 0: no bound
}

// Engine compiles modules and runs their instances. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	validator wazero.Runtime // interprets nothing: it only validates, quickly
	runtime   wazero.Runtime
	cache     wazero.CompilationCache
	start     time.Time
}

// features are those of WebAssembly 2.0.
const features = api.CoreFeaturesV2

// New makes an engine.
func New(cfg Config) (*Engine, error) {
	ctx := context.Background()
	e := &Engine{cfg: cfg, start: time.Now(), cache: wazero.NewCompilationCache()}
	if cfg.Cache != "" {
		var err error
		if e.cache, err = wazero.NewCompilationCacheWithDir(cfg.Cache); err != nil {
			return nil, fmt.Errorf("guest: cache: %w", err)
		}
	}
	e.validator = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	e.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features).WithCompilationCache(e.cache).WithDebugInfoEnabled(false))
	if err := e.link(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("guest: %w", err), e.Close())
	}
	return e, nil
}

// Close ends the engine; no instance may run any more.
func (e *Engine) Close() error {
	ctx := context.Background()
	return errors.Join(e.validator.Close(ctx), e.runtime.Close(ctx), e.cache.Close(ctx))
}

// validate refuses what is no valid module, without compiling it.
func (e *Engine) validate(ctx context.Context, code []byte) error {
	m, err := e.validator.CompileModule(ctx, code)
	if err != nil {
		return err
	}
	return m.Close(ctx)
}

// now is the time since the engine was made.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// link makes the modules that guests import from.
func (e *Engine) link(ctx context.Context) error {
	for name, functions := range map[string][]function{
		hostapi.Module: hostFunctions(), wasiModule: wasiFunctions(), meter.ImportModule: meterFunctions(),
	} {
		b := e.runtime.NewHostModuleBuilder(name)
		for _, f := range functions {
			run := f.run
			if name == wasiModule {
				run = func(i *Instance, stack []uint64) {
					i.charge(callFuel)
					f.run(i, stack)
				}
			}
			b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
				i := ctx.(*Instance)
				if i.mem == nil { // the start function, which runs before anybody has the module
					i.bind(m)
				}
				run(i, stack)
			}), types(f.params), types(f.results)).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// function is one that guests can import.
type function struct {
	name            string
	params, results []hostapi.ValueType
	run             func(i *Instance, stack []uint64)
}

func types(list []hostapi.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(list))
	for i, t := range list {
		out[i] = api.ValueType(t)
	}
	return out
}
