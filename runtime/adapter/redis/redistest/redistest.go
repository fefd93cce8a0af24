// Package redistest starts real servers of Redis for tests. They need redis-server,
// which is in Debian's package of that name; tests are skipped without it, unless
// HEDDLE_BACKENDS names redis.
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
	"testing"
	"time"
)

// patience is how long a server may take to answer.
const patience = 30 * time.Second

// Server is one redis-server.
type Server struct {
	Addr string
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

// Start starts a server that keeps nothing on disk, on a port of its own.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if strings.Contains(os.Getenv("HEDDLE_BACKENDS"), "redis") {
			t.Fatal(err)
		}
		t.Skip("there is no redis-server: ", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	s := &Server{Addr: addr.String(), args: append([]string{
		path, "--port", fmt.Sprint(addr.Port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--logfile", filepath.Join(t.TempDir(), "log"),
	}, args...)}
	s.Run(t)
	t.Cleanup(s.Kill)
	return s
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
	n, _ := c.Read(answer)
	return bytes.HasPrefix(answer[:n], []byte("+PONG")) || bytes.HasPrefix(answer[:n], []byte("-NOAUTH"))
}

// Kill ends it at once; what it kept is gone.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // it may have ended
		_ = s.cmd.Wait()
	}
}
