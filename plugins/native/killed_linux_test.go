package native_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestChildGoesWithItsParent kills a real node with SIGKILL and watches its plugin.
func TestChildGoesWithItsParent(t *testing.T) {
	cfg := child(t, "authenticator", "echo")
	supervised := func(mode string) string {
		text, err := json.Marshal(child(t, "authenticator", mode))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, mode := range map[string]string{
		"as it is":            supervised("echo"),
		"death signal alone":  supervised("strays"), // it knows nothing of the lifeline
		"the lifeline, alone": "bare " + cfg.Path,
	} {
		t.Run(name, func(t *testing.T) {
			node := exec.Command(os.Args[0])
			node.Env = append(os.Environ(), parentEnv+"="+mode)
			out, err := node.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			killed := false
			defer func() {
				if !killed {
					_ = node.Process.Kill()
					_ = node.Wait()
				}
			}()
			fd := watch(t, pidOf(t, bufio.NewScanner(out)))
			defer unix.Close(fd)
			if gone(t, fd, 0) {
				t.Fatal("the plugin has ended before its node was killed")
			}
			killed = true
			if err := node.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = node.Wait() // it was killed
			if !gone(t, fd, int(patience.Milliseconds())) {
				t.Fatal("the plugin has outlived its node")
			}
		})
	}
}

// TestChildrenGoWithTheProgram: what a program has started ends with it, however it ends.
func TestChildrenGoWithTheProgram(t *testing.T) {
	for _, end := range []string{"panic", "exit", "hang", "stop"} {
		t.Run(end, func(t *testing.T) {
			deps, _ := verdicts()
			r := run(t, deps, child(t, "moderator", "family", "timeout: 200ms"))
			r.wait(t, 1, "my child is")
			fd := watch(t, r.number(t, "my child is "))
			defer unix.Close(fd)
			defer func() { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }() // it has ended
			r.ready(t, 1)
			if gone(t, fd, 0) {
				t.Fatal("the program's child has ended before it")
			}
			if end == "stop" {
				r.stop()
			} else {
				r.Moderators[0].Observe(message(1, end))
			}
			if !gone(t, fd, int(patience.Milliseconds())) {
				t.Error("the program's child has outlived it")
			}
		})
	}
}

// number is what follows a text in the log for the first time.
func (l *logs) number(t *testing.T, text string) (n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if _, rest, found := strings.Cut(line, text); found {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no line has %q", text)
	return 0
}

// pidOf reads the program's process id from the node's log.
func pidOf(t *testing.T, lines *bufio.Scanner) int {
	t.Helper()
	for lines.Scan() {
		var line struct {
			Msg string
			PID any
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "plugin ready" {
			pid, err := strconv.Atoi(fmt.Sprint(line.PID))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		t.Log(lines.Text())
	}
	t.Fatal("the node has not started the plugin")
	return 0
}

// watch is a descriptor that tells of the process's end, also if nobody reaps it.
func watch(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// gone waits for the end of the process.
func gone(t *testing.T, fd, ms int) bool {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	}
}
