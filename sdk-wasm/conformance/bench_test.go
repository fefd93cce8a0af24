package conformance

import (
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// BenchmarkPass is what a plugin adds to an event that it lets pass: by a function for
// its action, and without one. It includes what the host does for it, limits on. The
// guest is that of the conformance cases; private is what an instance of it has for
// itself in memory afterwards.
func BenchmarkPass(b *testing.B) {
	for _, l := range languages {
		for _, action := range []string{"case:nothing", "case:unknown", "case:pass"} {
			for _, n := range []int{1, hostapi.MaxBatch} {
				b.Run(fmt.Sprintf("%s/%s/%d", l.name, action, n), func(b *testing.B) {
					code := l.code(b)
					i := instance(b, compile(b, code, plan()))
					call := guest.Call{Host: newHost()}
					for range n {
						call.Records = append(call.Records, event(action))
					}
					var out guest.Output
					b.ReportAllocs()
					for b.Loop() {
						if err := i.Run(&call, &out); err != nil {
							b.Fatal(err)
						}
					}
					private, _ := i.Private() // for information: 0 where it is not known
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
					b.ReportMetric(float64(private)/1024, "private-KiB")
					b.ReportMetric(float64(len(code))/1024, "module-KiB")
				})
			}
		}
	}
}
