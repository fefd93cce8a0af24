package wasm

import "bytes"

// Ids of sections.
const (
	secCustom byte = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

// header is the magic number and version 1.
var header = [8]byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// sections lists the sections in the order in which they must come.
var sections = [...]struct {
	id    byte
	name  string
	parse func(*parser)
}{
	{secType, "type", (*parser).types},
	{secImport, "import", (*parser).imports},
	{secFunction, "function", (*parser).functions},
	{secTable, "table", (*parser).tables},
	{secMemory, "memory", (*parser).memories},
	{secGlobal, "global", (*parser).globals},
	{secExport, "export", (*parser).exports},
	{secStart, "start", (*parser).start},
	{secElement, "element", (*parser).elements},
	{secDataCount, "data count", (*parser).dataCount},
	{secCode, "code", (*parser).codes},
	{secData, "data", (*parser).datas},
}

// parser fills m from one section after the other; the Reader is that of the
// section at hand.
type parser struct {
	*Reader
	m     *Module
	lim   Limits
	count int // what the data count section says
	names []byte
	at    int // of names in the module
}

// Parse takes a module apart. Its error is an *Error.
func Parse(module []byte, lim Limits) (*Module, error) {
	if !bytes.HasPrefix(module, header[:]) {
		return nil, &Error{Func: NoFunc, Offset: 0, Msg: notAModule(module)}
	}
	top := NewReader(module[len(header):], len(header))
	p := &parser{m: &Module{}, lim: lim}
	next := 0
	for top.Len() > 0 {
		id := top.U8()
		size := top.U32()
		at := top.base + top.pos
		data := top.Bytes(size)
		if top.err != nil {
			break
		}
		if err := p.section(id, data, at, &next); err != nil {
			return nil, err
		}
	}
	if top.err != nil {
		return nil, top.err
	}
	if err := p.consistent(); err != nil {
		return nil, err
	}
	p.m.Names = p.funcNames()
	return p.m, nil
}

// section reads one section; next is the place in sections of the first that may
// still come.
func (p *parser) section(id byte, data []byte, at int, next *int) error {
	p.Reader = NewReader(data, at)
	if id == secCustom {
		p.custom()
		return p.failed("custom")
	}
	if id == secTag {
		p.Fail("%s", featExceptions.off())
		return p.failed("tag")
	}
	for i := range sections {
		if sections[i].id != id {
			continue
		}
		if i < *next {
			p.Fail("comes twice, or after a section that it must precede")
			return p.failed(sections[i].name)
		}
		*next = i + 1
		sections[i].parse(p)
		if p.Len() > 0 {
			p.Fail("has %d bytes too many", p.Len())
		}
		return p.failed(sections[i].name)
	}
	p.Fail("section id %d is unknown", id)
	return p.failed("")
}

// failed is the section's error, if it has one.
func (p *parser) failed(section string) error {
	if p.err == nil {
		return nil
	}
	if p.err.Section == "" {
		p.err.Section = section
	}
	return p.err
}

// consistent checks what several sections say of each other.
func (p *parser) consistent() error {
	m := p.m
	bad := &Error{Func: NoFunc, Offset: -1}
	switch {
	case len(m.Codes) != len(m.Funcs):
		bad.Section, bad.Msg = "code", "the function section declares more or fewer functions than have code"
	case m.HasCount && p.count != len(m.Datas):
		bad.Section, bad.Msg = "data", "the data count section says another number of segments"
	default:
		return nil
	}
	return bad
}

// notAModule says what the bytes are instead.
func notAModule(b []byte) string {
	switch {
	case len(b) == 0:
		return "is empty"
	case bytes.HasPrefix(b, []byte("\x00asm\x0d\x00\x01\x00")):
		return "is a component, not a core module: build for a core target such as wasm32-unknown-unknown or wasip1"
	case bytes.HasPrefix(b, []byte("\x00asm")):
		return "has a version of the binary format other than 1"
	case bytes.HasPrefix(bytes.TrimSpace(b), []byte("(module")):
		return "is WebAssembly text: translate it with wat2wasm first"
	}
	return "is not a WebAssembly module"
}
