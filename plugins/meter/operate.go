package meter

import (
	"fmt"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// signature is the type of function x.
func (w *walker) signature(x uint32) (*wasm.FuncType, error) {
	if i := int64(x) - int64(w.imported); i >= 0 {
		if i >= int64(len(w.m.Funcs)) {
			return nil, fmt.Errorf("function %d is not there", x)
		}
		return &w.m.Types[w.m.Funcs[i]], nil
	}
	return &w.m.Types[w.m.Imports[x].Func], nil // functions alone are imported: see policy
}

// callee is the type of what a call or call_indirect calls.
func (w *walker) callee(in *wasm.Instr) (*wasm.FuncType, error) {
	if in.Op == wasm.OpCall {
		return w.signature(in.X)
	}
	if err := within("type", in.X, len(w.m.Types)); err != nil {
		return nil, err
	}
	if err := within("table", in.Y, len(w.m.Tables)); err != nil {
		return nil, err
	}
	return &w.m.Types[in.X], nil
}

// call follows a call, direct or by a table.
func (w *walker) call(in *wasm.Instr) error {
	sig, err := w.callee(in)
	if err != nil {
		return err
	}
	takes := len(sig.Params)
	if in.Op == wasm.OpCallIndirect {
		takes++
	}
	if err := w.pop(takes); err != nil {
		return err
	}
	w.area = max(w.area, len(sig.Params)+len(sig.Results))
	w.called()
	w.push(len(sig.Results))
	return nil
}

// called notes a call, whose operands are taken: what is left on the stack and in
// locals may be needed behind it.
func (w *walker) called() {
	w.calls++
	w.kept += w.locals + w.height
}

// operate follows an instruction that is neither control nor call.
func (w *walker) operate(in *wasm.Instr) error {
	takes, leaves, ok := in.Op.Stack()
	if !ok {
		return fmt.Errorf("instruction 0x%x is not known", int(in.Op))
	}
	if err := w.pop(takes); err != nil {
		return err
	}
	if helped(in.Op) {
		w.called()
	}
	w.push(leaves)
	if in.Op.Accesses() {
		w.effort.accesses++
	}
	m := w.m
	switch op := in.Op; {
	case op == wasm.OpLocalGet, op == wasm.OpLocalSet, op == wasm.OpLocalTee:
		if op != wasm.OpLocalGet {
			w.sets++
		}
		return within("local", in.X, w.locals)
	case op == wasm.OpGlobalGet, op == wasm.OpGlobalSet:
		return within("global", in.X, len(m.Globals))
	case op == wasm.OpTableGet, op == wasm.OpTableSet, op == wasm.OpTableGrow, op == wasm.OpTableSize, op == wasm.OpTableFill:
		return within("table", in.X, len(m.Tables))
	case op == wasm.OpTableCopy:
		return within("table", max(in.X, in.Y), len(m.Tables))
	case op == wasm.OpTableInit:
		if err := within("table", in.Y, len(m.Tables)); err != nil {
			return err
		}
		return within("element segment", in.X, len(m.Elems))
	case op == wasm.OpElemDrop:
		return within("element segment", in.X, len(m.Elems))
	case op == wasm.OpMemoryInit, op == wasm.OpDataDrop:
		return within("data segment", in.X, len(m.Datas))
	case op == wasm.OpRefFunc:
		_, err := w.signature(in.X)
		return err
	case op >= wasm.OpVector:
		w.vector = true
	}
	return nil
}

func within(what string, x uint32, n int) error {
	if uint64(x) >= uint64(n) {
		return fmt.Errorf("%s %d is not there", what, x)
	}
	return nil
}

// helped tells whether the instruction is carried out by, or with, a function
// that the rewriter adds.
func helped(op wasm.Op) bool {
	switch op {
	case wasm.OpMemoryInit, wasm.OpMemoryCopy, wasm.OpMemoryFill, wasm.OpMemoryGrow,
		wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill, wasm.OpTableGrow:
		return true
	}
	return false
}
