package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// These tests need a process that dies: the test binary runs itself.

const (
	killEnv   = "HEDDLE_TEST_KILL" // the data directory of a process that will be killed
	brokenEnv = "HEDDLE_TEST_BROKEN_DISK"
)

// beKilled is the other process; it reports whether this is one.
func beKilled() bool {
	switch {
	case os.Getenv(killEnv) != "":
		sendUntilKilled(os.Getenv(killEnv))
	case os.Getenv(brokenEnv) != "":
		surviveBrokenDisk()
	default:
		return false
	}
	return true
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// running is a store with a committer in the other process.
func running(cfg Config, deps Deps) (*Store, *sequence.Committer) {
	s := must(Open(cfg, deps))
	c := must(sequence.New(sequence.Default(), sequence.Deps{Log: s.Log(), Publisher: nobody{}, Space: s.Space}))
	go func() { _ = c.Run(context.Background()) }() // ends with the process
	return s, c
}

// sendUntilKilled prints a line for each promise it gives.
func sendUntilKilled(dir string) {
	time.AfterFunc(5*time.Minute, func() { os.Exit(1) }) // if the test forgets it
	cfg := Default()
	cfg.Dir, cfg.MinFree = dir, 0
	s, c := running(cfg, Deps{Fatal: func(err error) { panic(err) }})
	for user := range 8 {
		go func() { // ends with the process
			for n := 0; ; n++ {
				t := send(sendID{user, n})
				if err := c.Submit(context.Background(), &t.Submission); err != nil {
					panic(err)
				}
				if o := <-t.done; o.Err == nil {
					_, _ = os.Stdout.WriteString(fmt.Sprintf("acked %d %d %d %s\n", user, n, o.Offset, o.ID))
				}
			}
		}()
	}
	for n := int64(1); ; n++ {
		if err := s.Save(context.Background(), session.Record{ID: "s", Tenant: crashTenant, Opened: n, Expires: 1 << 50}); err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(fmt.Sprintf("saved %d\n", n))
	}
}

func TestKilledProcessLosesNothing(t *testing.T) {
	dir := t.TempDir() + "/data"
	acked := map[sendID]sequence.Stored{}
	for life := range 2 {
		saved := killAfter(t, dir, 2000*(life+1), acked)
		s := open(t, dir, nil, nil)
		found := map[sendID]sequence.Stored{}
		for _, name := range crashRooms {
			records := must(readAll(s, name))
			for i, r := range records {
				var id sendID
				_, err1 := fmt.Sscan(r.From.User, &id.user)
				_, err2 := fmt.Sscanf(r.Key, "m%d", &id.n)
				if err := errors.Join(err1, err2); err != nil || r.Offset != uint64(i+1) {
					t.Fatalf("%s: record %d is %+v, %v", name, i+1, r, err)
				}
				found[id] = sequence.Stored{Position: event.Position{Offset: r.Offset}, ID: r.ID}
			}
		}
		for id, st := range acked {
			if found[id] != st {
				t.Errorf("%+v was acked as %+v, and is %+v", id, st, found[id])
			}
		}
		if r, ok, err := s.Load(t.Context(), crashTenant, "s"); err != nil || !ok || r.Opened < saved {
			t.Errorf("the session was saved as %d, and is %+v, %v, %v", saved, r, ok, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the other process until it has printed some lines, kills it, and
// adds what it promised to acked; a second life meets its own ids again.
func killAfter(t *testing.T, dir string, lines int, acked map[sendID]sequence.Stored) (saved int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for n := 0; scan.Scan(); n++ {
		if n == lines {
			_ = cmd.Process.Kill() // what it printed before is still read
		}
		line := scan.Text()
		var id sendID
		var st sequence.Stored
		if strings.HasPrefix(line, "saved ") {
			_, _ = fmt.Sscanf(line, "saved %d", &saved)
		} else if k, _ := fmt.Sscanf(line, "acked %d %d %d %s", &id.user, &id.n, &st.Offset, &st.ID); k == 4 && len(st.ID) == 26 {
			if first, ok := acked[id]; ok && first != st {
				t.Errorf("%+v was acked as %+v, and again as %+v", id, first, st)
			}
			acked[id] = st
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return saved
}

// brokenFS fails the log's syncs from a moment on, and what it does not sync is
// lost: the case of a file system that drops dirty pages after an error. It breaks
// in the middle of the third file of the log: where Pebble goes from one file to the
// next it does not report an error, but ends the process, with nothing left to ask.
type brokenFS struct {
	vfs.FS
	logs   atomic.Int64 // files of the log so far
	broken atomic.Bool
}

const (
	breakingLog  = 3
	breakingSync = 10 // of that file
)

func (f *brokenFS) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return &brokenFile{File: file, fs: f, number: f.logs.Add(1)}, nil
}

func (f *brokenFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.wrap(name, file, err)
}

func (f *brokenFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return f.wrap(name, file, err)
}

type brokenFile struct {
	vfs.File
	fs     *brokenFS
	number int64 // of the log's files, from 1 on
	syncs  atomic.Int64
}

var errDisk = errors.New("planted I/O error")

func (f *brokenFile) Sync() error     { return f.sync() }
func (f *brokenFile) SyncData() error { return f.sync() }

func (f *brokenFile) sync() error {
	if f.number == breakingLog && f.syncs.Add(1) == breakingSync {
		f.fs.broken.Store(true)
		return errDisk
	}
	if f.fs.broken.Load() {
		return nil // the next ones claim to have succeeded
	}
	return f.File.Sync()
}

// surviveBrokenDisk works on a disk that breaks, and compares what was acked with
// what the disk holds. Pebble cannot be closed after that.
func surviveBrokenDisk() {
	mem := vfs.NewCrashableMem()
	fatal := make(chan error, 1)
	cfg := Default()
	cfg.Dir, cfg.MinFree = "data", 0
	s, c := running(cfg, Deps{FS: &brokenFS{FS: mem}, Fatal: func(err error) { fatal <- err }})
	var mu sync.Mutex
	acked := map[sendID]sequence.Stored{}
	for user := range 8 {
		go func() { // ends with the process
			for n := 0; ; n++ {
				t := send(sendID{user, n})
				if c.Submit(context.Background(), &t.Submission) != nil {
					continue
				}
				if o := <-t.done; o.Err == nil {
					mu.Lock()
					acked[t.id] = o.Stored
					mu.Unlock()
				}
			}
		}()
	}
	err := <-fatal
	time.Sleep(200 * time.Millisecond) // in which nothing may be acked
	if _, err := s.Log().Open(context.Background(), 0); err == nil {
		panic("a partition was opened on a broken disk")
	}
	if err := s.Save(context.Background(), session.Record{ID: "s", Expires: 1 << 50}); err == nil {
		panic("a session was saved on a broken disk")
	}
	mu.Lock()
	again := must(Open(cfg, Deps{FS: mem.CrashClone(vfs.CrashCloneCfg{}), Fatal: func(err error) { panic(err) }}))
	stored := map[string]bool{}
	for _, name := range crashRooms {
		for _, r := range must(readAll(again, name)) {
			stored[r.ID] = true
		}
	}
	for id, st := range acked {
		if !stored[st.ID] {
			panic(fmt.Sprintf("%+v was acked as %+v, and is lost after %v", id, st, err))
		}
	}
	fmt.Printf("%d acked and found; fatal: %v\n", len(acked), err)
	os.Exit(0)
}

func TestBrokenDiskEndsTheProcessWithoutAFalseAck(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), brokenEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), errDisk.Error()) {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}
