package wasm

func (p *parser) types() {
	n := p.Count(3, p.lim.Types, "types")
	p.m.Types = make([]FuncType, 0, n)
	for range n {
		switch form := p.U8(); form {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			p.Fail("%s", featGC.off())
		default:
			p.Fail("type %d is not a function type", len(p.m.Types))
		}
		p.m.Types = append(p.m.Types, FuncType{p.valTypes("parameters"), p.valTypes("results")})
	}
}

func (p *parser) valTypes(what string) []ValType {
	n := p.Count(1, p.lim.Arity, what)
	if n == 0 {
		return nil
	}
	ts := make([]ValType, n)
	for i := range ts {
		ts[i] = p.valType()
	}
	return ts
}

func (r *Reader) valType() ValType {
	switch t := ValType(r.U8()); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	case 0x69, 0x74:
		r.Fail("%s", featExceptions.off())
	case 0x63, 0x64, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73:
		r.Fail("%s", featGC.off())
	default:
		r.Fail("0x%02x is not a type of values", byte(t))
	}
	return I32
}

func (r *Reader) refType() ValType {
	t := r.valType()
	if t != FuncRef && t != ExternRef {
		r.Fail("%s is not a type of references", t)
	}
	return t
}

func (p *parser) imports() {
	n := p.Count(4, p.lim.Imports, "imports")
	p.m.Imports = make([]Import, 0, n)
	for range n {
		im := Import{Module: p.Name(), Name: p.Name()}
		switch im.Kind = Kind(p.U8()); im.Kind {
		case KindFunc:
			im.Func = p.typeIndex()
		case KindTable:
			im.Table = p.table()
		case KindMemory:
			im.Memory = p.size()
		case KindGlobal:
			im.Global = p.globalType()
		case 4:
			p.Fail("%s", featExceptions.off())
		default:
			p.Fail("0x%02x is not a kind of import", byte(im.Kind))
		}
		p.m.Imports = append(p.m.Imports, im)
	}
}

// typeIndex reads the index of a type that must be there.
func (p *parser) typeIndex() uint32 {
	i := p.U32()
	if int(i) >= len(p.m.Types) {
		p.Fail("type %d is not there", i)
		return 0
	}
	return i
}

func (p *parser) functions() {
	n := p.Count(1, p.lim.Functions, "functions")
	p.m.Funcs = make([]uint32, n)
	for i := range p.m.Funcs {
		p.m.Funcs[i] = p.typeIndex()
	}
}

func (p *parser) tables() {
	n := p.Count(3, p.lim.Tables, "tables")
	p.m.Tables = make([]Table, n)
	for i := range p.m.Tables {
		p.m.Tables[i] = p.table()
	}
}

func (r *Reader) table() Table { return Table{Elem: r.refType(), Size: r.size()} }

func (r *Reader) size() (s Size) {
	switch flags := r.U8(); {
	case flags <= 1:
		s.Min = r.U32()
		if s.HasMax = flags == 1; s.HasMax {
			s.Max = r.U32()
		}
	case flags <= 3:
		r.Fail("%s", featThreads.off())
	case flags <= 7:
		r.Fail("%s", featMemory64.off())
	default:
		r.Fail("0x%02x is not a kind of limits", flags)
	}
	return s
}

func (p *parser) memories() {
	n := p.Count(2, 0, "memories")
	if n > 1 {
		p.Fail("%s", featMultiMem.off())
		return
	}
	p.m.Memories = make([]Size, n)
	for i := range p.m.Memories {
		p.m.Memories[i] = p.size()
	}
}

func (r *Reader) globalType() GlobalType {
	t := r.valType()
	mut := r.U8()
	if mut > 1 {
		r.Fail("0x%02x does not say whether a global is mutable", mut)
	}
	return GlobalType{t, mut == 1}
}

func (p *parser) globals() {
	n := p.Count(4, p.lim.Globals, "globals")
	p.m.Globals = make([]Global, n)
	for i := range p.m.Globals {
		p.m.Globals[i] = Global{p.globalType(), p.constant()}
	}
}

func (p *parser) exports() {
	n := p.Count(3, p.lim.Exports, "exports")
	p.m.Exports = make([]Export, n)
	for i := range p.m.Exports {
		e := Export{Name: p.Name(), Kind: Kind(p.U8()), Index: p.U32()}
		switch {
		case e.Kind == 4:
			p.Fail("%s", featExceptions.off())
		case e.Kind > KindGlobal:
			p.Fail("0x%02x is not a kind of export", byte(e.Kind))
		}
		p.m.Exports[i] = e
	}
}

func (p *parser) start() { p.m.Start, p.m.HasStart = p.U32(), true }

func (p *parser) dataCount() { p.count, p.m.HasCount = int(p.U32()), true }
