package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// cellsOf shows a table.
func cellsOf(t *testing.T, s *Store, tenant, table, after string, limit int) string {
	t.Helper()
	all, err := s.Cells(t.Context(), tenant, table, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, c := range all {
		out += fmt.Sprintf("%q=%s ", c.Key, c.Value)
	}
	return out
}

func cellOf(key, value string) cell.Cell { return cell.Cell{Key: key, Value: []byte(value)} }

func TestCells(t *testing.T) {
	celltest.Suite(t, func(t testing.TB) cell.Store {
		s := open(t, "d", vfs.NewMem(), nil)
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

// What was waited for survives any crash, and the rest one that comes later than
// cellsLag.
func TestCellsAfterCrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, "d", mem, nil)
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // ended by cancel
	crashed := func() string {
		again := open(t, "d", mem.CrashClone(vfs.CrashCloneCfg{}), nil)
		defer func() { _ = again.Close() }()
		return cellsOf(t, again, "acme", "kv", "", 10)
	}
	if err := s.PutCells(t.Context(), "acme", "kv", cellOf("a", "1")); err != nil {
		t.Fatal(err)
	}
	if got := crashed(); got != `"a"=1 ` {
		t.Errorf("after PutCells there is %s", got)
	}
	if err := s.PutCellsSoon("acme", "kv", cellOf("b", "2")); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); crashed() != `"a"=1 "b"=2 `; {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("there is %s", crashed())
		}
		time.Sleep(cellsLag)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCellsOnAFullDisk(t *testing.T) {
	s := open(t, "d", vfs.NewMem(), nil)
	t.Cleanup(func() { _ = s.Close() })
	if err := s.PutCells(t.Context(), "acme", "kv", cellOf("a", "1")); err != nil {
		t.Fatal(err)
	}
	s.full.Store(true)
	if err := s.PutCellsSoon("acme", "kv", cellOf("b", "2")); !fault.Is(err, fault.StorageFull) {
		t.Errorf("%v", err)
	}
	if err := s.PutCells(t.Context(), "acme", "kv", cell.Cell{Key: "a"}); err != nil {
		t.Errorf("deleting: %v", err)
	}
}
