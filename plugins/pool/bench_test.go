package pool

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// builtC is the guest of testdata/pass.c.
func builtC(t testing.TB) []byte { return builtCOf(t, "pass.c") }

// builtCOf is a guest of testdata.
func builtCOf(t testing.TB, name string, flags ...string) []byte {
	t.Helper()
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no toolchain for C here: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "c.wasm")
	if out, err := exec.Command("sh", append([]string{"../../sdk-wasm/c/build.sh", "testdata/" + name, file, "-Werror"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// language is one of those that guests are written in.
type language struct {
	name string
	code []byte
}

func languages(t testing.TB) []language {
	t.Helper()
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return []language{{"C", builtC(t)}, {"Go", code}}
}

// BenchmarkPass is what a plugin costs that has nothing to say, of an event that comes
// alone: with an instance that is kept, and with a reset behind each.
func BenchmarkPass(b *testing.B) {
	for _, l := range languages(b) {
		for _, keep := range []bool{true, false} {
			name := l.name + "/kept"
			if !keep {
				name = l.name + "/reset"
			}
			p, _ := newPoolOf(b, l.code, func(c *Config, _ *Deps) { c.Keep = keep })
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				j := job(1, "message:send", "")
				j.Record.Room, j.Record.Device, j.Record.ID = "conv:42", "phone", "m-1"
				j.Record.Attributes = []hostapi.Attribute{{Name: "text_length", Type: hostapi.AttrInt, Int: 12}}
				ctx := context.Background()
				for b.Loop() {
					if err := p.Do(ctx, j); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSpinners has guests spin without end on half of the processors. Beside them
// Go's collector is run now and then, and another tenant's plugin has events; the
// figures, in milliseconds, are how long a collection and such an event take, and how
// long behind its deadline a spinning guest is stopped. The first two are to compare:
// nobody spins, or loops of the host's own, which the scheduler can stop anywhere.
func BenchmarkSpinners(b *testing.B) {
	const timeout = 20 * time.Millisecond
	half := max(1, runtime.GOMAXPROCS(0)/2)
	list := languages(b)
	other, _ := newPoolOf(b, list[0].code, nil)
	b.Run("nobody", func(b *testing.B) { beside(b, other, 0, nil) })
	b.Run("native", func(b *testing.B) {
		beside(b, other, half, func(uint64) {
			for began := time.Now(); time.Since(began) < timeout; {
				for range 1 << 20 { // nothing
				}
			}
		})
	})
	for _, l := range list {
		hostile, _ := newPoolOf(b, l.code, func(c *Config, _ *Deps) { c.Lanes, c.BreakFrom = half, 0 },
			func(limits *guest.Limits) { limits.Fuel, limits.Timeout = 1e15, timeout })
		b.Run(l.name, func(b *testing.B) {
			var late durations
			beside(b, other, half, func(key uint64) {
				began := time.Now()
				if got := reason(hostile.Do(context.Background(), job(key, "spin", "{}"))); got != "deadline" {
					b.Errorf("a guest that spins ended otherwise: %q", got)
				}
				late.add(time.Since(began)/2 - timeout) // it is tried twice
			})
			late.report(b, "late")
		})
	}
}

// beside measures what goes on beside so many goroutines that spin.
func beside(b *testing.B, other *Pool, spinners int, spin func(key uint64)) {
	var tasks sync.WaitGroup
	var over atomic.Bool // ends the tasks
	var events, collections durations
	for key := range spinners {
		tasks.Go(func() {
			for !over.Load() {
				spin(uint64(key))
			}
		})
	}
	tasks.Go(func() {
		pace := time.NewTicker(200 * time.Microsecond)
		defer pace.Stop()
		for j := job(0, "nothing", "{}"); !over.Load(); <-pace.C {
			began := time.Now()
			if err := other.Do(context.Background(), j); err != nil {
				b.Errorf("a neighbour: %v", err)
			}
			events.add(time.Since(began))
		}
	})
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for b.Loop() {
		began := time.Now()
		runtime.GC()
		collections.add(time.Since(began))
		<-pace.C
	}
	over.Store(true)
	tasks.Wait()
	collections.report(b, "gc")
	events.report(b, "event")
}

// durations collects them.
type durations struct {
	mu   sync.Mutex
	list []time.Duration
}

func (d *durations) add(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, t)
}

func (d *durations) report(b *testing.B, what string) {
	slices.Sort(d.list)
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99} {
		b.ReportMetric(d.list[int(q*float64(len(d.list)-1))].Seconds()*1e3, what+"-"+name+"-ms")
	}
	b.ReportMetric(d.list[len(d.list)-1].Seconds()*1e3, what+"-max-ms")
}
