package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		name := filepath.Join(dir, "deep", fmt.Sprintf("%02d", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		made := time.Now().Add(time.Duration(i-20) * time.Hour)
		if err := os.Chtimes(name, made, made); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names []string) {
		all, _ := filepath.Glob(filepath.Join(dir, "deep", "*"))
		for _, name := range all {
			names = append(names, filepath.Base(name))
		}
		return names
	}
	for _, c := range []struct {
		most int64
		left int
	}{{0, 20}, {2000, 20}, {1000, 9}, {900, 9}} {
		e := &Engine{cfg: Config{Cache: dir, Most: c.most}}
		if err := e.Trim(); err != nil {
			t.Fatal(err)
		}
		if names := left(); len(names) != c.left || names[len(names)-1] != "19" {
			t.Errorf("with %d bytes there are left %v", c.most, names)
		}
	}
	if err := (&Engine{cfg: Config{Cache: filepath.Join(dir, "none"), Most: 1}}).Trim(); err != nil {
		t.Error(err)
	}
}
