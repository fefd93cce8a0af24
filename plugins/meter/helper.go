package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// chunk is how many bytes a bulk operation moves between two charges.
const chunk = 64 << 10

// Functions that the rewriter adds, where the module needs them.
const (
	helpFill  = iota // memory.fill
	helpCopy         // memory.copy
	helpInit         // memory.init, one for each segment
	helpTable        // charges for a bulk operation on a table, whose length it passes through
	helpGrow         // charges for pages, whose number it passes through
	helpers
)

// helperNames are what stack traces show.
var helperNames = [helpers]string{prefix + "memory.fill", prefix + "memory.copy", prefix + "memory.init", prefix + "table", prefix + "memory.grow"}

// helperFor is the function that carries out, or charges for, op.
func helperFor(op wasm.Op) int {
	switch op {
	case wasm.OpMemoryFill:
		return helpFill
	case wasm.OpMemoryCopy:
		return helpCopy
	case wasm.OpMemoryInit:
		return helpInit
	case wasm.OpMemoryGrow:
		return helpGrow
	}
	return helpTable
}

// replaces tells whether the helper stands for op; else op follows it.
func replaces(op wasm.Op) bool {
	switch helperFor(op) {
	case helpFill, helpCopy, helpInit:
		return true
	}
	return false
}

// body builds the function for kind; of helpInit, that for segment.
func (d *added) body(kind int, segment uint32, cfg *Config) wasm.Code {
	locals := []wasm.Locals{{N: 1, Type: wasm.I32}}
	switch kind {
	case helpFill:
		return wasm.Code{Locals: locals, Body: d.fill()}
	case helpCopy:
		return wasm.Code{Locals: locals, Body: d.copy()}
	case helpInit:
		return wasm.Code{Locals: locals, Body: d.init(segment)}
	case helpTable:
		return wasm.Code{Body: d.length(int32(cfg.Table), 1)}
	}
	return wasm.Code{Body: d.length(int32(cfg.Memory/PageSize), pageWeight)}
}

// Locals of the functions that move memory: the three operands of the original
// instruction, and the size of the chunk at hand. source is a fill's value.
const (
	target, source, left, part = 0, 1, 2, 3
)

// whole begins a helper: if bad, then the original instruction, which traps, and
// writes nothing before. What follows knows that no address overflows.
func whole(bad, original asm) asm {
	a := bad.open(wasm.OpIf, wasm.NoResult).get(target).get(source).get(left)
	return append(a, original...).op(wasm.OpUnreachable, wasm.OpEnd)
}

// beyond leaves whether the bytes from address, a local, reach beyond memory.
func (a asm) beyond(address uint32) asm {
	return a.get(address).op(wasm.OpI64ExtendU).get(left).op(wasm.OpI64ExtendU, wasm.OpI64Add).
		memory(wasm.OpMemorySize, 1).op(wasm.OpI64ExtendU).i64(16).op(wasm.OpI64Shl).
		op(wasm.OpI64GtU)
}

// next sets part to the size of the next chunk, and charges for it.
func (d *added) next(a asm) asm {
	a = a.get(left).i32(chunk).get(left).i32(chunk).op(wasm.OpI32LtU, wasm.OpSelect).set(part)
	a = a.with(wasm.OpGlobalGet, d.slice).get(part).i32(bulkShift).op(wasm.OpI32ShrU).i32(bulkBase).op(wasm.OpI32Add)
	return d.spend(a)
}

// shrink takes the chunk off what is left, and leaves what remains.
func (a asm) shrink() asm { return a.get(left).get(part).op(wasm.OpI32Sub).tee(left) }

// fill goes from the end to the start, as init does.
func (d *added) fill() asm {
	original := asm(nil).memory(wasm.OpMemoryFill, 1)
	a := whole(asm(nil).beyond(target), original)
	a = d.next(a.open(wasm.OpLoop, wasm.NoResult))
	a = a.shrink().get(target).op(wasm.OpI32Add).get(source).get(part)
	a = append(a, original...)
	return a.get(left).with(wasm.OpBrIf, 0).op(wasm.OpEnd, wasm.OpEnd)
}

// init copies the last chunk first: if that is within the segment, whose size
// nobody tells, then all others are.
func (d *added) init(segment uint32) asm {
	original := asm(nil).with(wasm.OpMemoryInit, segment)
	original = append(original, 0)
	wraps := asm(nil).get(source).op(wasm.OpI64ExtendU).get(left).op(wasm.OpI64ExtendU, wasm.OpI64Add).
		i64(1<<32 - 1).op(wasm.OpI64GtU)
	a := whole(wraps.beyond(target).op(wasm.OpI32Or), original)
	a = d.next(a.open(wasm.OpLoop, wasm.NoResult))
	a = a.shrink().get(target).op(wasm.OpI32Add).get(left).get(source).op(wasm.OpI32Add).get(part)
	a = append(a, original...)
	return a.get(left).with(wasm.OpBrIf, 0).op(wasm.OpEnd, wasm.OpEnd)
}

// copy goes upward if the target lies below the source, and downward if above: a
// chunk is never written over what has yet to be read. Within a chunk the
// instruction itself sees to that.
func (d *added) copy() asm {
	original := asm(nil).memory(wasm.OpMemoryCopy, 2)
	a := whole(asm(nil).beyond(target).beyond(source).op(wasm.OpI32Or), original)
	a = a.get(target).get(source).op(wasm.OpI32LeU).open(wasm.OpIf, wasm.NoResult)

	a = d.next(a.open(wasm.OpLoop, wasm.NoResult)).get(target).get(source).get(part)
	a = append(a, original...)
	a = a.get(target).get(part).op(wasm.OpI32Add).set(target).
		get(source).get(part).op(wasm.OpI32Add).set(source).
		shrink().with(wasm.OpBrIf, 0).op(wasm.OpEnd)

	a = d.next(a.op(wasm.OpElse).open(wasm.OpLoop, wasm.NoResult))
	a = a.shrink().get(target).op(wasm.OpI32Add).get(left).get(source).op(wasm.OpI32Add).get(part)
	a = append(a, original...)
	a = a.get(left).with(wasm.OpBrIf, 0).op(wasm.OpEnd)
	return a.op(wasm.OpEnd, wasm.OpEnd)
}

// length charges weight for each of the n things that its parameter counts, and
// gives it back. More than limit cannot be, and fail at once.
func (d *added) length(limit, weight int32) asm {
	a := asm(nil).with(wasm.OpGlobalGet, d.slice).get(0).i32(limit).get(0).i32(limit).op(wasm.OpI32LtU, wasm.OpSelect).
		i32(weight).op(wasm.OpI32Mul).i32(bulkBase).op(wasm.OpI32Add)
	return d.spend(a).get(0).op(wasm.OpEnd)
}
