package meter

import (
	"fmt"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// traits is what must be known of a function before its body is rewritten.
type traits struct {
	frame  uint32 // bytes of stack that a call of it may take, as estimated
	calls  bool   // it calls functions, so its stack is counted
	tight  bool   // it has a loop that calls nothing: the slice is kept in a local
	loops  []loop // in the order in which they begin
	locals int    // parameters included
}

// loop is what must be known of a loop at its head.
type loop struct {
	sets  int  // of locals
	calls bool // anything
}

// uses is what instructions of all functions do, as far as anybody asks.
type uses struct {
	changesTables bool
	dropsSegments bool
	help          [helpers]bool
	initSegments  []bool // of data segments: memory.init copies from it
}

// scanner reads every body once, before anything is rewritten.
type scanner struct {
	walker
	cfg     *Config
	mutable int // globals
	sum     int // of efforts
	uses    uses
	in      wasm.Instr
}

// scan reads the function with index i among those that the module defines, and puts
// its instructions into their shortest form: what is validated, and rewritten later,
// is what was understood here.
func (s *scanner) scan(i int) (traits, error) {
	code := &s.m.Codes[i]
	s.begin(&s.m.Types[s.m.Funcs[i]], code)
	t := traits{locals: s.locals}
	r, body := wasm.NewReader(code.Body, code.Offset), make([]byte, 0, len(code.Body))
	for done := false; !done; {
		r.Instr(&s.in)
		if err := r.Err(); err != nil {
			return t, s.located(i, err, 0)
		}
		body = append(body, s.in.Raw...)
		closed, end, err := s.step(&s.in)
		if err != nil {
			return t, s.located(i, err, s.in.Offset)
		}
		if done = end; s.in.Op == wasm.OpEnd && closed.op == wasm.OpLoop {
			l := loop{sets: s.sets - closed.sets, calls: s.calls > closed.calls}
			t.loops[closed.loop] = l
			t.tight = t.tight || !l.calls
		}
		s.note(&t)
	}
	if r.Len() > 0 {
		return t, s.located(i, fmt.Errorf("has %d bytes behind its end", r.Len()), s.in.Offset)
	}
	code.Body = body
	return t, s.bound(i, &t)
}

// note remembers what the instruction at hand uses.
func (s *scanner) note(t *traits) {
	switch op := s.in.Op; op {
	case wasm.OpLoop:
		t.loops = append(t.loops, loop{})
	case wasm.OpCall, wasm.OpCallIndirect:
		t.calls = true
	case wasm.OpTableSet, wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill, wasm.OpTableGrow:
		s.uses.changesTables = true
	case wasm.OpElemDrop, wasm.OpDataDrop:
		s.uses.dropsSegments = true
	}
	if !helped(s.in.Op) {
		return
	}
	s.uses.help[helperFor(s.in.Op)] = true
	if s.in.Op == wasm.OpMemoryInit {
		s.uses.initSegments[s.in.X] = true
	}
}

// bound estimates the function's frame, and holds it and what the compiler has to
// do to their limits. Each local and operand takes eight bytes, a vector sixteen,
// and the arguments and results of a call lie beside them. That is generous for
// code as compilers write it. It can be made too little: wazero gives each value
// that must outlive a call a place of its own, also if another one is in the same
// local later. So a frame counts for no less than a sixteenth of what those could
// take.
func (s *scanner) bound(i int, t *traits) error {
	const fixed, slot, share = 64, 8, 16
	slots := s.locals + s.highest + s.area
	bytes := max(fixed+slot*slots, fixed+slot*min(s.values, s.kept)/share)
	if s.vector {
		bytes += bytes
	}
	t.frame = uint32(min(bytes, 1<<30))
	if limit := int(s.cfg.Frame); bytes > limit {
		return s.located(i, fmt.Errorf("has %d values in locals and on the stack, and keeps values across calls in %d places: that takes about "+
			"%d bytes of stack, the limit is %d: split the function, or keep large data in memory", slots, s.kept, bytes, limit), -1)
	}
	s.effort.reloads = s.mutable * s.calls
	return s.located(i, s.cfg.compilable(&s.effort, &s.sum), -1)
}

// located is err with the place: defined function i, byte at.
func (s *scanner) located(i int, err error, at int) error {
	if err == nil {
		return nil
	}
	e, ok := err.(*wasm.Error)
	if !ok {
		e = &wasm.Error{Offset: at, Msg: err.Error()}
	}
	e.Section, e.Func = "code", s.imported+i
	e.Name = nameOf(s.m, uint32(e.Func))
	return e
}
