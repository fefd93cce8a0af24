package guest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/memory"
	"github.com/heddle-rt/heddle/plugins/meter"
)

// Instance is one running guest. It is the context of its own calls: so host
// functions find it without a look-up.
type Instance struct {
	program *Program
	space   *memory.Space
	module  api.Module
	mem     api.Memory
	batch   entry
	idle    entry
	seed    entry
	arenas  arenas
	slice   api.MutableGlobal
	depth   api.MutableGlobal
	mutable []api.MutableGlobal // the guest's own
	stack   [2]uint64           // of parameters and results
	values  context.Context     // nil but while it is instantiated
	host    Host
	call    *Call
	spent   meterState
	calls   int    // of host functions that are left
	logs    int    // bytes of text that are left
	line    []byte // of standard output, not yet logged
	clock   clock
	seeded  seeded // not yet told in a Usage
	begun   seeded // likewise, of initialising it
	trap    *Trap  // why the guest was stopped
	dead    bool
	closed  bool
}

// seeded is what telling the guest its seed, or initialising it, has cost.
type seeded struct {
	fuel int64
	time time.Duration
}

// meterState is what a call may use yet.
type meterState struct {
	left     int64 // fuel that was not handed out
	timeout  time.Duration
	deadline time.Duration
}

// arenas are the guest's buffers, behind their headers.
type arenas struct{ in, inCap, out, outCap uint32 }

// An Instance is a context without deadline or end; it has values while it is
// instantiated, for wazero.
func (i *Instance) Deadline() (time.Time, bool) { return time.Time{}, false }
func (i *Instance) Done() <-chan struct{}       { return nil }
func (i *Instance) Err() error                  { return nil }
func (i *Instance) Value(key any) any {
	if i.values != nil {
		return i.values.Value(key)
	}
	return nil
}

var _ context.Context = (*Instance)(nil)

// New starts an instance. Who waits for it is an event: where the guest has to initialise
// itself, that has the time of a call, and no more than there is until the deadline of ctx.
func (p *Program) New(ctx context.Context) (*Instance, error) {
	limit := p.plan.Limits.Timeout
	if end, found := ctx.Deadline(); found {
		limit = min(limit, max(0, time.Until(end).Round(time.Millisecond)))
	}
	return p.boot(ctx, p.image, limit)
}

// boot instantiates the module, and initialises the guest unless the image is of one
// that is. limit is for both.
func (p *Program) boot(ctx context.Context, im *image, limit time.Duration) (*Instance, error) {
	i := &Instance{program: p, host: p.plan.Host}
	var captured *memory.Image
	if im != nil {
		captured = im.memory
	}
	var err error
	if i.space, err = memory.New(int(p.plan.Limits.memory()), captured); err != nil {
		return nil, err
	}
	i.values = experimental.WithMemoryAllocator(ctx, i.space)
	began := i.begin(limit, startFuel, startCalls) // of the start function, if it has one
	i.module, err = p.engine.runtime.InstantiateModule(i, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	i.values = nil
	if err != nil {
		i.space.Free()
		switch {
		case i.trap != nil:
			err = i.trap
		case strings.Contains(err.Error(), guestTrace): // the start function has failed
			err = explain(err)
		}
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	p.open.Add(1)
	if err := i.attach(); err != nil {
		i.Close()
		return nil, err
	}
	if im != nil {
		i.arenas, i.clock = im.arenas, im.clock
		err = i.reseed()
	} else {
		err = i.initialise(began, limit)
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// attach finds what the guest exports.
func (i *Instance) attach() error {
	i.bind(i.module)
	if i.batch = entrance(i.module, hostapi.ExportBatch); i.batch.f == nil {
		return missing(hostapi.ExportBatch)
	}
	i.idle, i.seed = entrance(i.module, hostapi.ExportIdle), entrance(i.module, hostapi.ExportSeed)
	for _, name := range i.program.globals {
		g, ok := i.module.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return fmt.Errorf("the global %s is gone", name)
		}
		i.mutable = append(i.mutable, g)
	}
	return nil
}

// bind finds what host functions need: Compile has seen that it is there.
func (i *Instance) bind(m api.Module) {
	i.mem = m.ExportedMemory(hostapi.ExportMemory)
	i.slice, _ = m.ExportedGlobal(meter.ExportSlice).(api.MutableGlobal)
	i.depth, _ = m.ExportedGlobal(meter.ExportDepth).(api.MutableGlobal)
}

func missing(name string) error {
	return fmt.Errorf("the module does not export %s: it was not built with a Heddle SDK, or not as a library", name)
}

// What starting may use; time ends it sooner.
const (
	startFuel  = 1 << 40
	startCalls = 10000
)

// exportInitialize is what WASI's reactors have called first.
const exportInitialize = "_initialize"

// initialise runs what a guest runs once. It was begun before, and limit is from then on.
func (i *Instance) initialise(before, limit time.Duration) error {
	began := i.begin(limit, startFuel, startCalls)
	i.spent.deadline = before + limit
	defer func() { i.begun = seeded{fuel: startFuel - i.fuel(), time: i.program.engine.now() - began} }()
	if f := i.module.ExportedFunction(exportInitialize); f != nil {
		if _, err := i.run(f, 0); err != nil {
			return fmt.Errorf("%s: %w", exportInitialize, err)
		}
	}
	if v, err := i.export(hostapi.ExportABI); err != nil {
		return err
	} else if uint32(v) != hostapi.Version {
		return fmt.Errorf("the guest speaks version %d of the contract, this node speaks %d", uint32(v), hostapi.Version)
	}
	at, err := i.export(hostapi.ExportBuffers)
	if err != nil {
		return err
	}
	if i.arenas, err = i.find(at); err != nil {
		return err
	}
	config := i.program.plan.Config
	if !i.mem.Write(i.arenas.in, config) || len(config) > int(i.arenas.inCap) {
		return fmt.Errorf("the config has %d bytes, the guest's input takes %d", len(config), i.arenas.inCap)
	}
	f := i.module.ExportedFunction(hostapi.ExportInit)
	if f == nil {
		return missing(hostapi.ExportInit)
	}
	v, err := i.run(f, uint64(len(config)))
	if err == nil && hostapi.Status(v) != hostapi.OK {
		err = fmt.Errorf("it answered %s; its log may say why", hostapi.Status(v))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", hostapi.ExportInit, err)
	}
	return nil
}

// export calls an exported function without parameters.
func (i *Instance) export(name string) (uint64, error) {
	f := i.module.ExportedFunction(name)
	if f == nil {
		return 0, missing(name)
	}
	v, err := i.run(f, 0)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// find reads the headers of the arenas.
func (i *Instance) find(at uint64) (a arenas, err error) {
	in, out := uint32(at), uint32(at>>32)
	for _, x := range [...]struct {
		at        uint32
		from, cap *uint32
	}{{in, &a.in, &a.inCap}, {out, &a.out, &a.outCap}} {
		capacity, ok := i.mem.ReadUint32Le(x.at)
		if !ok || x.at%8 != 0 || capacity < hostapi.MinArena || capacity > hostapi.MaxArena ||
			uint64(x.at)+hostapi.ArenaHeader+uint64(capacity) > uint64(i.mem.Size()) {
			return a, fmt.Errorf("%s: an arena at %d with %d bytes cannot be", hostapi.ExportBuffers, x.at, capacity)
		}
		*x.from, *x.cap = x.at+hostapi.ArenaHeader, capacity
	}
	if a.in < a.out+a.outCap && a.out < a.in+a.inCap {
		return a, errors.New(hostapi.ExportBuffers + ": the arenas overlap")
	}
	return a, nil
}

// captured reads the guest's own globals.
func (i *Instance) captured() []uint64 {
	values := make([]uint64, len(i.mutable))
	for n, g := range i.mutable {
		values[n] = g.Get()
	}
	return values
}

// What being seeded may use: it is behind each event, if the plugin is stateless.
const (
	seedShare = 10               // one part in so many of the time of a call
	seedTime  = time.Millisecond // but no less, or a busy node could not start anything
)

// reseed tells a guest that began from an image, as others did, to be different. What
// nobody may guess it asks for when it needs it.
func (i *Instance) reseed() error {
	if i.seed.f == nil {
		return nil
	}
	limits := &i.program.plan.Limits
	began := i.begin(max(limits.Timeout/seedShare, seedTime), limits.Fuel, limits.HostCalls)
	i.logs = 0
	_, err := i.enter(&i.seed, rand.Uint64())
	i.seeded.fuel += limits.Fuel - i.fuel()
	i.seeded.time += i.program.engine.now() - began
	if err != nil {
		return fmt.Errorf("%s: %w", hostapi.ExportSeed, err)
	}
	return nil
}

// Untold is the time and the fuel that the guest has used since it was started, and that no
// Usage tells: of its start, if it did not begin from an image, and of seeds that no call
// has followed. It tells them once.
func (i *Instance) Untold() (took time.Duration, fuel int64) {
	took, fuel = i.seeded.time+i.begun.time, i.seeded.fuel+i.begun.fuel
	i.seeded, i.begun = seeded{}, seeded{}
	return took, fuel
}

// Seeded is the part of that time which a seed has taken.
func (i *Instance) Seeded() time.Duration { return i.seeded.time }

// CanReset reports whether Reset would succeed.
func (i *Instance) CanReset() bool { return !i.dead && i.program.image != nil && i.space.CanReset() }

// Reset makes the guest forget what it has done since it started. After an error it
// must be closed.
func (i *Instance) Reset() error {
	if err := i.space.Reset(); err != nil {
		return err
	}
	for n, g := range i.mutable {
		g.Set(i.program.image.globals[n])
	}
	i.clock = i.program.image.clock
	return i.reseed()
}

// What tidying up may use. It is no part of an event, so its time alone bounds it: a
// collection of a large heap takes longer than an event may.
const (
	idleTime = 250 * time.Millisecond
	idleFuel = 1 << 40
)

// Idle lets the guest tidy up, while nothing waits. It can log, and do nothing else
// outside. After an error, a *Trap, it is not to be used again.
func (i *Instance) Idle() error {
	if i.idle.f == nil || i.dead {
		return nil
	}
	i.begin(idleTime, idleFuel, i.program.plan.Limits.HostCalls)
	_, err := i.enter(&i.idle, 0)
	i.flush(1)
	return err
}

// Memory is how many bytes the guest has.
func (i *Instance) Memory() int { return i.space.Size() }

// Private is how many of these are not shared with other instances.
func (i *Instance) Private() (int, error) { return i.space.Private() }

// Close ends the instance. It may be called again.
func (i *Instance) Close() {
	if i.closed {
		return
	}
	_ = i.module.Close(context.Background())
	i.space.Free() // wazero frees what it has taken, and nobody the rest
	i.dead, i.closed = true, true
	i.program.open.Add(-1)
}
