package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// instr rewrites the instruction at hand. done tells that it ended the function.
func (e *emitter) instr() (done bool, err error) {
	switch e.in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		return false, e.begins()
	case wasm.OpElse:
		return false, e.alternates()
	case wasm.OpEnd:
		return e.ends()
	}
	weight, err := e.weight()
	if err != nil {
		return false, err
	}
	e.weigh(weight)
	if err := e.mark(); err != nil {
		return false, err
	}
	e.write()
	e.seg.now.live = e.seg.now.live && !diverts(e.in.Op)
	e.seg.through = e.seg.through && !leaves(e.in.Op)
	_, _, err = e.step(&e.in)
	return false, err
}

// leaves tells whether control may go from op to somewhere else than behind it, or
// comes there only after code that charges for itself.
func leaves(op wasm.Op) bool {
	switch op {
	case wasm.OpUnreachable, wasm.OpBr, wasm.OpBrIf, wasm.OpBrTable, wasm.OpReturn, wasm.OpCall, wasm.OpCallIndirect:
		return true
	}
	return helped(op)
}

// diverts tells whether control never goes from op to behind it.
func diverts(op wasm.Op) bool {
	switch op {
	case wasm.OpUnreachable, wasm.OpBr, wasm.OpBrTable, wasm.OpReturn:
		return true
	}
	return false
}

// raw takes the instruction over as it is.
func (e *emitter) raw() { e.seg.code = append(e.seg.code, e.in.Raw...) }

// begins enters a block. A loop's head is a charge point; a block costs nothing.
func (e *emitter) begins() error {
	e.weigh(e.weights.of(e.in.Op))
	if _, _, err := e.step(&e.in); err != nil {
		return err
	}
	f := e.top()
	f.atIf, f.fromIf = e.points, e.seg.now
	e.raw()
	switch f.op {
	case wasm.OpLoop:
		loop := &e.traits.loops[f.loop]
		// What comes before an inner loop is paid there, not in each round.
		e.seg.through = e.seg.through && loop.calls
		e.point(e.merged(loop.sets, f.params))
		e.seg.head = f.params == 0
	case wasm.OpIf:
		e.seg.through = false
	}
	return nil
}

// alternates goes from an if's first arm to its second. The first one jumps to
// the end from here; the second one is jumped to from the if.
func (e *emitter) alternates() error {
	e.weigh(e.weights.of(wasm.OpElse) + e.weights.moves(e.top().results))
	if _, _, err := e.step(&e.in); err != nil {
		return err
	}
	f := e.top()
	e.arrive(f)
	e.raw()
	e.seg.through = false
	if f.atIf < e.points {
		e.point(0)
	} else {
		e.seg.now = f.fromIf
	}
	return nil
}

// ends leaves a block.
func (e *emitter) ends() (done bool, err error) {
	e.weigh(e.weights.moves(e.top().results))
	f, done, err := e.step(&e.in)
	if err != nil {
		return false, err
	}
	e.raw()
	first, from := f.atBranch, f.joined // who jumps here, at the earliest
	if f.op == wasm.OpIf {
		first, from = min(first, f.atIf), from.join(f.fromIf)
	}
	switch {
	case done: // what jumps here leaves the function
	case f.op == wasm.OpLoop:
		if !f.dead { // or the loop's last charge would pay for what follows it, each time
			e.point(0)
		}
	case first < e.points:
		e.point(e.merged(e.sets-f.sets, f.results))
	default:
		e.seg.now = e.seg.now.join(from)
	}
	return done, nil
}

// merged is what it may cost to come to a place from several sides: the compiler
// moves each local that was set on the way, and each value of the block, to where
// all sides expect it.
func (e *emitter) merged(sets, values int) uint32 {
	return e.weights.moves(min(sets, e.locals) + values)
}

// weight is that of the instruction at hand, with the values that it carries.
func (e *emitter) weight() (uint32, error) {
	in, values := &e.in, 0
	switch in.Op {
	case wasm.OpBr, wasm.OpBrIf:
		f, err := e.label(in.X)
		if err != nil {
			return 0, err
		}
		values = f.arity()
	case wasm.OpBrTable:
		for _, x := range in.Labels {
			f, err := e.label(x)
			if err != nil {
				return 0, err
			}
			values = max(values, f.arity())
		}
	case wasm.OpReturn:
		values = len(e.sig.Results)
	case wasm.OpCall, wasm.OpCallIndirect:
		sig, err := e.callee(in)
		if err != nil {
			return 0, err
		}
		values = len(sig.Params) + len(sig.Results)
		if in.Op == wasm.OpCall && in.X < e.added.imported {
			values += hostCall
		}
	}
	return e.weights.of(in.Op) + e.weights.moves(values), nil
}

// mark notes branches at the blocks whose ends they go to, and calls.
func (e *emitter) mark() error {
	in := &e.in
	switch in.Op {
	case wasm.OpBr, wasm.OpBrIf:
		return e.markLabel(in.X)
	case wasm.OpBrTable:
		for _, x := range in.Labels {
			if err := e.markLabel(x); err != nil {
				return err
			}
		}
	case wasm.OpCall:
		if in.X >= e.added.imported { // it begins with a charge, and returns without one
			e.seg.now.called, e.seg.now.tail = true, 0
		}
	case wasm.OpCallIndirect: // perhaps of the host, which charges nothing
		e.seg.now.called = true
	}
	return nil
}

func (e *emitter) markLabel(x uint32) error {
	f, err := e.label(x)
	if err == nil {
		e.arrive(f)
	}
	return err
}

// arrive notes that control goes to the end of f from here.
func (e *emitter) arrive(f *frame) {
	f.atBranch = min(f.atBranch, e.points)
	f.joined = f.joined.join(e.seg.now)
}

// write appends the instruction, or what stands for it.
func (e *emitter) write() {
	in, c := &e.in, e.seg.code
	switch op := in.Op; {
	case op == wasm.OpCall:
		e.called(c, func(c asm) asm { return c.with(op, e.added.function(in.X)) })
	case op == wasm.OpCallIndirect:
		e.called(c, func(c asm) asm { return append(c, in.Raw...) })
	case op == wasm.OpRefFunc:
		e.seg.code = c.with(op, e.added.function(in.X))
	case op == wasm.OpReturn && e.wrapped():
		e.seg.code = c.with(wasm.OpBr, uint32(len(e.frames)-1))
	case helped(op):
		helper := e.added.helper[helperFor(op)]
		if op == wasm.OpMemoryInit {
			helper = e.added.initHelper[in.X]
		}
		e.called(c, func(c asm) asm { return c.with(wasm.OpCall, helper) })
		if !replaces(op) {
			e.raw()
		}
	default:
		e.raw()
	}
}

// called appends a call. The callee charges the global, so that is where the
// slice must be meanwhile.
func (e *emitter) called(c asm, call func(asm) asm) {
	if !e.slice.local {
		e.seg.code = call(c)
		return
	}
	c = call(e.slice.get(c).with(wasm.OpGlobalSet, e.added.slice))
	e.seg.code = e.slice.set(c.with(wasm.OpGlobalGet, e.added.slice))
}
