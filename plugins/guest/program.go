package guest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/memory"
	"github.com/heddle-rt/heddle/plugins/meter"
)

// Plan is what a module is compiled for.
type Plan struct {
	Limits  Limits
	Granted []hostapi.Capability
	Config  []byte // JSON that the guest is initialised with
	// Host answers while the guest is initialised: it may log and ask for its config;
	// the image must not hold what is only true now.
	Host Host
	// Now is what the guest's clocks show; nil: time.Now. What bounds the guest goes by
	// the node's own clock.
	Now func() time.Time
}

// Program is a module that is ready to run. It is safe for concurrent use.
type Program struct {
	engine   *Engine
	plan     Plan
	compiled wazero.CompiledModule
	globals  []string // names of the exported mutable ones
	image    *image   // nil: every instance starts plainly
	open     atomic.Int64
}

// image is an initialised guest.
type image struct {
	memory  *memory.Image
	globals []uint64 // in the order of Program.globals
	arenas  arenas
	clock   clock
}

// Compile makes a program of a module. The error is the developer's to read.
func (e *Engine) Compile(ctx context.Context, code []byte, plan Plan) (*Program, error) {
	m, err := meter.Rewrite(code, plan.Limits.meter(func(original []byte) error { return e.validate(ctx, original) }))
	if err != nil {
		return nil, err
	}
	if err := granted(&m.Info, plan.Granted); err != nil {
		return nil, err
	}
	if plan.Now == nil {
		plan.Now = time.Now
	}
	ctx = experimental.WithCompilationWorkers(ctx, max(1, runtime.GOMAXPROCS(0)/2)) // events flow meanwhile
	p := &Program{engine: e, plan: plan}
	for _, g := range m.Info.Globals {
		p.globals = append(p.globals, g.Export)
	}
	if p.compiled, err = e.runtime.CompileModule(ctx, m.Code); err != nil {
		return nil, fmt.Errorf("the rewritten module is not valid, which is a fault of the node's: %w", err)
	}
	if err := callable(p.compiled.ExportedFunctions()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.compiled.ExportedMemories()[hostapi.ExportMemory] == nil {
		return nil, errors.Join(missing(hostapi.ExportMemory), p.Close())
	}
	if err := p.capture(ctx, m); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// granted refuses what is not linked: functions that do not exist, and those whose
// capability was not granted.
func granted(info *meter.Info, list []hostapi.Capability) error {
	known := hostapi.Functions()
	for _, im := range info.Imports {
		switch im.Module {
		case wasiModule:
			if slices.ContainsFunc(wasiFunctions(), func(f function) bool { return f.name == im.Name }) {
				continue
			}
			return fmt.Errorf("the module imports %s from WASI; of that there are only clocks, random numbers and standard output", im.Name)
		case hostapi.Module:
			i := slices.IndexFunc(known, func(f hostapi.Function) bool { return f.Name == im.Name })
			switch {
			case i < 0:
				return fmt.Errorf("the module imports %s, which this node does not have", im.Name)
			case known[i].Needs != "" && !slices.Contains(list, known[i].Needs):
				return fmt.Errorf("the module imports %s: that needs the capability %s, which the manifest has to ask for and the tenant's policy to grant", im.Name, known[i].Needs)
			}
		default:
			return fmt.Errorf("the module imports %s from %s; there are only %s and %s", im.Name, im.Module, hostapi.Module, wasiModule)
		}
	}
	return nil
}

// capture starts the guest once, and keeps what it is then if it can be kept.
func (p *Program) capture(ctx context.Context, m *meter.Module) error {
	if why := m.Info.Snapshot(); why != nil {
		return p.brief(ctx, why)
	}
	first, err := p.boot(ctx, nil, p.plan.Limits.Start)
	if err != nil {
		return err
	}
	defer first.Close()
	mem, _ := first.mem.Read(0, first.mem.Size())
	globals := first.captured()
	code, err := m.Preinit(uint32(len(mem)/memory.PageSize), globals)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	compiled, err := p.engine.runtime.CompileModule(ctx, code)
	if err != nil {
		return fmt.Errorf("the captured module is not valid, which is a fault of the node's: %w", err)
	}
	im, err := memory.NewImage(mem)
	if err != nil {
		return errors.Join(err, compiled.Close(ctx))
	}
	err = p.compiled.Close(ctx)
	p.compiled, p.image = compiled, &image{memory: im, globals: globals, arenas: first.arenas, clock: first.clock}
	return err
}

// A guest may try to start in time more than once, as a busy node may have taken its time
// away; not if that is by far too long.
const (
	briefTries = 3
	briefLate  = 4 // times as long as a call may last
)

// brief starts a guest that cannot be captured, and refuses one that is not done as soon as
// a call has to be: each of its instances initialises itself while an event waits.
func (p *Program) brief(ctx context.Context, why error) error {
	limits := &p.plan.Limits
	var took time.Duration
	for tries := 0; tries < briefTries && took <= briefLate*limits.Timeout; tries++ {
		began := p.engine.now()
		i, err := p.boot(ctx, nil, limits.Start)
		if err != nil {
			return err
		}
		took = p.engine.now() - began
		if i.Close(); took <= limits.Timeout {
			return nil
		}
	}
	return fmt.Errorf("initialising takes %v, and limits.timeout is %v: each instance of this module initialises itself while an event waits, since %w: have it do less in %s, raise limits.timeout, or build it without that",
		took.Round(time.Millisecond), limits.Timeout, why, hostapi.ExportInit)
}

// Since is how much time has gone by since a call has ended: see Usage.Ended.
func (p *Program) Since(ended time.Duration) time.Duration { return p.engine.now() - ended }

// Captured reports whether instances begin from an image.
func (p *Program) Captured() bool { return p.image != nil }

// Image is how many bytes the image of the initialised guest has, 0 if there is none.
func (p *Program) Image() int64 {
	if p.image == nil {
		return 0
	}
	return p.image.memory.Size()
}

// Instances is how many there are.
func (p *Program) Instances() int64 { return p.open.Load() }

// Close gives up the code and the image. There must be no instances any more.
func (p *Program) Close() error {
	err := p.compiled.Close(context.Background())
	if p.image != nil {
		err = errors.Join(err, p.image.memory.Close())
	}
	return err
}
