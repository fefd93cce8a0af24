package embedded

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/sequence/logtest"
	"github.com/heddle-rt/heddle/runtime/session"
)

var (
	_ sequence.Log  = (*Log)(nil)
	_ room.History  = (*Store)(nil)
	_ room.Reader   = (*Store)(nil)
	_ room.Tables   = (*tables)(nil)
	_ session.Store = (*Store)(nil)
)

// patience bounds every wait for what has to come.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if beKilled() {
		return
	}
	goleak.VerifyTestMain(m)
}

// open opens a store for a test, and closes it if the test has not.
func open(t testing.TB, dir string, fs vfs.FS, change func(*Config, *Deps)) *Store {
	t.Helper()
	cfg := Default()
	cfg.Dir, cfg.MinFree, cfg.MemTable, cfg.CacheSize = dir, 0, 4<<20, 1<<20
	deps := Deps{FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	if change != nil {
		change(&cfg, &deps)
	}
	s, err := Open(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   func() vfs.FS
	}{
		{"disk", func() vfs.FS { return nil }},
		{"memory", func() vfs.FS { return vfs.NewMem() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			logtest.Run(t, func(t *testing.T) logtest.Subject {
				dir, fs := t.TempDir()+"/data", c.fs()
				s := open(t, dir, fs, nil)
				restart := func() sequence.Log {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, dir, fs, nil)
					return s.Log()
				}
				t.Cleanup(func() { _ = s.Close() })
				return logtest.Subject{Log: s.Log(), Restart: restart}
			})
		})
	}
}
