package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// server is a redis-server that keeps nothing.
type server struct {
	addr string
	dir  string
	cmd  *exec.Cmd
}

func start() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		return nil, err
	}
	s := &server{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dir: dir}
	s.cmd = exec.Command("redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--client-output-buffer-limit", "pubsub 1gb 1gb 60")
	if err := s.cmd.Start(); err != nil {
		_ = os.Remove(dir)
		return nil, fmt.Errorf("%w: it is in Debian's package redis-server", err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			return s, c.Close()
		}
		if time.Now().After(end) {
			s.end()
			return nil, err
		}
	}
}

// end ends it.
func (s *server) end() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}
