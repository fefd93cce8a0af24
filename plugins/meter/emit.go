package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// emitter rewrites bodies. Code is collected in a segment until the next charge
// point is known; then the charge for it is written, and the segment behind it.
type emitter struct {
	walker
	cfg     *Config
	weights *weights
	added   *added
	in      wasm.Instr
	// resultType is the type of a block with these results alone.
	resultType func([]wasm.ValType) wasm.BlockType
	carry      uint32 // the most that a segment leaves to the next one to pay
	tail       uint32 // the most that runs between a call and a charge
	out        asm
	seg        segment

	// Of the function at hand.
	traits *traits
	slice  counter
	points int // charge points so far
	paid   int // those of them where something is charged
}

// segment is the code since the last charge point.
type segment struct {
	code    asm
	weight  uint32 // of the heaviest way through it so far
	now     reach  // the heaviest ways to where it ends so far
	head    bool   // it begins at the head of a loop without parameters
	through bool   // control that enters it comes out at its end, and it weighs little
}

// Limits within a segment: see doc.go.
const (
	mostCarry = 24
	tailShare = 4       // of the limit
	tailDepth = 1 << 20 // bytes of stack that a tail of a full share is good for
)

func (r *rewriter) emitter() *emitter {
	limit := uint32(r.cfg.Limit)
	e := &emitter{
		cfg: r.cfg, weights: r.weights, added: &r.added, resultType: r.resultType,
		carry: min(mostCarry, limit/8), tail: limit / tailShare,
	}
	if depth := uint32(r.cfg.Depth); depth > tailDepth {
		e.tail /= depth / tailDepth
	}
	e.m, e.imported = r.m, int(r.added.imported)
	return e
}

// emit rewrites the function with index i among those that the module defines.
func (e *emitter) emit(i int, t *traits) (wasm.Code, error) {
	code := e.m.Codes[i]
	sig := &e.m.Types[e.m.Funcs[i]]
	e.begin(sig, &code)
	e.traits, e.points, e.paid, e.out = t, 0, 0, make(asm, 0, len(code.Body)+len(code.Body)/2+32)
	e.slice = counter{index: e.added.slice}
	if t.tight {
		e.slice = counter{local: true, index: uint32(t.locals)}
		code.Locals = append(code.Locals[:len(code.Locals):len(code.Locals)], wasm.Locals{N: 1, Type: wasm.I32})
	}
	e.prologue(sig)
	r := wasm.NewReader(code.Body, code.Offset)
	for done := false; !done; {
		r.Instr(&e.in)
		err := r.Err()
		if err == nil {
			done, err = e.instr()
		}
		if err != nil {
			return code, err // the scan has read the same bytes without one
		}
	}
	e.seg.through = false // nothing follows that could pay
	e.point(0)
	e.epilogue()
	code.Body = e.out
	return code, nil
}

// wrapped tells whether something has to be done on every way out.
func (e *emitter) wrapped() bool { return e.traits.calls || e.traits.tight }

// prologue counts the stack, takes the slice into its local, and opens a block
// that stands for the function: what branches to the function's label, or
// returns, comes out behind it.
func (e *emitter) prologue(sig *wasm.FuncType) {
	weight := uint32(weightEntry)
	if e.traits.calls {
		e.out = e.added.enter(e.out, e.traits.frame, uint32(e.cfg.Depth))
		weight += weightDepth
	}
	if e.slice.local {
		e.out = e.slice.set(e.out.with(wasm.OpGlobalGet, e.added.slice))
	}
	if e.wrapped() {
		e.out = e.out.open(wasm.OpBlock, e.resultType(sig.Results))
	}
	e.next(weight)
}

func (e *emitter) epilogue() {
	if !e.wrapped() {
		return
	}
	if e.slice.local {
		e.out = e.slice.get(e.out).with(wasm.OpGlobalSet, e.added.slice)
	}
	if e.traits.calls {
		e.out = e.added.leave(e.out, e.traits.frame)
	}
	e.out = e.out.op(wasm.OpEnd)
}

// next begins a segment that weighs so much before it has any code.
func (e *emitter) next(weight uint32) {
	e.seg = segment{code: e.seg.code[:0], weight: weight, now: reach{live: true, path: weight}, through: weight <= e.carry}
}

// point ends the segment and begins the next one, whose weight begins with extra.
// A segment that weighs nothing needs no charge; one that control comes through
// leaves its weight to the next.
func (e *emitter) point(extra uint32) {
	if e.seg.through {
		extra += e.seg.weight
	} else if e.seg.weight > 0 {
		e.out = e.added.charge(e.out, e.seg.weight, e.slice, e.seg.head)
		e.paid++
	}
	e.out = append(e.out, e.seg.code...)
	e.next(extra)
	e.points++
}

// weigh adds an instruction's weight to the ways that lead to it, behind a charge
// point if one would become too heavy: as a whole, or behind a call. What cannot be
// reached weighs nothing.
func (e *emitter) weigh(weight uint32) {
	if !e.seg.now.live {
		return
	}
	if next := e.seg.now.plus(weight); next.path > uint32(e.cfg.Limit) || next.called && next.tail > e.tail {
		e.point(0)
	}
	e.seg.now = e.seg.now.plus(weight)
	e.seg.weight = max(e.seg.weight, e.seg.now.path)
	e.seg.through = e.seg.through && e.seg.weight <= e.carry
}
