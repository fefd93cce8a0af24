package main_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// Keys of the server API.
const (
	keySecret   = "0123456789abcdef0123456789abcdef"
	devKey      = "dev." + keySecret
	narrowKey   = "narrow." + keySecret
	strangerKey = "stranger." + keySecret
)

// pluginConfig makes a file of what a node for plugins has over the others. Modules are
// started on a machine that does other things too.
func pluginConfig(t *testing.T) string {
	t.Helper()
	const more = `
    api_keys:
      - {id: dev, secret: ` + keySecret + `, scopes: [plugins, history]}
      - {id: narrow, secret: ` + keySecret + `, scopes: [publish, history]}
    plugins: {limits: {timeout: 10s, start: 60s}}
  globex:
    auth: {keys: [{algorithm: HS256, secret: ` + secret + `}]}
    api_keys: [{id: stranger, secret: ` + keySecret + `, scopes: [plugins]}]
    plugins: {limits: {module: 64KiB}}
`
	tenants := regexp.MustCompile(`(?m)^tenants: \{acme: \{(.*)\}\}$`)
	path := writeConfig(t)
	if err := os.WriteFile(path, []byte(tenants.ReplaceAllString(baseConfig, "tenants:\n  acme:\n    ${1}")+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tool is heddle plugin in a folder.
type tool struct {
	t   *testing.T
	dir string
	env []string
}

func newTool(t *testing.T, n *node, key string) *tool {
	return &tool{t, t.TempDir(), []string{"HEDDLE_URL=http://" + n.addr, "HEDDLE_KEY=" + key}}
}

// toolCache is where the tool keeps compiled code in these tests.
func toolCache() string { return "XDG_CACHE_HOME=" + filepath.Join(scratch, "cache") }

func (c *tool) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary(c.t), append([]string{"plugin"}, args...)...)
	cmd.Dir, cmd.Env = c.dir, append(append(os.Environ(), toolCache()), c.env...)
	return cmd
}

// run is what a command writes.
func (c *tool) run(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

// does runs a command that has to succeed and to write what the pattern says.
func (c *tool) does(pattern string, args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil || !regexp.MustCompile(`(?m)`+pattern).MatchString(out) {
		c.t.Fatalf("heddle plugin %s: %v, want %q\n%s", strings.Join(args, " "), err, pattern, out)
	}
	return out
}

// fails runs a command that has to fail, and to say why.
func (c *tool) fails(pattern string, args ...string) {
	c.t.Helper()
	out, err := c.run(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !regexp.MustCompile(`(?m)`+pattern).MatchString(out) {
		c.t.Errorf("heddle plugin %s: %v, want a failure with %q\n%s", strings.Join(args, " "), err, pattern, out)
	}
}

// write puts a plugin into a folder below the tool's.
func (c *tool) write(folder string, p guesttest.Plugin) {
	c.t.Helper()
	c.module(folder, p.Module())
	c.file(folder+"/heddle-plugin.yaml", "name: tiny\nversion: \"1.0\"\nbuild: cp made \"$OUT\"\nbindings: [{actions: [\"message:send\"]}]\nlimits: {timeout: 10s, start: 60s}\n")
}

// module replaces it in one step.
func (c *tool) module(folder string, code []byte) {
	c.t.Helper()
	c.file(folder+"/made.new", string(code))
	if err := os.Rename(filepath.Join(c.dir, folder, "made.new"), filepath.Join(c.dir, folder, "made")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *tool) file(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// running is a command that goes on.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	over chan error

	mu  sync.Mutex
	out bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// begin starts a command, which is killed at the end of the test if it still runs.
func (c *tool) begin(args ...string) *running {
	c.t.Helper()
	r := &running{t: c.t, cmd: c.command(args...), over: make(chan error, 1)}
	r.cmd.Stdout, r.cmd.Stderr = r, r
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		r.over <- r.cmd.Wait()
	}()
	c.t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may be gone
		<-done
	})
	return r
}

// building bounds a wait that a compiler may be part of: on a machine that has compiled
// nothing yet, it begins with the standard library.
const building = 10 * time.Minute

// says waits until it has written what matches.
func (r *running) says(pattern string) {
	r.t.Helper()
	re := regexp.MustCompile(`(?m)` + pattern)
	defer func() {
		if r.t.Failed() {
			r.t.Logf("it has written\n%s", r.text())
		}
	}()
	within(r.t, building, "it writes "+pattern, func() bool { return re.MatchString(r.text()) })
}

// interrupt is Ctrl-C, after which it ends well.
func (r *running) interrupt() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	select {
	case err := <-r.over:
		if err != nil {
			r.t.Errorf("it ends with %v\n%s", err, r.text())
		}
	case <-time.After(patience):
		r.t.Fatal("it does not end")
	}
}

// deliver sends a message and returns the text with which it comes back: the plugin
// may have changed it. It is "" for one that was refused.
func (p *speaker) deliver(room, said string) string {
	p.t.Helper()
	a := p.ask("message:send", room, text{Text: said})
	switch {
	case a.Type == wire.TypeError:
		return ""
	case a.Type != wire.TypeAck:
		p.t.Fatalf("%+v", a)
	}
	limit := time.After(patience)
	for {
		select {
		case e := <-p.events:
			if e.Offset == a.Offset && e.Room == room {
				var got text
				decode(p.t, e.Data, &got)
				return got.Text
			}
		case <-p.over:
			p.t.Fatal("the connection has ended")
		case <-limit:
			p.t.Fatalf("message %d does not come", a.Offset)
		}
	}
}

// upload sends a bundle as curl would.
func upload(t *testing.T, n *node, key, query string, bundle []byte) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.addr+"/v1/api/plugins"+query, bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/zip"}}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}
