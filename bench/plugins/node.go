package plugins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
)

const (
	startLimit = 15 * time.Second // for a node to listen
	stopLimit  = 5 * time.Second  // for a node to end; then it is killed
)

// programs builds the node and its load generator.
func (b *Bench) nodePrograms(ctx context.Context) error {
	if err := there("taskset"); err != nil {
		return err
	}
	b.logf("building heddle and edgebench")
	return errors.Join(
		run(ctx, b.repository(), nil, "go", "build", "-o", filepath.Join(b.dir, "heddle"), "./cmd/heddle"),
		run(ctx, b.Root, nil, "go", "build", "-o", filepath.Join(b.dir, "edgebench"), "./cmd/edgebench"),
	)
}

// node is a server in a process of its own, on half of the processors.
type node struct {
	process             *exec.Cmd
	dir, addr, admin    string
	bench               *Bench
	clientCPUs, ownCPUs string
	said                bytes.Buffer // on standard error
}

// startNode starts a node whose store has the plugin already; nil: none.
func (b *Bench) startNode(ctx context.Context, p *manifest.Bundle) (n *node, err error) {
	n = &node{bench: b}
	if n.dir, err = os.MkdirTemp(b.dir, "node"); err != nil {
		return nil, err
	}
	if p != nil {
		if err := seed(ctx, n.dir, p); err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
	}
	if n.addr, n.admin, err = places(); err != nil {
		return nil, err
	}
	if half := runtime.NumCPU() / 2; half >= 2 {
		n.ownCPUs, n.clientCPUs = fmt.Sprintf("0-%d", half-1), fmt.Sprintf("%d-%d", half, 2*half-1)
	}
	n.process = pinned(ctx, n.ownCPUs, filepath.Join(b.dir, "heddle"), "serve", "--config", filepath.Join(b.Root, "servers", "conf", "heddle.yaml"),
		"--set", "socket.listen="+n.addr, "--set", "admin.listen="+n.admin, "--set", "storage.dir="+n.dir)
	n.process.Stderr = &n.said
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	if err := listens(ctx, n.addr); err != nil {
		n.end()
		return nil, fmt.Errorf("the node does not listen: %w: %s", err, n.said.String())
	}
	return n, nil
}

// seed deploys a plugin to a store, as a node that runs would have.
func seed(ctx context.Context, dir string, p *manifest.Bundle) (err error) {
	cfg := embedded.Default()
	cfg.Dir, cfg.MinFree = dir, 0
	store, err := embedded.Open(cfg, embedded.Deps{Fatal: func(err error) { panic(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	engine, err := guest.New(guest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	h, err := newHost(engine, store, nil)
	if err != nil {
		return err
	}
	defer h.Close()
	_, err = h.Deploy(ctx, host.Request{Tenant: tenant, By: "bench", Bundle: p, As: host.Live})
	return err
}

// load runs a scenario against the node.
func (n *node) load(ctx context.Context, driver, scenario string, flags ...string) (map[string]any, error) {
	args := append([]string{filepath.Join(n.bench.dir, "edgebench"), "-driver", driver, "-scenario", scenario,
		"-addr", n.addr, "-pid", strconv.Itoa(n.process.Process.Pid)}, flags...)
	c := pinned(ctx, n.clientCPUs, args...)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		n.stop() // so that it has said all
		return nil, fmt.Errorf("edgebench: %w: %s\nthe node: %s", err, said.String(), n.said.String())
	}
	var r map[string]any
	return r, json.Unmarshal(out, &r)
}

// metric adds up the samples of a metric, by one of its labels; "" if it is to have none.
func (n *node) metric(ctx context.Context, name, label string) (map[string]float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close() // read to its end
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name+"{")
		labels, figure, found := strings.Cut(rest, "} ")
		if !ok || !found {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(figure), 64)
		if err != nil {
			return nil, err
		}
		_, of, _ := strings.Cut(labels, label+`="`)
		of, _, _ = strings.Cut(of, `"`)
		sums[of] += value
	}
	return sums, nil
}

// end stops the node and removes what it has kept.
func (n *node) end() {
	n.stop()
	_ = os.RemoveAll(n.dir) // at the latest with the bench's own folder
}

// stop stops the node, if it was not stopped. How it ends is of no interest.
func (n *node) stop() {
	_ = n.process.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(stopLimit, func() { _ = n.process.Process.Kill() })
	_ = n.process.Wait()
	t.Stop()
}

// pinned is a program on some processors only; "" for all.
func pinned(ctx context.Context, cpus string, args ...string) *exec.Cmd {
	if cpus != "" {
		args = append([]string{"taskset", "-c", cpus}, args...)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopLimit
	return c
}

// places are two free addresses.
func places() (a, b string, err error) {
	for _, to := range []*string{&a, &b} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer l.Close() // in the end, so that they differ
		*to = l.Addr().String()
	}
	return a, b, nil
}

func listens(ctx context.Context, addr string) error {
	for end := time.Now().Add(startLimit); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
