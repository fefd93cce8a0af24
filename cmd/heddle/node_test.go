package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
)

const (
	secret = "0123456789abcdef0123456789abcdef"
	tenant = "acme"

	patience = time.Minute // bounds every wait
)

// baseConfig is what every node of these tests starts with. Nothing limits a
// client but what a test is about.
const baseConfig = `
log: {format: text, repeats: 0}
socket:
  listen: 127.0.0.1:0
  handshake: {rate_per_ip: 0, max_per_ip: 100000}
admin: {listen: "127.0.0.1:0"}
limit: {message_rate: 100000, message_burst: 100000, query_rate: 100000, query_burst: 100000, control_rate: 100000, control_burst: 100000}
storage: {min_free: 0, mem_table: 4MiB, cache_size: 8MiB, sweep_interval: 20ms}
rooms:
  conv: {members: true, join: members, max_events: 0, max_age: 0s}
  channel: {max_events: 0, max_age: 0s}
tenants: {acme: {auth: {keys: [{algorithm: HS256, secret: ` + secret + `}]}}}
`

// node is a process of the binary.
type node struct {
	cmd   *exec.Cmd
	addr  string // of clients, once it serves
	admin string

	mu     sync.Mutex
	output []string // the newest lines
	serves chan struct{}
	read   chan struct{} // closed when its output has ended
}

// writeConfig makes a file of baseConfig.
func writeConfig(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "heddle.yaml")
	if err := os.WriteFile(path, []byte(baseConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// begin starts a process.
func begin(bin string, args ...string) (*node, error) { return beginIn("", bin, args...) }

// beginIn starts it in a folder; "" is that of the test.
func beginIn(dir, bin string, args ...string) (*node, error) {
	n := &node{cmd: exec.Command(bin, args...), serves: make(chan struct{}), read: make(chan struct{})}
	n.cmd.Dir = dir
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	n.cmd.Stdout, n.cmd.Stderr = in, in
	err = n.cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	go n.follow(out) // ends with the process
	return n, nil
}

// launch begins a process that is killed at the end of the test if it still runs.
func launch(t testing.TB, args ...string) *node {
	t.Helper()
	return launchIn(t, "", args...)
}

func launchIn(t testing.TB, dir string, args ...string) *node {
	t.Helper()
	n, err := beginIn(dir, binary(t), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.cmd.ProcessState == nil {
			n.kill()
		}
	})
	return n
}

// serve runs "heddle serve" and waits until it serves.
func serve(t testing.TB, config, data string, set ...string) *node {
	t.Helper()
	n := launch(t, serveArgs(config, data, set...)...)
	n.awaitServing(t)
	return n
}

func serveArgs(config, data string, set ...string) []string {
	args := []string{"serve", "--config", config, "--set", "storage.dir=" + data}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return args
}

// follow reads what the process writes, and finds its addresses there.
func (n *node) follow(out io.ReadCloser) {
	const kept = 400
	defer close(n.read)
	defer func() { _ = out.Close() }()
	serving := false
	for scan := bufio.NewScanner(out); scan.Scan(); {
		line := scan.Text()
		n.mu.Lock()
		if n.output = append(n.output, line); len(n.output) > kept {
			n.output = n.output[1:]
		}
		if !serving && strings.Contains(line, "msg=serving") {
			for _, word := range strings.Fields(line) {
				if v, ok := strings.CutPrefix(word, "address="); ok {
					n.addr = v
				}
				if v, ok := strings.CutPrefix(word, "admin="); ok {
					n.admin = v
				}
			}
			serving = true
			close(n.serves)
		}
		n.mu.Unlock()
	}
}

func (n *node) awaitServing(t testing.TB) {
	t.Helper()
	select {
	case <-n.serves:
	case <-n.read:
		t.Fatalf("the process ended by itself: %v\n%s", n.wait(), n.text())
	case <-time.After(patience):
		t.Fatalf("the process does not serve\n%s", n.text())
	}
}

// text is the newest output.
func (n *node) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.output, "\n")
}

func (n *node) wait() error {
	<-n.read
	return n.cmd.Wait()
}

// awaitExit waits until the process ends by itself, and returns its status; -1
// if a signal ended it.
func (n *node) awaitExit(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-n.read:
	case <-time.After(limit):
		t.Fatalf("the process goes on after %v\n%s", limit, n.text())
	}
	err := n.wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return n.cmd.ProcessState.ExitCode()
}

// ended reports whether the process is gone.
func (n *node) ended() bool {
	select {
	case <-n.read:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.wait()
}

func (n *node) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v\n%s", err, n.text())
	}
}

func (n *node) url() string { return "ws://" + n.addr + "/v1/ws" }

// readyz asks the admin server.
func (n *node) readyz(t testing.TB) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.admin + "/readyz")
	if err != nil {
		t.Fatalf("%v\n%s", err, n.text())
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// tokenOf mints a token for the tenant of baseConfig.
func tokenOf(t testing.TB, user string) string {
	t.Helper()
	token, err := authenticate.Mint([]byte(secret), "", authenticate.Claims{
		Tenant: tenant, User: user, Issued: time.Now(), Expires: time.Now().Add(12 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// freePorts finds ports that nobody listens on, outside the range from which the
// system gives ports to those who dial: one of them could take the port of a node
// that is about to start again.
func freePorts(t testing.TB, count int) []int {
	t.Helper()
	ports := make([]int, 0, count)
	for range 1000 {
		port := 20000 + rand.N(10000)
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		if ports = append(ports, port); len(ports) == count {
			return ports
		}
	}
	t.Fatal("no free port")
	return nil
}

// eventually waits until done holds.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	within(t, patience, what, done)
}

// within is eventually for what may take longer, or less.
func within(t testing.TB, most time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(most)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("after %v: not yet: %s", most, what)
		}
	}
}
