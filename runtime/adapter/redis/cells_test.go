package redis

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// store runs a store of cells until stop.
func store(t testing.TB, c *Client, queue int) (s *Cells, stop func()) {
	s = NewCells(c, CellsConfig{Queue: 1 << 20}, slog.New(slog.DiscardHandler))
	if queue > 0 {
		s.max = int64(queue)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return s, stop
}

func TestCells(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		celltest.Suite(t, func(t testing.TB) cell.Store {
			g.Flush(t)
			s, _ := store(t, reach(t, g), 0)
			return s
		})
	})
}

func cellsOf(t *testing.T, s *Cells, table string) string {
	t.Helper()
	list, err := s.Cells(t.Context(), "acme", table, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, c := range list {
		out += fmt.Sprintf("%s=%s ", c.Key, c.Value)
	}
	return out
}

// TestCellsWithoutRedis: what waits is made in its order when Redis is back, reads say that
// the store is away, and what finds no room is refused.
func TestCellsWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server)
	c.cfg.Timeout = 200 * time.Millisecond
	s, _ := store(t, c, 40*100)
	put := func(key, value string) error {
		return s.PutCellsSoon("acme", "kv", cell.Cell{Key: key, Value: []byte(value)})
	}
	if err := put("a", "0"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	n := 0
	for ; put("a", fmt.Sprint(n+1)) == nil; n++ {
	}
	if n == 0 || n > 100 || s.Refused.Load() != 1 {
		t.Errorf("%d wait, %d refused", n, s.Refused.Load())
	}
	if _, _, err := s.Cell(t.Context(), "acme", "kv", "a"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := s.PutCells(t.Context(), "acme", "kv", cell.Cell{Key: "b"}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	server.Run(t)
	redistest.Eventually(t, "it is written", func() bool {
		v, _, err := s.Cell(t.Context(), "acme", "kv", "a")
		return err == nil && string(v) == fmt.Sprint(n)
	})
	if err := s.PutCells(t.Context(), "acme", "kv", cell.Cell{Key: "b", Value: []byte("1")}); err != nil {
		t.Error(err)
	}
}

// TestCellsAtTheEnd: what waits when Run ends is made; afterwards all is refused.
func TestCellsAtTheEnd(t *testing.T) {
	server := redistest.Start(t)
	s, stop := store(t, connect(t, server), 0)
	for i := range 1000 {
		if err := s.PutCellsSoon("acme", fmt.Sprint("kv", i%3), cell.Cell{Key: "a", Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if got := cellsOf(t, s, "kv0"); got != "a=999 " {
		t.Error(got)
	}
	if err := s.PutCellsSoon("acme", "kv", cell.Cell{Key: "a"}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if s.bytes != 0 || len(s.pending) != 0 || s.Written.Load() != 1000 {
		t.Errorf("%d bytes and %d tables are pending, %d written", s.bytes, len(s.pending), s.Written.Load())
	}
}

// TestCellsThatAreRefused: what Redis will never take keeps nothing else from being written.
func TestCellsThatAreRefused(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server)
	s, _ := store(t, c, 0)
	server.Do(t, "SET", s.table("acme", "kv")+":values", "no hash")
	if err := s.PutCellsSoon("acme", "kv", cell.Cell{Key: "a", Value: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutCells(t.Context(), "acme", "kv2", cell.Cell{Key: "a", Value: []byte("1")}); err != nil {
		t.Error(err)
	}
	redistest.Eventually(t, "it is given up", func() bool { return s.Lost.Load() == 1 })
	if err := s.PutCells(t.Context(), "acme", "kv", cell.Cell{Key: "a", Value: []byte("1")}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// TestCellsInTheirOrder: behind a change that is made again, those of its table are, too.
func TestCellsInTheirOrder(t *testing.T) {
	server := redistest.Start(t)
	s := NewCells(connect(t, server), CellsConfig{Queue: 1 << 20}, slog.New(slog.DiscardHandler))
	write := func(list []*change, want int) []*change {
		t.Helper()
		left, err := s.write(t.Context(), list)
		if len(left) != want || (err != nil) != (want > 0) {
			t.Errorf("%d are left, %v; want %d", len(left), err, want)
		}
		return left
	}
	put := func(table string, c cell.Cell) {
		if err := s.PutCellsSoon("acme", table, c); err != nil {
			t.Fatal(err)
		}
	}
	put("kv", cell.Cell{Key: "a", Value: []byte("1")})
	write(s.take(10), 0)
	server.Do(t, "CONFIG", "SET", "maxmemory", "1") // only deletions are taken now
	put("kv", cell.Cell{Key: "a", Value: []byte("2")})
	put("kv", cell.Cell{Key: "a"})
	put("other", cell.Cell{Key: "a"})
	left := write(s.take(10), 2)
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	write(left, 0)
	if got := cellsOf(t, s, "kv"); got != "" {
		t.Errorf("what came first stays: %s", got)
	}
	if s.Written.Load() != 4 || s.bytes != 0 {
		t.Errorf("%d written, %d bytes wait", s.Written.Load(), s.bytes)
	}
}
