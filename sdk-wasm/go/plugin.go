package heddle

import (
	"bytes"
	"unsafe"
)

// Func is a function of the plugin's, for one event. An error fails the batch, and is
// in the log.
type Func func(e *Event) error

// On has a function called for an action: in front of its handler (Before), or as its
// handler if the action is the plugin's own (Handle). To be called from init.
func On(action string, f Func) { self.on(action, f) }

// OnHook has a function called for a hook. That of Before and Handle is for actions
// that have none of their own. To be called from init.
func OnHook(h Hook, f Func) { self.onHook(h, f) }

// Start has a function called once, with the plugin's config, before the image is
// taken that all instances begin from. An error fails the deploy, and is in the log.
// To be called from init.
func Start(f func(config []byte) error) { self.start = append(self.start, f) }

// Config is the plugin's config, JSON; nil before Start. It is not to be changed.
func Config() []byte { return self.config }

// Arenas chooses how many bytes of events and of actions fit into one call: 1 MiB and
// 256 KiB if it is not called. An event that does not fit never reaches the plugin; one
// whose own actions do not fit fails.
// To be called from init.
func Arenas(input, output int) { self.inputSize, self.outputSize = input, output }

// Capacities, without a call of Arenas.
const (
	defaultInput  = 1 << 20
	defaultOutput = 256 << 10
)

// arenaHeader is what an arena begins with: its capacity and a 0.
const arenaHeader = 8

// self is the plugin. There is one in a module, and everything that the node calls
// finds it here.
var self plugin

// plugin is what was registered, and the arenas.
type plugin struct {
	actions    routes
	hooks      [hooks]Func
	start      []func(config []byte) error
	config     []byte
	inputSize  int
	outputSize int
	input      []byte // behind its header
	output     output
	event      Event // one for all: functions must not keep it
}

func (p *plugin) on(action string, f Func) {
	if f == nil || action == "" || !p.actions.add(action, f) {
		panic("heddle: On(" + action + ") twice, or without a function, or without an action")
	}
}

func (p *plugin) onHook(h Hook, f Func) {
	if h == 0 || h >= hooks || p.hooks[h] != nil || f == nil {
		panic("heddle: OnHook(" + h.String() + ") twice, or without a function, or without a hook")
	}
	p.hooks[h] = f
}

// allocate makes the arenas and returns where they are. They stay there: Go does not
// move what it has allocated, and p holds them.
func (p *plugin) allocate() (input, output unsafe.Pointer) {
	if p.input == nil {
		p.input, p.output.arena = arena(p.inputSize, defaultInput), arena(p.outputSize, defaultOutput)
		p.event.out = &p.output
	}
	header := func(b []byte) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(&b[0]), -arenaHeader) }
	return header(p.input), header(p.output.arena)
}

// arena is one of size bytes behind its header, or of usual ones if size is 0.
func arena(size, usual int) []byte {
	if size == 0 {
		size = usual
	}
	size = align(size)
	words := make([]uint64, (arenaHeader+size)/8) // not bytes, for their alignment
	words[0] = uint64(size)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[1])), size)
}

// initialise runs what Start was given; the config lies in the input arena.
func (p *plugin) initialise(size int) Status {
	p.config = bytes.Clone(p.input[:size])
	for _, f := range p.start {
		if err := f(p.config); err != nil {
			Error(err.Error())
			return Failed
		}
	}
	return OK
}

// batch calls the functions for so many records in the input arena, and returns how
// many bytes of actions they have written, or a Status.
func (p *plugin) batch(records int) int32 {
	p.output.reset(records)
	at := unsafe.Pointer(&p.input[0])
	called := 0
	for i := range records {
		r := (*record)(at)
		at = unsafe.Add(at, r.size)
		f := p.find(r)
		if f == nil {
			continue
		}
		called++
		p.event.r, p.event.index = r, uint16(i)
		err := f(&p.event)
		switch {
		case p.output.full: // the log says so
			return int32(Failed)
		case err != nil:
			return fail(&p.event, err)
		}
	}
	work.did(called)
	return int32(p.output.size)
}

// find is the function for a record, nil for none.
func (p *plugin) find(r *record) Func {
	if r.hook >= hooks {
		return nil // a later version's
	}
	if r.hook == Before || r.hook == Handle {
		if f := p.actions.find(r.text(refAction)); f != nil {
			return f
		}
	}
	return p.hooks[r.hook]
}

func fail(e *Event, err error) int32 {
	what := e.Action()
	if what == "" {
		what = e.Hook().String()
	}
	Error(what + ": " + err.Error())
	return int32(Failed)
}
