package meter

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// TestRefused lists what is not permitted, and what its developer reads.
func TestRefused(t *testing.T) {
	nop := asm(nil).op(wasm.OpNop)
	with := func(change func(b *builder)) []byte {
		b := newBuilder(1)
		b.function("run", 0, 0, 0, nop)
		change(b)
		return b.bytes()
	}
	custom := func(section byte, body ...byte) []byte { // raw bytes of a section, behind the header
		return append([]byte("\x00asm\x01\x00\x00\x00"), append([]byte{section, byte(len(body))}, body...)...)
	}
	importing := func(module string, im wasm.Import) []byte {
		im.Module, im.Name = module, "x"
		return with(func(b *builder) { b.Imports = []wasm.Import{im} })
	}
	code := func(body ...byte) []byte { return run(1, 0, body) }
	for name, c := range map[string]struct {
		module []byte
		says   []string
	}{
		"nothing":            {nil, []string{"is empty"}},
		"text":               {[]byte("(module)"), []string{"wat2wasm"}},
		"a component":        {[]byte("\x00asm\x0d\x00\x01\x00"), []string{"component", "wasip1"}},
		"no module":          {[]byte("\x7fELF"), []string{"not a WebAssembly module"}},
		"not valid":          {code(byte(wasm.OpI32Const), 1), []string{"code section, function 0", "operands"}},
		"wrong types":        {code(byte(wasm.OpI32Const), 1, byte(wasm.OpI64Const), 1, byte(wasm.OpI32Add), byte(wasm.OpDrop)), []string{"is not valid"}},
		"a heddle: import":   {importing("heddle:meter", wasm.Import{}), []string{"import section", `"heddle:"`, `"heddle"`}},
		"a heddle: module":   {importing("heddle:other", wasm.Import{}), []string{"import section", `"heddle:"`}},
		"a heddle: export":   {with(func(b *builder) { b.Exports[1].Name = "heddle:slice" }), []string{"export section", "heddle:slice", "rename"}},
		"an imported memory": {importing("env", wasm.Import{Kind: wasm.KindMemory}), []string{"imports its memory (env.x)", "--import-memory"}},
		"an imported table":  {importing("env", wasm.Import{Kind: wasm.KindTable, Table: wasm.Table{Elem: wasm.FuncRef}}), []string{"imports a table (env.x)"}},
		"an imported global": {importing("env", wasm.Import{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32}}), []string{"imports a global (env.x)"}},
		"two memories":       {with(func(b *builder) { b.Memories = append(b.Memories, wasm.Size{}) }), []string{"memory section", "more than one memory"}},
		"a large memory":     {with(func(b *builder) { b.Memories[0].Min = 1025 }), []string{"memory section", "1025 pages", "limit is 1024 (64MiB)"}},
		"a large table":      {with(func(b *builder) { b.table(200000) }), []string{"table section", "200000", "131072"}},
		"many functions": {with(func(b *builder) {
			for range 50000 {
				b.function("", 0, 0, 0, nil)
			}
		}), []string{"50001 functions", "50000"}},
		"many locals":    {run(1, 50000, nop), []string{"function 0", "50000 local variables", "10000", "split"}},
		"a large frame":  {run(1, 0, times(20000, asm(nil).i32(1)).join(times(20000, asm(nil).op(wasm.OpDrop)))), []string{"function 0", "bytes of stack", "split"}},
		"a large body":   {run(1, 0, times(1<<20, nop)), []string{"function 0", "1048578 bytes", "split"}},
		"a large module": {make([]byte, 16<<20+1), []string{"16777217 bytes", "16MiB", "strip"}},
		"nested blocks": {run(1, 0, times(100000, asm(nil).open(wasm.OpBlock, wasm.NoResult)).
			join(times(100000, asm(nil).op(wasm.OpEnd)))), []string{"function 0", "compile", "200000 basic blocks", "split"}},
		"a long br_table":              {run(1, 0, longTable(100000)), []string{"function 0", "compile", "split"}},
		"threads":                      {code(0xfe, 0x03, 0), []string{"function 0", "threads", "-pthread"}},
		"exceptions":                   {code(0x08, 0), []string{"function 0", "exception handling", "-fno-exceptions"}},
		"tail calls":                   {code(0x12, 0), []string{"function 0", "tail calls", "-mtail-call"}},
		"GC":                           {code(0xfb, 0), []string{"function 0", "garbage-collected"}},
		"relaxed SIMD":                 {code(0xfd, 0x80, 0x02), []string{"function 0", "relaxed SIMD"}},
		"another memory":               {code(byte(wasm.OpMemorySize), 1), []string{"function 0", "more than one memory"}},
		"shared memory":                {custom(5, 1, 3, 1, 1), []string{"memory section", "threads"}},
		"64-bit memory":                {custom(5, 1, 4, 1), []string{"memory section", "64-bit"}},
		"tags":                         {custom(13, 1, 0, 0), []string{"exception handling"}},
		"struct types":                 {custom(1, 1, 0x5f, 0, 0), []string{"type section", "garbage-collected"}},
		"a lie about how many":         {custom(1, 0xff, 0xff, 0xff, 0xff, 0x0f), []string{"type section", "more than its bytes can hold"}},
		"a label too far":              {code(byte(wasm.OpBr), 2), []string{"function 0", "label 2"}},
		"a global of the rewriter's":   {code(byte(wasm.OpGlobalGet), 0, byte(wasm.OpDrop)), []string{"function 0", "global 0 is not there"}},
		"a function of the rewriter's": {code(byte(wasm.OpCall), 1), []string{"function 0", "function 1 is not there"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Rewrite(c.module, Default(validator(t, features)))
			var e *wasm.Error
			if !errors.As(err, &e) {
				t.Fatalf("it says %v", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("it does not say %q, but: %v", s, err)
				}
			}
		})
	}
}

func longTable(n int) asm {
	a := asm(nil).open(wasm.OpBlock, wasm.NoResult).i32(0).with(wasm.OpBrTable, uint32(n))
	return a.join(make(asm, n+1)).op(wasm.OpEnd)
}

// TestHiddenCode takes a module whose instructions are longer than they have to be
// for what it says, and not for what wazero would read: for wazero the constant of
// this one is "drop, end, global.set 0, ..."; global 0 is the slice.
func TestHiddenCode(t *testing.T) {
	hidden := asm(nil).op(wasm.OpDrop, wasm.OpEnd).i32(9).with(wasm.OpGlobalSet, 0).op(wasm.OpUnreachable)
	hidden = append(hidden, make([]byte, 16-len(hidden))...)
	long := append(asm{0xfd, 0x8c, 0x00}, hidden...).op(wasm.OpDrop)
	short := append(asm{0xfd, 0x0c}, hidden...).op(wasm.OpDrop)
	var validated [2][]byte
	var rewritten [2]*Module
	for i, body := range []asm{long, short} {
		validate := validator(t, features)
		rewritten[i] = mustRewrite(t, run(1, 0, body), func(c *Config) {
			c.Validate = func(module []byte) error {
				validated[i] = module
				return validate(module)
			}
		})
	}
	if !bytes.Equal(validated[0], validated[1]) || !bytes.Equal(rewritten[0].Code, rewritten[1].Code) {
		t.Error("the encoding makes a difference")
	}
}

// TestNamesInErrors finds the function's name in an error.
func TestNamesInErrors(t *testing.T) {
	b := newBuilder(1)
	b.function("", 0, 0, 20000, nil)
	b.Names = []wasm.FuncName{{Index: 0, Name: "main.huge"}}
	cfg := Default(validator(t, features))
	cfg.Locals = 0
	_, err := Rewrite(b.bytes(), cfg)
	if err == nil || !strings.Contains(err.Error(), "function 0 (main.huge)") {
		t.Errorf("it says %v", err)
	}
}

// TestLarge rewrites what the default limits refuse: without them, it is bounded by
// the bytes alone, and done in time that is linear in them.
func TestLarge(t *testing.T) {
	for name, body := range map[string]asm{
		"nested blocks":      times(300000, asm(nil).open(wasm.OpBlock, wasm.NoResult)).join(times(300000, asm(nil).op(wasm.OpEnd))),
		"nested loops":       times(300000, asm(nil).open(wasm.OpLoop, wasm.NoResult)).join(times(300000, asm(nil).op(wasm.OpEnd))),
		"nested ifs":         times(200000, asm(nil).i32(1).open(wasm.OpIf, wasm.NoResult)).join(times(200000, asm(nil).op(wasm.OpEnd))),
		"a br_table":         longTable(1000000),
		"straight-line code": times(7<<20, asm(nil).op(wasm.OpNop)),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Limit: 256, Depth: 1 << 20, Frame: 1 << 20, Memory: PageSize, Table: 1, Validate: func([]byte) error { return nil }}
			module := run(1, 1, body)
			began := time.Now()
			m, err := Rewrite(module, cfg)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			t.Logf("%d bytes become %d in %v", len(module), len(m.Code), took)
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestBroken cuts a module short at each byte, and changes bytes of it: Rewrite may
// refuse it, and no more than that.
func TestBroken(t *testing.T) {
	module := guest(t)
	cfg := Default(validator(t, features))
	for n := range module {
		_, _ = Rewrite(module[:n], cfg)
	}
	random := rand.New(rand.NewPCG(1, 2))
	tries := 20000
	if quick() {
		tries = 1000
	}
	for range tries {
		changed := append([]byte{}, module...)
		for range 1 + random.IntN(3) {
			changed[random.IntN(len(changed))] = byte(random.Uint32())
		}
		_, _ = Rewrite(changed, cfg)
	}
}
