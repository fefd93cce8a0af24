package wasm

// custom keeps the name section and skips every other one.
func (p *parser) custom() {
	name := p.Name()
	if name == "name" && p.err == nil && p.names == nil {
		p.names, p.at = p.data[p.pos:], p.base+p.pos
	}
	p.pos = len(p.data)
}

// funcNames reads the names of functions. They help people alone, and by the
// specification an error in a custom section is no error of the module: what
// cannot be understood counts as absent.
func (p *parser) funcNames() []FuncName {
	const functions = 1
	r := NewReader(p.names, p.at)
	for r.Len() > 0 {
		id := r.U8()
		data := r.Bytes(r.U32())
		if r.err == nil && id == functions {
			return p.nameMap(NewReader(data, 0))
		}
	}
	return nil
}

func (p *parser) nameMap(r *Reader) []FuncName {
	n := r.Count(2, 0, "names")
	if n > p.m.ImportedFuncs()+len(p.m.Funcs) {
		return nil
	}
	names := make([]FuncName, n)
	for i := range names {
		names[i] = FuncName{r.U32(), r.Name()}
		if i > 0 && names[i].Index <= names[i-1].Index {
			return nil
		}
	}
	if r.err != nil || n > 0 && int(names[n-1].Index) >= p.m.ImportedFuncs()+len(p.m.Funcs) {
		return nil
	}
	return names
}

// appendNames appends a name section with the names of functions.
func appendNames(b []byte, names []FuncName) []byte {
	if len(names) == 0 {
		return b
	}
	table := AppendU32(nil, uint32(len(names)))
	for _, n := range names {
		table = AppendName(AppendU32(table, n.Index), n.Name)
	}
	body := appendSized(append(AppendName(nil, "name"), 1), table)
	return appendSized(append(b, secCustom), body)
}
