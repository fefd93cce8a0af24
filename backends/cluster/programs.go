package cluster

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// askedWithin is how long a process may take to say whether it is ready.
const askedWithin = time.Second

// newRedis is a redis-server that keeps nothing: started again it is empty.
func newRedis(dir, addr string) (*Process, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("a cluster needs redis-server, which is Debian's package redis-server: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return &Process{
		Name: "redis", Addr: addr,
		args:  []string{path, "--port", port, "--bind", host, "--dir", dir, "--save", "", "--appendonly", "no"},
		ready: func(ctx context.Context) error { return pong(ctx, addr) },
	}, nil
}

func pong(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close() // nothing was written that matters
	_ = c.SetDeadline(time.Now().Add(askedWithin))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG"))
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if string(answer) != "+PONG" {
		return fmt.Errorf("to PING comes %q", answer)
	}
	return nil
}

// newNode is a node of the files' configuration.
func newNode(binary, name, role string, addrs [2]string, files ...string) *Process {
	p := &Process{Name: name, Addr: addrs[0], Admin: addrs[1], args: []string{binary, "serve"}}
	for _, f := range files {
		p.args = append(p.args, "--config", f)
	}
	for _, set := range []string{"node=" + name, "roles=[" + role + "]", "socket.listen=" + p.Addr, "admin.listen=" + p.Admin} {
		p.args = append(p.args, "--set", set)
	}
	p.ready = func(ctx context.Context) error { return answersOK(ctx, "http://"+p.Admin+"/readyz") }
	return p
}

func answersOK(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

// Build builds the program heddle into a folder, and returns its path. The working
// directory is one of the module backends.
func Build(ctx context.Context, dir string) (string, error) {
	module, err := command(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/heddle-rt/heddle")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "heddle")
	_, err = command(ctx, module, "go", "build", "-race=false", "-o", path, "./cmd/heddle")
	return path, err
}

// command runs a program in a folder, and returns what it says.
func command(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, said)
	}
	return said, nil
}

// freeAddrs are addresses on which nobody listens, and which the system does not give to
// those who dial: a process that is started again finds its own free.
func freeAddrs(n int) (addrs []string, err error) {
	const first, count, tries = 20000, 10000, 1000
	for range tries {
		if len(addrs) == n {
			return addrs, nil
		}
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.N(count)))); err != nil {
			continue
		}
		defer l.Close() // it was not used; until then it is not found twice
		addrs = append(addrs, l.Addr().String())
	}
	return nil, fmt.Errorf("no free port: %w", err)
}
