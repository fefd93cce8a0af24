package meter

import (
	"fmt"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// frame is a block that has been entered and not yet left, or the function as a
// whole (the first frame).
type frame struct {
	op              wasm.Op // OpBlock (and the function), OpLoop, OpIf or OpElse
	params, results int
	height          int  // of the operands below the block's own
	dead            bool // what comes next in it cannot be reached
	sets            int  // of walker.sets when it was entered
	calls           int  // likewise
	loop            int  // which loop of the function it is, if it is one

	// For the charges: how many charge points there were, at the if, and at the
	// first branch to the block's end (never: more than there can be); and how far
	// control had come there, at most, since the last of them.
	atIf, atBranch int
	fromIf, joined reach
}

// never is a number of charge points that is not reached.
const never = int(^uint(0) >> 1)

// walker follows the structure of one function: which blocks are open, how high
// the operands stand, and how many locals were set. It checks that every index
// and label names something that the original has. So what the rewriter adds
// behind the original's own globals and functions cannot be named. The stack of
// blocks is a slice: nesting is bounded by memory, not by Go's stack.
type walker struct {
	m        *wasm.Module
	sig      *wasm.FuncType
	imported int // functions
	locals   int
	frames   []frame
	height   int
	highest  int // of height
	area     int // most arguments and results of one call
	sets     int // local.set and local.tee so far
	calls    int // calls and bulk operations so far
	kept     int // values that these may have to keep, each time
	values   int // that instructions leave, and blocks
	loops    int
	vector   bool // a vector instruction was seen
	effort   effort
}

// begin starts with the body of a function that has the signature sig.
func (w *walker) begin(sig *wasm.FuncType, code *wasm.Code) {
	*w = walker{m: w.m, imported: w.imported, sig: sig, frames: w.frames[:0], locals: len(sig.Params)}
	for _, l := range code.Locals {
		w.locals += int(l.N)
		w.vector = w.vector || l.Type == wasm.V128
	}
	w.effort.locals = w.locals
	w.open(wasm.OpBlock, 0, len(sig.Results))
}

func (w *walker) top() *frame { return &w.frames[len(w.frames)-1] }

// label is the block that a branch to label x leaves, or the loop it repeats.
func (w *walker) label(x uint32) (*frame, error) {
	if uint64(x) >= uint64(len(w.frames)) {
		return nil, fmt.Errorf("branches to label %d, which is not there", x)
	}
	return &w.frames[len(w.frames)-1-int(x)], nil
}

// arity is how many values a branch to the block carries.
func (f *frame) arity() int {
	if f.op == wasm.OpLoop {
		return f.params
	}
	return f.results
}

func (w *walker) open(op wasm.Op, params, results int) {
	w.frames = append(w.frames, frame{
		op: op, params: params, results: results, height: w.height, sets: w.sets, calls: w.calls, atBranch: never,
	})
	w.push(params)
}

func (w *walker) push(n int) {
	w.values += n
	w.height += n
	w.highest = max(w.highest, w.height)
}

// pop takes n operands. Behind a branch there are as many as one likes.
func (w *walker) pop(n int) error {
	f := w.top()
	if w.height-n < f.height {
		if !f.dead {
			return fmt.Errorf("takes %d operands where %d are left", n, w.height-f.height)
		}
		n = w.height - f.height
	}
	w.height -= n
	return nil
}

// kill notes that what follows in the block cannot be reached.
func (w *walker) kill() {
	f := w.top()
	f.dead = true
	w.height = f.height
}

// step follows one instruction. At an end, closed is the block that was left, and
// done tells that it was the function.
func (w *walker) step(in *wasm.Instr) (closed frame, done bool, err error) {
	switch in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		err = w.enter(in)
	case wasm.OpElse:
		err = w.otherwise()
	case wasm.OpEnd:
		return w.end()
	case wasm.OpUnreachable, wasm.OpReturn:
		w.kill()
	case wasm.OpBr, wasm.OpBrIf, wasm.OpBrTable:
		err = w.branch(in)
	case wasm.OpCall, wasm.OpCallIndirect:
		err = w.call(in)
	default:
		err = w.operate(in)
	}
	return closed, false, err
}

func (w *walker) enter(in *wasm.Instr) error {
	params, results, ok := w.m.Arity(in.Block)
	if !ok {
		return fmt.Errorf("block type %d is not there", in.Block)
	}
	if in.Op == wasm.OpIf {
		if err := w.pop(1); err != nil {
			return err
		}
	}
	if err := w.pop(params); err != nil {
		return err
	}
	w.open(in.Op, params, results)
	switch in.Op {
	case wasm.OpIf:
		w.effort.blocks += blocksIf
	case wasm.OpLoop:
		w.effort.blocks += blocksLoop
		w.top().loop = w.loops
		w.loops++
	default:
		w.effort.blocks += blocksBlock
	}
	return nil
}

// settle checks that a block is left with just its results.
func (w *walker) settle(f *frame) error {
	if !f.dead && w.height != f.height+f.results {
		return fmt.Errorf("a block ends with %d operands, its type has %d", w.height-f.height, f.results)
	}
	w.height = f.height
	return nil
}

func (w *walker) otherwise() error {
	f := w.top()
	if f.op != wasm.OpIf {
		return fmt.Errorf("an else without an if")
	}
	if err := w.settle(f); err != nil {
		return err
	}
	f.op, f.dead = wasm.OpElse, false
	w.push(f.params)
	return nil
}

func (w *walker) end() (closed frame, done bool, err error) {
	closed = *w.top()
	if closed.op == wasm.OpIf && closed.params != closed.results {
		return closed, false, fmt.Errorf("an if without an else leaves other values than it takes")
	}
	if err := w.settle(&closed); err != nil {
		return closed, false, err
	}
	w.frames = w.frames[:len(w.frames)-1]
	joined := min(w.sets-closed.sets, w.locals)
	w.values += joined
	w.effort.phis += joined + closed.results
	w.push(closed.results)
	return closed, len(w.frames) == 0, nil
}

func (w *walker) branch(in *wasm.Instr) error {
	if in.Op != wasm.OpBr {
		if err := w.pop(1); err != nil {
			return err
		}
	}
	w.effort.blocks += blocksBranch
	if in.Op != wasm.OpBrTable {
		if err := w.reach(in.X); err != nil {
			return err
		}
	} else {
		w.effort.blocks += blocksBranch * len(in.Labels)
		for _, x := range in.Labels {
			if err := w.reach(x); err != nil {
				return err
			}
		}
	}
	if in.Op != wasm.OpBrIf {
		w.kill()
	}
	return nil
}

// reach checks that a branch to label x has the values that it carries.
func (w *walker) reach(x uint32) error {
	f, err := w.label(x)
	if err != nil {
		return err
	}
	if have := w.height - w.top().height; have < f.arity() && !w.top().dead {
		return fmt.Errorf("branches with %d values to a label of %d", have, f.arity())
	}
	return nil
}
