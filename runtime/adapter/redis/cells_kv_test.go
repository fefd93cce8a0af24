package redis

import (
	"errors"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
)

// add is a call of a plugin that adds to a number, as pools make it: one that is stale again
// and again runs alone.
func add(t testing.TB, p *kv.Part, o *kv.Overlay) (sum int64, err error) {
	for try := 0; ; try++ {
		if try == 3 {
			if err := p.Alone(t.Context(), o); err != nil {
				return 0, err
			}
			defer p.Together(o)
		}
		o.Begin(t.Context(), p)
		sum, st := o.Add([]byte("n"), 1, 0)
		if st != hostapi.OK {
			t.Fatal(st)
		}
		if err := o.Commit(); !errors.Is(err, kv.ErrStale) || try == 3 {
			return sum, err
		}
	}
}

func plugin(t testing.TB, c *Client) *kv.Part {
	t.Helper()
	p, err := kv.NewShared(NewCells(c), func(string, string) bool { return true }, nil).Open(t.Context(), "acme", "p", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNodesAdd: what nodes add to the same number at once is all there.
func TestNodesAdd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		g.Flush(t)
		const nodes, workers, calls = 3, 4, 50
		var all sync.WaitGroup
		for range nodes {
			p := plugin(t, reach(t, g))
			for range workers {
				all.Go(func() {
					var o kv.Overlay
					for range calls {
						if _, err := add(t, p, &o); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		var o kv.Overlay
		if sum, err := add(t, plugin(t, reach(t, g)), &o); err != nil || sum != nodes*workers*calls+1 {
			t.Errorf("%d, %v", sum, err)
		}
	})
}

// BenchmarkAdd is a call that adds to a number, by one node that has it to itself.
func BenchmarkAdd(b *testing.B) {
	p := plugin(b, connect(b, redistest.Start(b)))
	var o kv.Overlay
	b.ReportAllocs()
	for b.Loop() {
		if _, err := add(b, p, &o); err != nil {
			b.Fatal(err)
		}
	}
}
