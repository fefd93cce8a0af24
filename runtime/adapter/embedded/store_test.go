package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

func TestOpenRefusesADirectoryThatIsNotItsOwn(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    string // in the error; "" for none
	}{
		{"missing", func(*testing.T, string) {}, ""},
		{"empty", func(t *testing.T, dir string) { mkdir(t, dir) }, ""},
		{"a new file system", func(t *testing.T, dir string) { mkdir(t, dir+"/lost+found") }, ""},
		{"an interrupted first start", func(t *testing.T, dir string) {
			mkdir(t, dir)
			write(t, dir+"/LOCK", "")
			write(t, dir+"/HEDDLE.new", "hed")
		}, ""},
		{"somebody else's", func(t *testing.T, dir string) { mkdir(t, dir); write(t, dir+"/thesis.txt", "") }, "not a data directory of Heddle: it holds thesis.txt"},
		{"of a newer program", func(t *testing.T, dir string) { mkdir(t, dir); write(t, dir+"/HEDDLE", "heddle embedded 2\n") }, "written by a newer one"},
		{"with another file HEDDLE", func(t *testing.T, dir string) { mkdir(t, dir); write(t, dir+"/HEDDLE", "weaving notes") }, "not a data directory"},
		{"a file", func(t *testing.T, dir string) { write(t, dir, "") }, "cannot make the data directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir() + "/a/data"
			mkdir(t, filepath.Dir(dir))
			c.prepare(t, dir)
			before, _ := os.ReadDir(dir)
			cfg := Default()
			cfg.Dir = dir
			s, err := Open(cfg, Deps{Fatal: func(error) {}})
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, nil, nil)
				_ = s.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("error %v; want %q and the directory", err, c.want)
			}
			if after, _ := os.ReadDir(dir); c.name == "somebody else's" && len(after) != len(before) {
				t.Errorf("the directory was changed: %v", after)
			}
		})
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil, nil)
	cfg := Default()
	cfg.Dir = dir
	if _, err := Open(cfg, Deps{Fatal: func(error) {}}); err == nil || !strings.Contains(err.Error(), dir+" is in use") {
		t.Errorf("error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil, nil)
	_ = s.Close()
}

func TestOpenNeedsItsConfig(t *testing.T) {
	if _, err := Open(Config{}, Deps{Fatal: func(error) {}}); err == nil {
		t.Error("an empty config was taken")
	}
	if _, err := Open(Default(), Deps{}); err == nil {
		t.Error("a store without Fatal was opened")
	}
}

func TestSpaceHasAWatermarkAndAReturn(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 10 << 20, TotalBytes: 1 << 30})
	s := open(t, "data", fs, func(c *Config, _ *Deps) { c.MinFree = 8 << 20 })
	defer s.Close()
	for _, step := range []struct {
		free uint64 // MiB
		want bool
	}{{10, true}, {7, false}, {8, false}, {9, true}, {8, true}, {7, false}} {
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: step.free << 20, TotalBytes: 1 << 30})
		s.sampleSpace()
		if s.Space() != step.want || s.FreeBytes() != step.free<<20 {
			t.Errorf("with %d MiB: %v, %d", step.free, s.Space(), s.FreeBytes())
		}
	}
	err := s.Save(context.Background(), session.Record{ID: "1", Tenant: "acme"})
	if !fault.Is(err, fault.StorageFull) {
		t.Errorf("Save on a full disk: %v", err)
	}
}

func TestStats(t *testing.T) {
	s := open(t, "data", vfs.NewMem(), nil)
	defer s.Close()
	if st := s.Stats(); st.MemTableBytes == 0 || st.Stalls != 0 {
		t.Errorf("%+v", st)
	}
}
