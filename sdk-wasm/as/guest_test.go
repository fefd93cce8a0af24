package as_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// toolchain skips a test where the compiler is not installed.
func toolchain(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		tb.Skip("there is no node")
	}
	if _, err := os.Stat("node_modules/assemblyscript"); err != nil {
		tb.Skip("there is no assemblyscript: run npm ci in this folder")
	}
	watched(tb)
}

// watched looks at all files of the SDK, so that the go command knows what a result depends
// on: or else it would take that from its cache.
func watched(tb testing.TB) {
	tb.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "node_modules" || d.Name() == "target":
			return filepath.SkipDir
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// compiled has for each source what builds it, once for all tests.
var compiled sync.Map

// build compiles a source of this folder.
func build(tb testing.TB, source string) []byte {
	tb.Helper()
	toolchain(tb)
	once, _ := compiled.LoadOrStore(source, sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "as")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "plugin.wasm")
		if err := run("", "./build.sh", source, out); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	}))
	code, err := once.(func() ([]byte, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// run fails if the command says anything: warnings too.
func run(dir, command string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("%s %v: %v\n%s", command, args, err, out)
	}
	return nil
}

// host is a store and a log in memory.
type host struct {
	lines  []string
	values map[string]string
}

func newHost() *host { return &host{values: map[string]string{}} }

func (h *host) Log(level int, text string) {
	h.lines = append(h.lines, fmt.Sprintf("%d %s", level, text))
}
func (h *host) Metric(int, string, float64) hostapi.Status { return hostapi.OK }
func (h *host) Secret(string) ([]byte, hostapi.Status)     { return nil, hostapi.NotFound }
func (h *host) Lookup(hostapi.Lookup, string) ([]byte, hostapi.Status) {
	return nil, hostapi.NotFound
}
func (h *host) Get(key []byte) ([]byte, hostapi.Status) {
	if v, ok := h.values[string(key)]; ok {
		return []byte(v), hostapi.OK
	}
	return nil, hostapi.NotFound
}
func (h *host) Put(key, value []byte, _ time.Duration) hostapi.Status {
	h.values[string(key)] = string(value)
	return hostapi.OK
}
func (h *host) Delete(key []byte) hostapi.Status {
	delete(h.values, string(key))
	return hostapi.OK
}
func (h *host) Swap(key, _, value []byte, _ time.Duration) hostapi.Status {
	return h.Put(key, value, 0)
}
func (h *host) Add(key []byte, delta int64, _ time.Duration) (int64, hostapi.Status) {
	n := int64(binary.LittleEndian.Uint64([]byte(h.values[string(key)]+"\x00\x00\x00\x00\x00\x00\x00\x00"))) + delta
	h.values[string(key)] = string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return n, hostapi.OK
}

func (h *host) log() string { return strings.Join(h.lines, "\n") }

// plugin is one instance of a source of this folder.
type plugin struct {
	*guest.Instance
	program *guest.Program
	host    *host
	out     guest.Output
}

func plan(h *host, config string) guest.Plan {
	return guest.Plan{
		Host: h, Config: []byte(config), Granted: hostapi.Capabilities(),
		Limits: guest.Limits{
			Memory: 32 << 20, Fuel: 500e6, Timeout: 5 * time.Second, Start: 10 * time.Second, Stack: 1 << 20, Output: 1 << 20,
			HostCalls: 10000, Logs: 4 << 10, Module: 1 << 20,
		},
	}
}

func compile(tb testing.TB, code []byte, p guest.Plan) (*guest.Program, error) {
	tb.Helper()
	e, err := guest.New(guest.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	program, err := e.Compile(tb.Context(), code, p)
	tb.Cleanup(func() {
		if program != nil {
			err = errors.Join(program.Close(), e.Close())
		} else {
			err = e.Close()
		}
		if err != nil {
			tb.Error(err)
		}
	})
	return program, err
}

func begin(tb testing.TB, code []byte, config string) *plugin {
	tb.Helper()
	h := newHost()
	program, err := compile(tb, code, plan(h, config))
	if err != nil {
		tb.Fatalf("%v\n%s", err, h.log())
	}
	return another(tb, program, h)
}

// another instance of the same program.
func another(tb testing.TB, program *guest.Program, h *host) *plugin {
	tb.Helper()
	i, err := program.New(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(i.Close)
	return &plugin{Instance: i, program: program, host: h}
}

// run gives the plugin records, and fails the test if it traps.
func (p *plugin) run(tb testing.TB, records ...hostapi.Record) []hostapi.Action {
	tb.Helper()
	if err := p.Run(&guest.Call{Host: p.host, Records: records}, &p.out); err != nil {
		tb.Fatalf("%v\n%s", err, p.host.log())
	}
	return p.out.Actions
}

// fail gives the plugin records, and fails the test if it does not trap.
func (p *plugin) fail(tb testing.TB, records ...hostapi.Record) *guest.Trap {
	tb.Helper()
	err := p.Run(&guest.Call{Host: p.host, Records: records}, &p.out)
	var trap *guest.Trap
	if !errors.As(err, &trap) {
		tb.Fatal(err)
	}
	return trap
}

func record(action, payload string, attrs ...hostapi.Attribute) hostapi.Record {
	return hostapi.Record{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: "ann", Room: "conv:1", Action: action, Attributes: attrs,
		Payload: []byte(payload), Whole: len(payload),
	}
}
