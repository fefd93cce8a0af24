package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 15 * time.Second // for a server to listen
	stopLimit  = 5 * time.Second  // for a server to end; then it is killed
	settle     = time.Second      // between listening and the first connection
)

// measure starts a fresh server, runs one scenario against it and ends it.
func (m *matrix) measure(ctx context.Context, j job) (r record, err error) {
	if err := os.MkdirAll(m.data, 0o755); err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(m.data, j.name+"-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	at, err := places()
	if err != nil {
		return nil, err
	}
	at["{data}"], at["{bin}"], at["{nats}"], at["{centrifugo}"] = data, m.bin, m.nats, m.centrifugo
	args := fill(j.args, at)
	if j.solo {
		return output(pinned(ctx, m.serverCPUs, append(append(args, "-scenario", j.scenario), shared(j.flags)...)))
	}
	server := pinned(ctx, m.serverCPUs, args)
	server.Env = append(os.Environ(), fill(j.env, at)...)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer end(server)
	if err := waitListening(ctx, at["{addr}"]); err != nil {
		return nil, fmt.Errorf("%s does not listen: %w", j.name, err)
	}
	pause(ctx, settle)

	scenario := j.scenario
	if scenario == "slope" {
		scenario = "idle" // at another size
	}
	args = []string{filepath.Join(m.bin, "edgebench"), "-driver", j.driver, "-scenario", scenario,
		"-addr", at["{addr}"], "-pid", strconv.Itoa(server.Process.Pid)}
	if !j.noPprof {
		args = append(args, "-pprof", at["{pprof}"])
	}
	return output(pinned(ctx, m.clientCPUs, append(args, j.flags...)))
}

// shared is the flags of edgebench that a solo program knows too; each is
// followed by its value.
func shared(flags []string) (known []string) {
	for i := 0; i+1 < len(flags); i++ {
		if slices.Contains([]string{"-conns", "-rates", "-warm", "-time"}, flags[i]) {
			known = append(known, flags[i], flags[i+1])
		}
	}
	return known
}

// output runs a program that prints one result.
func output(c *exec.Cmd) (r record, err error) {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	b, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return r, json.Unmarshal(b, &r)
}

// end stops a server. How it ends is of no interest: it has been measured.
func end(c *exec.Cmd) {
	_ = c.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(stopLimit, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	t.Stop()
}

// pinned is the command, on the given processors only. taskset replaces itself
// by the command, which so keeps the process id.
func pinned(ctx context.Context, cpus string, args []string) *exec.Cmd {
	if cpus != "" {
		args = append([]string{"taskset", "-c", cpus}, args...)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopLimit
	return c
}

// places are free addresses, by what stands for them in a command.
func places() (map[string]string, error) {
	var addrs [3]string
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after the loop, so that all ports differ
		addrs[i] = l.Addr().String()
	}
	host, port, _ := net.SplitHostPort(addrs[0])
	_, pprofPort, _ := net.SplitHostPort(addrs[1])
	return map[string]string{"{addr}": addrs[0], "{host}": host, "{port}": port,
		"{pprof}": addrs[1], "{pprofport}": pprofPort, "{spare}": addrs[2]}, nil
}

// fill replaces what stands for something.
func fill(texts []string, at map[string]string) []string {
	filled := slices.Clone(texts)
	for i := range filled {
		for name, value := range at {
			filled[i] = strings.ReplaceAll(filled[i], name, value)
		}
	}
	return filled
}

func waitListening(ctx context.Context, addr string) error {
	for end := time.Now().Add(startLimit); ; pause(ctx, 50*time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx is over.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
