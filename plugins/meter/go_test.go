package meter

import (
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// buildGo builds the Go guest as a plugin is built.
func buildGo(t testing.TB) []byte {
	t.Helper()
	code, err := guesttest.Go(filepath.Join("testdata", "gojson"))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// startGo instantiates a Go guest, metered or not, and initialises it.
func startGo(t testing.TB, code []byte) api.Module {
	t.Helper()
	r := compiler(t, features)
	(&host{slice: Slice}).install(t, r)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGo takes a Go guest with encoding/json by default, and continues it from a
// snapshot.
func TestGo(t *testing.T) {
	if quick() {
		t.Skip("it has to be built, and takes seconds to compile")
	}
	m := mustRewrite(t, buildGo(t), nil)
	first := startGo(t, m.Code)
	work := func(in api.Module) {
		t.Helper()
		for range 20 {
			if res, err := in.ExportedFunction("run").Call(t.Context(), 3); err != nil || int32(res[0]) <= 0 {
				t.Fatalf("it ends with %v, %v", res, err)
			}
		}
	}
	var globals []uint64
	for _, g := range m.Info.Globals {
		globals = append(globals, first.ExportedGlobal(g.Export).Get())
	}
	image, _ := first.Memory().Read(0, first.Memory().Size())
	code, err := m.Preinit(uint32(len(image)/PageSize), globals)
	if err != nil {
		t.Fatal(err)
	}
	r := compiler(t, features)
	(&host{slice: Slice}).install(t, r)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	second, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	second.Memory().Write(0, image)
	work(first)
	work(second)
	t.Logf("%d bytes for each start, %d from a snapshot", len(m.Code), len(code))
}
