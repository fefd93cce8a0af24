// Package redistest starts real servers of Redis for tests: one, Sentinels with what they
// watch, or a Cluster. They need redis-server and redis-cli, which are in Debian's package
// redis-server; tests are skipped without them, unless HEDDLE_BACKENDS names redis. Those
// with more than one server run if it names redis-ha.
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to answer, or several to agree.
const patience = 30 * time.Second

// Server is one redis-server.
type Server struct {
	Addr string
	port string
	args []string
	cmd  *exec.Cmd
	out  *output
}

// output keeps what a server says.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.String()
}

// program finds a program, or skips the test.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if strings.Contains(os.Getenv("HEDDLE_BACKENDS"), "redis") {
			t.Fatal(err)
		}
		t.Skip("there is no Redis: ", err)
	}
	return path
}

// Start starts a server that keeps nothing on disk, on a port of its own. With --tls as the
// last argument, which is no option of Redis, it encrypts there.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t)
	s.args = append(s.args, "--port", s.port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--logfile", filepath.Join(t.TempDir(), "log"))
	if len(args) > 0 && args[len(args)-1] == "--tls" {
		args = append(args[:len(args)-1], "--port", "0", "--tls-port", s.port)
	}
	s.args = append(s.args, args...)
	s.Run(t)
	return s
}

// prepare makes a server that is not running yet, and ends it with the test.
func prepare(t testing.TB) *Server {
	t.Helper()
	port := freePort(t)
	s := &Server{Addr: "127.0.0.1:" + port, port: port, args: []string{program(t, "redis-server")}}
	program(t, "redis-cli")
	t.Cleanup(s.Kill)
	return s
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it was not used
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// Run starts it, again after Kill.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.out = &output{}
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; {
		if s.ping() {
			return
		}
		if time.Now().After(end) {
			s.Kill()
			t.Fatalf("redis-server does not answer: %s", s.out)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *Server) ping() bool {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close() // nothing was written that matters
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	// One that encrypts hangs up, or answers with an alert.
	return err != nil || bytes.ContainsAny(answer[:n], "+-") // +PONG, or why not
}

// Kill ends it at once; what it kept is gone.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // it may have ended
		_ = s.cmd.Wait()
	}
}

// Pause stops it where it is, until Resume.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, what syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
}

// Do asks it, and returns the answer as redis-cli writes it, an element a line.
func (s *Server) Do(t testing.TB, args ...string) string {
	t.Helper()
	said, err := s.ask(args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return said
}

func (s *Server) ask(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-e", "-p", s.port}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Eventually waits until something holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) { // until it does
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}
