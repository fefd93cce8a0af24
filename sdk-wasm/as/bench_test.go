package as_test

import (
	"context"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// BenchmarkPlugin is what an event costs, host included.
func BenchmarkPlugin(b *testing.B) {
	for _, tc := range []struct {
		name, source, action string
		batch                int
	}{
		{"no function, 1", "testdata/noop.ts", "message:send", 1},
		{"no function, 64", "testdata/noop.ts", "message:send", 64},
		{"function that passes, 1", "testdata/noop.ts", "order:seen", 1},
		{"function that passes, 64", "testdata/noop.ts", "order:seen", 64},
		{"forbid, 64", "testdata/noop.ts", "order:created", 64},
		{"slow mode, 1", "example/slowmode.ts", "message:send", 1},
		{"slow mode, 64", "example/slowmode.ts", "message:send", 64},
		{"garbage, 64", "testdata/probe.ts", "garbage", 64},
	} {
		b.Run(tc.name, func(b *testing.B) {
			code := build(b, tc.source)
			p := begin(b, code, "")
			call := guest.Call{Host: p.host}
			for range tc.batch {
				call.Records = append(call.Records, record(tc.action, `{"text":"now is the time for all good men to come to the aid of the party"}`))
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Run(&call, &p.out); err != nil {
					b.Fatal(err)
				}
			}
			n := float64(b.N * tc.batch)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/event")
			b.ReportMetric(float64(p.out.Usage.Fuel)/float64(tc.batch), "fuel/event")
			b.ReportMetric(float64(len(code)), "module-bytes")
			private, err := p.Private()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(private), "private-bytes")
		})
	}
	b.Run("start", func(b *testing.B) {
		p := begin(b, build(b, "testdata/noop.ts"), "")
		for b.Loop() {
			i, err := p.program.New(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			i.Close()
		}
	})
	b.Run("reset", func(b *testing.B) {
		p := begin(b, build(b, "example/slowmode.ts"), "")
		call := guest.Call{Host: p.host, Records: []hostapi.Record{record("message:send", "{}")}}
		for b.Loop() {
			if err := p.Run(&call, &p.out); err != nil {
				b.Fatal(err)
			}
			if err := p.Reset(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
