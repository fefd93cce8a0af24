package directory

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/builtin/presence"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/session"
)

// BenchmarkOpened is a session with ten rooms that another node opens: what it costs to
// tell of it, and to be told; how many bytes it takes on the bus, and in memory here.
func BenchmarkOpened(b *testing.B) {
	b.Run("directory", func(b *testing.B) { opens(b, nobody{}) })
	b.Run("with presence", func(b *testing.B) {
		p := presence.New(presence.Config{IdleAfter: 5 * time.Minute, Grace: 10 * time.Second, Interval: 250 * time.Millisecond, BatchAbove: 100, Large: 200, Named: 100}, presence.Deps{
			Emit: hush{}, Notes: hush{}, Clock: func() int64 { return 1 }, Mode: func(string) string { return room.PresenceMembers },
		})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() { cancel(); <-done }()
		opens(b, p)
	})
}

func opens(b *testing.B, p Presence) {
	bytes := 0
	var to *Directory
	deps := Deps{
		Node: "a", Log: quiet, Clock: func() int64 { return 0 }, Shared: func(string) bool { return true },
		Broadcast: func(m []byte) { bytes += len(m); to.Receive(m) },
	}
	from := New(deps)
	deps.Node, deps.Broadcast, deps.Presence, deps.Sessions = "b", func([]byte) {}, p, nobody{}
	answered := make(chan struct{})
	deps.Ask = func(_ string, _ byte, _ []byte, done func([]byte, error)) error {
		go func() { done(from.own.page(0), nil); close(answered) }()
		return nil
	}
	to = New(deps)
	to.Alive([]string{"a"})
	<-answered
	before := heap()
	n := uint64(0)
	var used atomic.Int64
	b.ReportAllocs()
	for b.Loop() {
		n++
		from.Opened(n, session.Place{Session: fmt.Sprintf("01J9Z%021d", n), Tenant: "acme", User: fmt.Sprintf("user-%06d", n), Device: "phone"}, &used)
		for i := range uint64(10) {
			from.Joined(n, fmt.Sprintf("conv:%06d", (n*7+i*i)%5000)) // as many as fit into a community
		}
	}
	from.flush()
	from.own.byNum, from.own.order = nil, nil
	b.ReportMetric(float64(bytes)/float64(n), "bus-B/op")
	b.ReportMetric(float64(heap()-before)/float64(n), "kept-B/op")
	if to.Count("acme") != int64(n) {
		b.Fatal(to.Stats())
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// hush is what presence needs and the benchmark does not.
type hush struct{}

func (hush) Emit(*event.Envelope, string) {}
func (hush) Row(context.Context, string, string, string, string) ([]byte, bool, error) {
	return nil, false, nil
}
