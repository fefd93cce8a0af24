package native_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
)

// BenchmarkAuthenticate is a token there and back: one after the other, and 64 at once.
func BenchmarkAuthenticate(b *testing.B) {
	for _, atOnce := range []int{1, 64} {
		b.Run(fmt.Sprintf("waiting=%d", atOnce), func(b *testing.B) {
			r := run(b, native.Deps{}, child(b, "authenticator", "echo"))
			r.ready(b, 1)
			tokens := make(chan struct{})
			var all sync.WaitGroup
			for range atOnce {
				all.Go(func() {
					for range tokens {
						if _, err := r.Authenticators[0].Authenticate(context.Background(), native.Credentials{Tenant: "acme", Token: "user", Remote: "192.0.2.1:7", Transport: "websocket"}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				tokens <- struct{}{}
			}
			close(tokens)
			all.Wait()
			st := r.Stats()[0]
			b.ReportMetric(float64(st.Sent)/float64(max(st.Batches, 1)), "items/batch")
		})
	}
}

// BenchmarkModerate is a message judged, with batches of one and of 64.
func BenchmarkModerate(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			const queue = 4096
			slots := make(chan struct{}, queue)
			r := run(b, native.Deps{Verdict: func(native.Verdict) { <-slots }}, child(b, "moderator", "poison", fmt.Sprint("batch: ", batch), fmt.Sprint("queue: ", 2*queue)))
			r.ready(b, 1)
			m := message(1, "a message of some length, as people send them")
			b.ReportAllocs()
			for b.Loop() {
				slots <- struct{}{}
				r.Moderators[0].Observe(m)
			}
			for range queue { // until the last is judged
				slots <- struct{}{}
			}
		})
	}
}

// BenchmarkSink is a record handed over and acknowledged, with batches of one and of 64.
func BenchmarkSink(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := run(b, native.Deps{}, child(b, "sink", "discard", fmt.Sprint("batch: ", batch), "overflow: block", "block: 10s"))
			r.ready(b, 1)
			m := message(1, "a message of some length, as people send them")
			b.ReportAllocs()
			for b.Loop() {
				r.Sinks[0].Put(context.Background(), m, new(time.Duration))
			}
			r.stop()
			if st := r.Stats()[0]; st.Dropped > 0 {
				b.Fatalf("%+v", st)
			}
		})
	}
}

// BenchmarkPut is what the publisher pays for a record.
func BenchmarkPut(b *testing.B) {
	cfg := child(b, "sink", "discard")
	p, err := native.New([]native.Config{cfg}, native.Deps{}) // not run: the queue is full, its oldest go
	if err != nil {
		b.Fatal(err)
	}
	m := message(1, "a message of some length, as people send them")
	b.ReportAllocs()
	for b.Loop() {
		p.Sinks[0].Put(context.Background(), m, new(time.Duration))
	}
}
