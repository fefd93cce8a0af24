package native_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
)

// programs are built once for all tests.
var programs = struct {
	once sync.Once
	dir  string
	err  error
}{}

func TestMain(m *testing.M) {
	if mode := os.Getenv(parentEnv); mode != "" {
		parent(mode)
		return
	}
	os.Exit(all(m))
}

func all(m *testing.M) int {
	dir, err := os.MkdirTemp("", "native-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		return 1
	}
	if left, err := filepath.Glob(filepath.Join(dir, "plugin*")); err != nil || len(left) > 0 {
		fmt.Fprintln(os.Stderr, "sockets are left:", left, err)
		return 1
	}
	return 0
}

// program is the path of a built program and its checksum.
func program(t testing.TB, name string) (path, sum string) {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "native-test-"); programs.err != nil {
			return
		}
		args := []string{"build", "-ldflags=-s -w", "-o", programs.dir + "/", "./testdata/child"}
		for _, e := range []string{"authenticator", "pushnotifier", "sink", "moderator"} {
			args = append(args, "../../examples/native/"+e)
		}
		if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("%w\n%s", err, text)
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	path = filepath.Join(programs.dir, name)
	return path, sumOf(t, path)
}

func sumOf(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// load reads plugins as a node's configuration file has them.
func load(t testing.TB, text string) []native.Config {
	t.Helper()
	type file struct {
		Native []native.Config `yaml:"native"`
	}
	r, err := config.Load[file](config.Options{
		Files: []string{"test.yaml"},
		Open:  func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Value.Native
}

// child is the configuration of testdata/child, with short times.
func child(t testing.TB, kind, mode string, more ...string) native.Config {
	t.Helper()
	path, sum := program(t, "child")
	text := fmt.Sprintf("native:\n  - name: child\n    kind: %s\n    path: %s\n    sha256: %s\n    args: [%s]\n    restart: {min: 1ms, max: 50ms}\n", kind, path, sum, mode)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return load(t, text)[0]
}

// logs keep what is logged, and can be waited for.
type logs struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{}
}

func newLogs(t testing.TB) *logs {
	l := &logs{changed: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Logf("the last of %d lines:\n%s", len(l.lines), strings.Join(l.lines[max(0, len(l.lines)-40):], ""))
		}
	})
	return l
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// count is how many lines have the text.
func (l *logs) count(text string) (n int, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n, l.changed
}

// patience bounds every wait, on a machine that does much else.
const patience = 30 * time.Second

// wait waits for n lines with the text.
func (l *logs) wait(t testing.TB, n int, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		have, changed := l.count(text)
		if have >= n {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d lines of %d with %q", have, n, text)
		}
	}
}

// running is a node's plugins in a test.
type running struct {
	*native.Plugins
	*logs
	stop func() // and wait
}

// run runs plugins until the test ends.
func run(t testing.TB, deps native.Deps, configs ...native.Config) *running {
	t.Helper()
	r := &running{logs: newLogs(t)}
	deps.Log = r.logger()
	var err error
	if r.Plugins, err = native.New(configs, deps); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("the plugins do not end")
		}
	})
	t.Cleanup(r.stop)
	return r
}

// ready waits for the first plugin's n-th start.
func (r *running) ready(t testing.TB, n int) {
	t.Helper()
	r.wait(t, n, "plugin ready")
}

// message is a record of a message.
func message(id int, text string) *event.Record {
	return &event.Record{Envelope: event.Envelope{
		Type: event.TypeMessage, ID: fmt.Sprint("m", id), Tenant: "acme", Timestamp: 1_700_000_000_000, Room: "conv:1", From: event.Sender{User: "ann", Device: "d"},
		Position: event.Position{Epoch: "e", Offset: uint64(id)}, Action: "message:send", Data: fmt.Appendf(nil, `{"text":%q}`, text),
	}}
}

// eventually reads a file until it is as it should be.
func eventually(t testing.TB, file string, good func(text string) bool) {
	t.Helper()
	var raw []byte
	for late := time.Now().Add(patience); time.Now().Before(late); {
		if raw, _ = os.ReadFile(file); good(string(raw)) {
			return
		}
		wake := time.NewTimer(2 * time.Millisecond)
		<-wake.C
	}
	t.Fatalf("%s has %q", file, bytes.TrimSpace(raw))
}
