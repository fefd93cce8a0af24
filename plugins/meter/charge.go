package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// added are the indices of what the rewriter adds to a module.
type added struct {
	imported       uint32 // functions of the original; those that it defines move up by two
	tick, overflow uint32 // functions
	slice, depth   uint32 // globals
	helper         [helpers]uint32
	initHelper     []uint32 // of data segments
}

// function is where the original's function i is now.
func (d *added) function(i uint32) uint32 {
	if i < d.imported {
		return i
	}
	return i + 2
}

// counter is where a function keeps the slice: in the global, or in a local while
// it calls nothing. A local is a register in place of a load and a store that the
// next charge has to wait for.
type counter struct {
	local bool
	index uint32
}

func (c counter) get(a asm) asm {
	if c.local {
		return a.get(c.index)
	}
	return a.with(wasm.OpGlobalGet, c.index)
}

func (c counter) set(a asm) asm {
	if c.local {
		return a.set(c.index)
	}
	return a.with(wasm.OpGlobalSet, c.index)
}

// charge takes weight from the slice, and calls tick as long as that leaves less
// than nothing. At the head of a guest's loop, the way back from tick is that loop's;
// elsewhere the charge is a loop of its own. That is what makes it cheap: the code
// that follows has one way to come from, and along it the compiler need not keep its
// registers as a call would leave them. (An if around the call, which joins what
// follows, makes Go guests an eighth slower.) The second get costs nothing: the
// compiler still has the value. An empty then-arm puts the call out of the way.
func (d *added) charge(a asm, weight uint32, c counter, head bool) asm {
	if !head {
		a = a.open(wasm.OpLoop, wasm.NoResult)
	}
	a = c.set(c.get(a).i32(int32(weight)).op(wasm.OpI32Sub))
	a = c.get(a).i32(0).op(wasm.OpI32GeS).open(wasm.OpIf, wasm.NoResult).op(wasm.OpElse)
	if c.local { // the host looks at the global
		a = c.get(a).with(wasm.OpGlobalSet, d.slice)
	}
	a = c.set(a.with(wasm.OpCall, d.tick).i32(int32(weight)).op(wasm.OpI32Add))
	a = a.with(wasm.OpBr, 1).op(wasm.OpEnd)
	if !head {
		a = a.op(wasm.OpEnd)
	}
	return a
}

// spend charges what lies on the stack, behind the slice.
func (d *added) spend(a asm) asm {
	return a.op(wasm.OpI32Sub).with(wasm.OpGlobalSet, d.slice).
		with(wasm.OpGlobalGet, d.slice).i32(0).op(wasm.OpI32LtS).
		open(wasm.OpIf, wasm.NoResult).
		with(wasm.OpCall, d.tick).with(wasm.OpGlobalSet, d.slice).
		op(wasm.OpEnd)
}

// enter adds a frame to the depth, and calls overflow if that is too much. Below
// zero counts as too much.
func (d *added) enter(a asm, frame, limit uint32) asm {
	return a.with(wasm.OpGlobalGet, d.depth).i32(int32(frame)).op(wasm.OpI32Add).with(wasm.OpGlobalSet, d.depth).
		with(wasm.OpGlobalGet, d.depth).i32(int32(limit)).op(wasm.OpI32LeU).
		open(wasm.OpIf, wasm.NoResult).op(wasm.OpElse).
		with(wasm.OpCall, d.overflow).op(wasm.OpUnreachable).
		op(wasm.OpEnd)
}

// leave takes the frame off again.
func (d *added) leave(a asm, frame uint32) asm {
	return a.with(wasm.OpGlobalGet, d.depth).i32(int32(frame)).op(wasm.OpI32Sub).with(wasm.OpGlobalSet, d.depth)
}
