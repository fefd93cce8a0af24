package wasm

// constant reads a constant expression, its end included.
func (r *Reader) constant() (c Const) {
	var in Instr
	r.Instr(&in)
	switch c.Op = in.Op; c.Op {
	case OpI32Const, OpI64Const, OpF32Const, OpF64Const, OpV128Const, OpRefNull:
		c.Raw = in.Raw
	case OpRefFunc, OpGlobalGet:
		c.Index = in.X
	default:
		r.Fail("a constant expression has an instruction that is not constant")
	}
	if Op(r.U8()) != OpEnd {
		r.Fail("a constant expression has more than one instruction")
	}
	return c
}

// elements reads element segments. The three low bits of a segment's flags say:
// passive or declared (if not active); with a table's index (if active), or
// declared (if not); entries are expressions.
func (p *parser) elements() {
	n := p.Count(2, p.lim.Segments, "segments")
	p.m.Elems = make([]Elem, 0, n)
	total := 0
	for range n {
		e := p.element()
		if total += len(e.Funcs) + len(e.Exprs); p.lim.Elements > 0 && total > p.lim.Elements {
			p.Fail("has more than %d entries in all segments together", p.lim.Elements)
			return
		}
		p.m.Elems = append(p.m.Elems, e)
	}
}

func (p *parser) element() Elem {
	flags := p.U32()
	if flags > 7 {
		p.Fail("%d is not a kind of element segment", flags)
	}
	e := Elem{Type: FuncRef}
	second, exprs := flags&2 != 0, flags&4 != 0
	switch {
	case flags&1 == 0:
		if second {
			e.Table = p.U32()
		}
		e.Offset = p.constant()
	case second:
		e.Mode = Declared
	default:
		e.Mode = Passive
	}
	if flags&3 != 0 { // the short form of an active segment says no type
		if exprs {
			e.Type = p.refType()
		} else if kind := p.U8(); kind != 0 {
			p.Fail("0x%02x is not a kind of element", kind)
		}
	}
	if !exprs {
		e.Funcs = make([]uint32, p.Count(1, p.lim.Elements, "entries"))
		for i := range e.Funcs {
			e.Funcs[i] = p.U32()
		}
		return e
	}
	e.Exprs = make([]Const, p.Count(3, p.lim.Elements, "entries"))
	for i := range e.Exprs {
		e.Exprs[i] = p.constant()
	}
	return e
}

func (p *parser) codes() {
	n := p.Count(3, p.lim.Functions, "functions")
	p.m.Codes = make([]Code, 0, n)
	first := p.m.ImportedFuncs()
	for i := range n {
		size := p.U32()
		if p.lim.Body > 0 && size > uint32(p.lim.Body) {
			p.Fail("the function has %d bytes, the limit is %d: split it", size, p.lim.Body)
		}
		at := p.base + p.pos
		body := NewReader(p.Bytes(size), at)
		if p.err == nil {
			p.m.Codes = append(p.m.Codes, body.code(p.lim.Locals))
			p.err = body.err
		}
		if p.err != nil {
			p.err.Func = first + i
			p.pos = len(p.data)
			return
		}
	}
}

func (r *Reader) code(limit int) Code {
	runs := make([]Locals, r.Count(2, 0, "runs of locals"))
	total := uint64(0)
	for i := range runs {
		runs[i] = Locals{r.U32(), r.valType()}
		total += uint64(runs[i].N)
	}
	if limit <= 0 {
		limit = 1<<32 - 1
	}
	if total > uint64(limit) {
		r.Fail("has %d local variables, the limit is %d: split the function", total, limit)
	}
	return Code{Locals: runs, Offset: r.base + r.pos, Body: r.Bytes(uint32(r.Len()))}
}

func (p *parser) datas() {
	n := p.Count(2, p.lim.Segments, "segments")
	p.m.Datas = make([]Data, n)
	for i := range p.m.Datas {
		d := &p.m.Datas[i]
		switch flags := p.U32(); flags {
		case 0, 2:
			if flags == 2 && p.U32() != 0 {
				p.Fail("%s", featMultiMem.off())
			}
			d.Offset = p.constant()
		case 1:
			d.Mode = Passive
		default:
			p.Fail("%d is not a kind of data segment", flags)
		}
		d.Bytes = p.Bytes(p.U32())
	}
}
