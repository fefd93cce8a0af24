package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestReadmeWordByWord: after a first run of "make run", the commands of the README
// bring up a node in the same folder, for whose tenant a token is minted.
func TestReadmeWordByWord(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)## A token.*?```" + kind + "\n(.*?)```").FindSubmatch(text)
		if m == nil {
			t.Fatalf("the README has no %s", kind)
		}
		return string(m[1])
	}
	dir := t.TempDir()
	t.Setenv("HEDDLE_ADMIN_LISTEN", "127.0.0.1:0")
	first := launchIn(t, dir, "dev", "--listen", "127.0.0.1:0")
	first.awaitServing(t)
	first.signal(t, syscall.SIGINT)
	first.awaitExit(t, patience)

	t.Setenv("HEDDLE_SOCKET_LISTEN", "127.0.0.1:0")
	t.Setenv("ACME_SECRET", secret)
	t.Setenv("HEDDLE_LOG_FORMAT", "text")
	if err := os.WriteFile(filepath.Join(dir, "heddle.yaml"), []byte(block("yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	var n *node
	token := ""
	for line := range strings.Lines(block("sh")) {
		before, command, ok := strings.Cut(strings.TrimSpace(line), "bin/heddle ")
		if !ok {
			continue
		}
		args := strings.Fields(command)
		if args[len(args)-1] == "&" {
			n = launchIn(t, dir, args[:len(args)-1]...)
			n.awaitServing(t)
			continue
		}
		cmd := exec.Command(binary(t), args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), os.Expand(strings.ReplaceAll(strings.TrimSpace(before), `"`, ""), os.Getenv))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		token = strings.TrimSpace(string(out))
	}
	if n == nil {
		t.Fatal("the README starts no node")
	}
	if who := opens(t, n, token); who != "ann" {
		t.Errorf("the token is %q's", who)
	}
}

// TestMakeHelpNamesAllTargets that are told of in the Makefile.
func TestMakeHelpNamesAllTargets(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("make", "--no-print-directory", "-C", "../..", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^([^\s:#]+):.*## `).FindAllSubmatch(text, -1) {
		if !strings.Contains(string(out), "  make "+string(m[1])+" ") {
			t.Errorf("make help leaves out %s", m[1])
		}
	}
}
