package redis

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// asStore makes a cell.Store of what has no bounds.
type asStore struct{ *bare }

type bare = Cells

func (s asStore) PutCells(ctx context.Context, tenant, table string, cells ...cell.Cell) error {
	_, err := s.SwapWithin(ctx, tenant, table, nil, cells, 0)
	return err
}

func (s asStore) PutCellsSoon(tenant, table string, cells ...cell.Cell) error {
	return s.PutCells(context.Background(), tenant, table, cells...)
}

func (s asStore) SwapCells(ctx context.Context, tenant, table string, was, put []cell.Cell) (bool, error) {
	done, err := s.SwapWithin(ctx, tenant, table, was, put, 0)
	return done.Made, err
}

func TestCells(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		celltest.Suite(t, func(t testing.TB) cell.Store {
			g.Flush(t)
			return asStore{NewCells(reach(t, g))}
		})
	})
}

func value(key, value string) cell.Cell { return cell.Cell{Key: key, Value: []byte(value)} }

// TestCellsAreCounted: all that a tenant has counts, and nothing makes it more than it may
// have but what makes it less.
func TestCellsAreCounted(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Group) {
		g.Flush(t)
		s := NewCells(reach(t, g))
		for i, c := range []struct {
			table    string
			was, put []cell.Cell
			quota    int64
			want     string
		}{
			{"kv/a", nil, nil, 1, "made 0 0"},
			{"kv/a", nil, []cell.Cell{value("k", "123")}, 10, "made 4 1"},
			{"kv/b", nil, []cell.Cell{value("k", "12345")}, 10, "made 10 2"},
			{"kv/b", nil, []cell.Cell{value("l", "")}, 10, "full 10 2"},
			{"kv/b", []cell.Cell{value("k", "other")}, []cell.Cell{value("l", "")}, 10, "other 0 0"},
			{"kv/b", []cell.Cell{value("k", "12345")}, []cell.Cell{value("l", "")}, 11, "made 11 3"},
			{"kv/b", nil, []cell.Cell{value("k", "1234")}, 5, "made 10 3"},
			{"kv/b", nil, []cell.Cell{value("k", "12"), value("k", "1"), {Key: "l"}, {Key: "never"}}, 5, "made 6 2"},
			{"kv/a", nil, []cell.Cell{{Key: "k"}}, 5, "made 2 1"},
			{"kv/b", nil, []cell.Cell{{Key: "k"}, value("k", "x"), {Key: "k"}}, 0, "made 0 0"},
		} {
			done, err := s.SwapWithin(t.Context(), "acme", c.table, c.was, c.put, c.quota)
			if err != nil {
				t.Fatal(err)
			}
			got := "other "
			if done.Made {
				got = "made "
			} else if done.Full {
				got = "full "
			}
			if got += fmt.Sprint(done.Bytes, done.Keys); got != c.want {
				t.Errorf("%d: %s, want %s", i, got, c.want)
			}
		}
		if done, err := s.SwapWithin(t.Context(), "acm", "ekv/a", nil, nil, 0); err != nil || done.Keys != 0 {
			t.Error("another tenant has", done, err)
		}
	})
}

// TestCellsOfAll: what nodes swap at once is all counted, and no more is kept than may be.
func TestCellsOfAll(t *testing.T) {
	g := redistest.Start(t)
	var all sync.WaitGroup
	for n := range 3 {
		s := NewCells(connect(t, g))
		all.Go(func() {
			for i := range 100 {
				if _, err := s.SwapWithin(t.Context(), "acme", "kv/a", nil, []cell.Cell{value(fmt.Sprintf("%d %02d", n, i), "12345")}, 1000); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	done, err := NewCells(connect(t, g)).SwapWithin(t.Context(), "acme", "kv/a", nil, nil, 1)
	if err != nil || done.Bytes > 1000 || done.Bytes < 990 || done.Keys < 100 {
		t.Error(done, err)
	}
}

// TestCellsWithoutRedis: who asks is told that the store is away.
func TestCellsWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	s := NewCells(connect(t, server))
	server.Kill()
	if _, _, err := s.Cell(t.Context(), "acme", "kv", "a"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := s.Cells(t.Context(), "acme", "kv", "", 1); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := s.SwapWithin(t.Context(), "acme", "kv", nil, []cell.Cell{{Key: "b"}}, 0); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
