package wasm

// Append appends the module to b. It is written anew from the fields: integers
// in their shortest form, sections in their order, the names last.
func (m *Module) Append(b []byte) []byte {
	b = append(b, header[:]...)
	b = section(b, secType, len(m.Types), m.appendType)
	b = section(b, secImport, len(m.Imports), m.appendImport)
	b = section(b, secFunction, len(m.Funcs), func(b []byte, i int) []byte { return AppendU32(b, m.Funcs[i]) })
	b = section(b, secTable, len(m.Tables), func(b []byte, i int) []byte { return m.Tables[i].append(b) })
	b = section(b, secMemory, len(m.Memories), func(b []byte, i int) []byte { return m.Memories[i].append(b) })
	b = section(b, secGlobal, len(m.Globals), func(b []byte, i int) []byte {
		return m.Globals[i].Init.append(m.Globals[i].GlobalType.append(b))
	})
	b = section(b, secExport, len(m.Exports), func(b []byte, i int) []byte {
		e := &m.Exports[i]
		return AppendU32(append(AppendName(b, e.Name), byte(e.Kind)), e.Index)
	})
	if m.HasStart {
		b = appendSized(append(b, secStart), AppendU32(nil, m.Start))
	}
	b = section(b, secElement, len(m.Elems), func(b []byte, i int) []byte { return m.Elems[i].append(b) })
	if m.HasCount {
		b = appendSized(append(b, secDataCount), AppendU32(nil, uint32(len(m.Datas))))
	}
	b = section(b, secCode, len(m.Codes), func(b []byte, i int) []byte { return m.Codes[i].append(b) })
	b = section(b, secData, len(m.Datas), func(b []byte, i int) []byte { return m.Datas[i].append(b) })
	return appendNames(b, m.Names)
}

// section appends a section with n items, or nothing if there are none.
func section(b []byte, id byte, n int, item func([]byte, int) []byte) []byte {
	if n == 0 {
		return b
	}
	// The size comes first and is known last: five bytes hold it in any case, and
	// the rest is moved up once.
	b = append(b, id)
	at := len(b)
	b = AppendU32(append(b, 0, 0, 0, 0, 0), uint32(n))
	for i := range n {
		b = item(b, i)
	}
	return closeSized(b, at)
}

// closeSized writes at byte at, where five bytes are free, the number of bytes
// behind them, and closes the gap.
func closeSized(b []byte, at int) []byte {
	body := b[at+5:]
	head := AppendU32(b[at:at], uint32(len(body)))
	return append(b[:at+len(head)], body...)
}

func (m *Module) appendType(b []byte, i int) []byte {
	t := &m.Types[i]
	return appendValTypes(appendValTypes(append(b, 0x60), t.Params), t.Results)
}

func appendValTypes(b []byte, ts []ValType) []byte {
	b = AppendU32(b, uint32(len(ts)))
	for _, t := range ts {
		b = append(b, byte(t))
	}
	return b
}

func (m *Module) appendImport(b []byte, i int) []byte {
	im := &m.Imports[i]
	b = append(AppendName(AppendName(b, im.Module), im.Name), byte(im.Kind))
	switch im.Kind {
	case KindTable:
		return im.Table.append(b)
	case KindMemory:
		return im.Memory.append(b)
	case KindGlobal:
		return im.Global.append(b)
	}
	return AppendU32(b, im.Func)
}

func (s Size) append(b []byte) []byte {
	if !s.HasMax {
		return AppendU32(append(b, 0), s.Min)
	}
	return AppendU32(AppendU32(append(b, 1), s.Min), s.Max)
}

func (t Table) append(b []byte) []byte { return t.Size.append(append(b, byte(t.Elem))) }

func (t GlobalType) append(b []byte) []byte {
	if t.Mutable {
		return append(b, byte(t.Type), 1)
	}
	return append(b, byte(t.Type), 0)
}

func (c Const) append(b []byte) []byte {
	switch c.Op {
	case OpRefFunc, OpGlobalGet:
		b = AppendU32(append(b, byte(c.Op)), c.Index)
	default:
		b = append(b, c.Raw...)
	}
	return append(b, byte(OpEnd))
}

func (e *Elem) append(b []byte) []byte {
	flags := [...]uint32{Active: 0, Passive: 1, Declared: 3}[e.Mode]
	if e.Exprs != nil {
		flags |= 4
	}
	if e.Mode == Active && (e.Table != 0 || e.Exprs != nil && e.Type != FuncRef) {
		flags |= 2
	}
	b = AppendU32(b, flags)
	if flags&3 == 2 {
		b = AppendU32(b, e.Table)
	}
	if e.Mode == Active {
		b = e.Offset.append(b)
	}
	if e.Exprs == nil {
		if flags&3 != 0 {
			b = append(b, 0)
		}
		b = AppendU32(b, uint32(len(e.Funcs)))
		for _, f := range e.Funcs {
			b = AppendU32(b, f)
		}
		return b
	}
	if flags&3 != 0 {
		b = append(b, byte(e.Type))
	}
	b = AppendU32(b, uint32(len(e.Exprs)))
	for i := range e.Exprs {
		b = e.Exprs[i].append(b)
	}
	return b
}

func (c *Code) append(b []byte) []byte {
	at := len(b)
	b = AppendU32(append(b, 0, 0, 0, 0, 0), uint32(len(c.Locals)))
	for _, l := range c.Locals {
		b = append(AppendU32(b, l.N), byte(l.Type))
	}
	return closeSized(append(b, c.Body...), at)
}

func (d *Data) append(b []byte) []byte {
	if d.Mode == Passive {
		b = append(b, 1)
	} else {
		b = d.Offset.append(append(b, 0))
	}
	return appendSized(b, d.Bytes)
}
