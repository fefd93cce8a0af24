package meter

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// document is JSON of n bytes, without an end.
func document(n int) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `"key%d":{"text":"a \"quoted\" word, and then some more text","n":[%d,true,null]},`, i, i*i)
	}
	return []byte(b.String()[:n])
}

func guest(t testing.TB) []byte {
	t.Helper()
	code, err := os.ReadFile("testdata/guest/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// compare calls a function of the original and of the rewritten module in turn, so
// that other work on the machine meets both, and reports the ratio of the best
// times.
func compare(b *testing.B, original, metered api.Function, args ...uint64) {
	b.Helper()
	functions := [2]api.Function{original, metered}
	best := [2]time.Duration{time.Hour, time.Hour}
	stack := make([]uint64, 4)
	b.ReportAllocs()
	for b.Loop() {
		for i, f := range functions {
			copy(stack, args)
			began := time.Now()
			if err := f.CallWithStack(b.Context(), stack); err != nil {
				b.Fatal(err)
			}
			best[i] = min(best[i], time.Since(began))
		}
	}
	b.ReportMetric(float64(best[1])/float64(best[0]), "metered/plain")
	b.ReportMetric(float64(best[0]), "plain-ns")
}

// BenchmarkGuest compares functions in C: a tight loop over integers, one with
// branches, two byte scanners, small calls, recursion.
func BenchmarkGuest(b *testing.B) {
	code := guest(b)
	var in [2]api.Module
	for i, c := range [][]byte{code, mustRewrite(b, code, nil).Code} {
		r := compiler(b, features)
		(&host{slice: Slice}).install(b, r)
		var err error
		if in[i], err = r.InstantiateWithConfig(b.Context(), c, wazero.NewModuleConfig().WithName("")); err != nil {
			b.Fatal(err)
		}
		at, err := in[i].ExportedFunction("text").Call(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		in[i].Memory().Write(uint32(at[0]), document(60000))
	}
	const n = 60000
	for _, c := range []struct {
		name string
		args []uint64
	}{
		{"spin", []uint64{n}}, {"collatz", []uint64{600}}, {"find", []uint64{n, 0}}, {"scan", []uint64{n}},
		{"calls", []uint64{n}}, {"recurse", []uint64{22}},
	} {
		b.Run(c.name, func(b *testing.B) {
			compare(b, in[0].ExportedFunction(c.name), in[1].ExportedFunction(c.name), c.args...)
		})
	}
}

// BenchmarkGo compares a Go guest that decodes and encodes JSON.
func BenchmarkGo(b *testing.B) {
	if testing.Short() {
		b.Skip("it has to be built, and takes seconds to compile")
	}
	code := buildGo(b)
	original, metered := startGo(b, code), startGo(b, mustRewrite(b, code, nil).Code)
	b.Run("json", func(b *testing.B) {
		compare(b, original.ExportedFunction("run"), metered.ExportedFunction("run"), 10)
	})
}

// BenchmarkRewrite rewrites without validating, which costs as much again.
func BenchmarkRewrite(b *testing.B) {
	modules := map[string][]byte{"c": guest(b)}
	if !testing.Short() {
		modules["go"] = buildGo(b)
	}
	for name, code := range modules {
		b.Run(name, func(b *testing.B) {
			cfg := Default(func([]byte) error { return nil })
			b.SetBytes(int64(len(code)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Rewrite(code, cfg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
