package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

var pluginReady = regexp.MustCompile(`msg="plugin ready".* pid=(\d+)`)

// TestNativePluginsGoWithTheNode: kill -9 of the node takes its native plugins along.
func TestNativePluginsGoWithTheNode(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sink")
	if text, err := exec.Command("go", "build", "-o", program, "../../examples/native/sink").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	raw, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	config := filepath.Join(t.TempDir(), "heddle.yaml")
	plugin := fmt.Sprintf("native: [{name: archive, kind: sink, path: %q, sha256: %q, args: [-dir, %q], start: 1m}]\n", program, hex.EncodeToString(sum[:]), t.TempDir())
	if err := os.WriteFile(config, []byte(baseConfig+plugin), 0o600); err != nil {
		t.Fatal(err)
	}
	node := serve(t, config, t.TempDir()+"/data")
	pid := 0
	eventually(t, "the plugin is ready", func() bool {
		m := pluginReady.FindStringSubmatch(node.text())
		if m != nil {
			pid, err = strconv.Atoi(m[1])
		}
		return m != nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0) // tells of its end, also if nobody reaps it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if gone(t, fd, 0) {
		t.Fatal("the plugin has ended before its node")
	}
	node.kill()
	if !gone(t, fd, int(patience.Milliseconds())) {
		_ = unix.Kill(pid, unix.SIGKILL)
		t.Fatal("the plugin has outlived its node")
	}
}

// gone waits for the end of a process.
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
