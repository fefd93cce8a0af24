package meter

import (
	"context"
	"runtime/metrics"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// FuzzRewrite rewrites any bytes. It must not panic, nor take memory beyond what is
// linear in them; and what it accepts, wazero compiles.
func FuzzRewrite(f *testing.F) {
	ctx := context.Background()
	f.Add(guest(f))
	for seed := range uint64(10) {
		m, err := wasm.Parse(generate(seed, true, true), wasm.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		m.Datas[0].Bytes = nil // most of it, and nothing to mutate
		f.Add(m.Append(nil))
	}
	for _, module := range hostile() {
		if len(module) < 10000 {
			f.Add(module)
		}
	}
	f.Add(counterModule().bytes())
	// The interpreter compiles in time that is linear in the module: a fuzzer would
	// find what the compiler is slow with, and no more.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	compile := func(module []byte) error {
		c, err := r.CompileModule(ctx, module)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, bytes, err := measured(module, compile)
		// What else the process does is counted too: it will not do it three times.
		for try := 0; bytes > 1<<20+1000*uint64(len(module)); try++ {
			if try == 2 {
				t.Fatalf("%d bytes of module took %d bytes of memory", len(module), bytes)
			}
			m, bytes, err = measured(module, compile)
		}
		if err != nil {
			return
		}
		if err := compile(m.Code); err != nil {
			t.Fatalf("the rewritten module is not valid: %v", err)
		}
		if m.Info.Snapshot() != nil {
			return
		}
		code, err := m.Preinit(m.Info.Memory.Min, make([]uint64, len(m.Info.Globals)))
		if err != nil {
			t.Fatalf("no snapshot: %v", err)
		}
		if err := compile(code); err != nil {
			t.Fatalf("the module of a snapshot is not valid: %v", err)
		}
	})
}

// measured is Rewrite with what it has allocated, less what validating has.
func measured(module []byte, validate func([]byte) error) (m *Module, bytes uint64, err error) {
	others := uint64(0)
	before := allocated()
	m, err = Rewrite(module, Default(func(plain []byte) error {
		before := allocated()
		err := validate(plain)
		others += allocated() - before
		return err
	}))
	return m, allocated() - before - others, err
}

// allocated is how many bytes this process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
