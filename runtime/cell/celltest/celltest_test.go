package celltest

import (
	"context"
	"errors"
	"testing"

	"github.com/heddle-rt/heddle/runtime/cell"
)

func TestMemory(t *testing.T) { Suite(t, func(testing.TB) cell.Store { return &cell.Memory{} }) }

func TestStore(t *testing.T) { Suite(t, func(testing.TB) cell.Store { return &Store{} }) }

// TestFaults: what fails neither reads nor changes anything.
func TestFaults(t *testing.T) {
	s, away, asked := &Store{}, errors.New("away"), ""
	put(t, s, "acme", "kv", of("a", "1"))
	s.Reads = func(ctx context.Context, table string) error { asked += " read " + table; return ctx.Err() }
	s.Writes = func(table string) error { asked += " write " + table; return away }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, ok, err := s.Cell(ctx, "acme", "kv", "a"); v != nil || ok || !errors.Is(err, context.Canceled) {
		t.Error(v, ok, err)
	}
	if list, err := s.Cells(ctx, "acme", "other", "", 1); list != nil || !errors.Is(err, context.Canceled) {
		t.Error(list, err)
	}
	if err := s.PutCells(t.Context(), "acme", "kv", of("a", "2")); !errors.Is(err, away) {
		t.Error(err)
	}
	if want := " read kv read other write kv"; asked != want {
		t.Errorf("asked:%s, want%s", asked, want)
	}
	s.Reads, s.Writes = nil, nil
	s.Away(away)
	if _, ok, err := s.Cell(t.Context(), "acme", "kv", "a"); ok || !errors.Is(err, away) {
		t.Error(ok, err)
	}
	if err := s.PutCellsSoon("acme", "kv", cell.Cell{Key: "a"}); !errors.Is(err, away) {
		t.Error(err)
	}
	s.Set("acme", "kv", "b", []byte("2"))
	if v := s.Value("acme", "kv", "b"); string(v) != "2" || s.Len() != 2 {
		t.Errorf("%q, %d cells", v, s.Len())
	}
	s.Set("acme", "kv", "b", nil)
	s.Away(nil)
	page(t, s, "acme", "kv", "", 10, `"a"=1`)
}
