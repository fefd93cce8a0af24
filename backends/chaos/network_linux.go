package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// network has each node in a namespace of its own, where nothing is but this process: it
// listens there on all addresses that stand in the node's configuration, and outside on
// the node's own, and hands on what comes.
type network struct {
	dir   string
	hello net.Listener // nodes say that they are about to start

	mu    sync.Mutex
	nodes map[string]*place
	all   sync.WaitGroup
}

// place is a node's namespace.
type place struct {
	*space

	mu    sync.Mutex
	known map[string]bool // addresses with a listener
	cut   map[string]bool // addresses that cannot be reached
	whole *sync.Cond      // something was taken off cut, or a line was closed
	lines map[*line]bool
	ends  []io.Closer // listeners
}

// socketEnv tells a node's process where to say that it is about to start.
const socketEnv = "CHAOS_NETWORK"

// begin is what a node's process says.
type begin struct {
	Node   string
	Inside []string // addresses that it uses
	Listen []string // its own
}

// newNetwork fails where namespaces are not permitted.
func newNetwork() (*network, error) {
	probe, err := newSpace()
	if err != nil {
		return nil, err
	}
	probe.close()
	dir, err := os.MkdirTemp("", "heddle-chaos-")
	if err != nil {
		return nil, err
	}
	n := &network{dir: dir, nodes: map[string]*place{}}
	if n.hello, err = net.Listen("unix", filepath.Join(dir, "hello")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.Setenv(socketEnv, n.hello.Addr().String()); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.all.Go(n.welcome) // ended by close
	return n, nil
}

func (n *network) close() error {
	errs := []error{n.hello.Close()}
	n.mu.Lock()
	for _, p := range n.nodes {
		p.close()
	}
	n.mu.Unlock()
	n.all.Wait()
	return errors.Join(append(errs, os.Unsetenv(socketEnv), os.RemoveAll(n.dir))...)
}

// space is a namespace, and a thread in it. A thread that ends would take processes with
// it that were started on it, so this one lives as long as the space.
type space struct {
	file *os.File
	work chan func()
}

func newSpace() (*space, error) {
	s := &space{work: make(chan func())}
	made := make(chan error)
	go func() { // ended by close
		runtime.LockOSThread()
		made <- s.enter()
		for do := range s.work {
			do()
		}
	}()
	if err := <-made; err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *space) enter() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err = loopback(); err != nil {
		return err
	}
	s.file, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	return err
}

func (s *space) close() {
	close(s.work)
	_ = s.file.Close()
}

// inside does something in the namespace.
func (s *space) inside(do func() error) error {
	done := make(chan error)
	s.work <- func() { done <- do() }
	return <-done
}

// loopback switches it on.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// welcome answers nodes that are about to start with the path of their namespace.
func (n *network) welcome() {
	for {
		c, err := n.hello.Accept()
		if err != nil {
			return
		}
		answer, err := n.prepare(c)
		if err != nil {
			answer = "error: " + err.Error()
		}
		_, _ = fmt.Fprintln(c, answer) // a node that was killed needs none
		_ = c.Close()
	}
}

func (n *network) prepare(c io.Reader) (path string, err error) {
	var b begin
	if err := json.NewDecoder(c).Decode(&b); err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.nodes[b.Node]
	if p == nil {
		space, err := newSpace()
		if err != nil {
			return "", err
		}
		p = &place{space: space, known: map[string]bool{}, cut: map[string]bool{}, lines: map[*line]bool{}}
		p.whole = sync.NewCond(&p.mu)
		n.nodes[b.Node] = p
	}
	for _, addr := range b.Inside {
		if err := p.forward(&n.all, addr, p.inside, outside); err != nil {
			return "", err
		}
	}
	for _, addr := range b.Listen {
		if err := p.forward(&n.all, addr, outside, p.inside); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), p.file.Fd()), nil
}

func outside(do func() error) error { return do() }

// forward listens on an address on one side, and hands on to the same on the other.
func (p *place) forward(all *sync.WaitGroup, addr string, from, to func(func() error) error) error {
	if p.known[addr] {
		return nil
	}
	var l net.Listener
	if err := from(func() (err error) { l, err = net.Listen("tcp", addr); return err }); err != nil {
		return err
	}
	p.known[addr] = true
	p.ends = append(p.ends, l)
	all.Go(func() { // ended by close
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(c, addr, to) }) // ended by who is at its ends, or by close
		}
	})
	return nil
}

// serve hands on what comes over a connection, until one side closes it.
func (p *place) serve(c net.Conn, addr string, to func(func() error) error) {
	var other net.Conn
	if err := to(func() (err error) { other, err = net.Dial("tcp", addr); return err }); err != nil {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		return
	}
	l := &line{place: p, addr: addr, ends: [2]net.Conn{c, other}}
	p.mu.Lock()
	p.lines[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.copy(c, other) })
	both.Go(func() { l.copy(other, c) })
	both.Wait()
	p.mu.Lock()
	delete(p.lines, l)
	p.mu.Unlock()
}

// line is one connection.
type line struct {
	place *place
	addr  string
	ends  [2]net.Conn
	over  bool
}

// copy hands on one direction; while the address is cut it waits. The other direction
// ends with it.
func (l *line) copy(from, to net.Conn) {
	defer l.close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && l.passes() {
			_, err = to.Write(b[:n])
		}
		if err != nil || !l.passes() {
			return
		}
	}
}

// passes waits while the address is cut; false if the line was closed.
func (l *line) passes() bool {
	p := l.place
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.cut[l.addr] && !l.over {
		p.whole.Wait()
	}
	return !l.over
}

func (l *line) close() {
	l.place.mu.Lock()
	l.over = true
	l.place.whole.Broadcast()
	l.place.mu.Unlock()
	for _, c := range l.ends {
		_ = c.Close()
	}
}

func (p *place) close() {
	p.mu.Lock()
	for _, l := range p.ends {
		_ = l.Close()
	}
	p.mu.Unlock()
	for _, l := range p.open() {
		l.close()
	}
	p.space.close()
}

// open are the connections that there are.
func (p *place) open() []*line {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.lines))
}

// cut has a node not reach addresses any more, or reach them again.
func (n *network) cut(node string, addrs []string, cut bool) {
	n.mu.Lock()
	p := n.nodes[node]
	n.mu.Unlock()
	if p == nil { // it has not started
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		p.cut[a] = cut
	}
	p.whole.Broadcast()
}

// reset ends all connections to an address.
func (n *network) reset(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.nodes {
		for _, l := range p.open() {
			if l.addr == addr {
				l.close()
			}
		}
	}
}

var address = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)

// enter has a process that is about to become a node enter its namespace, if there are
// some. It stays on its thread.
func enter(args []string) error {
	hello := os.Getenv(socketEnv)
	if hello == "" {
		return nil
	}
	b := begin{}
	for i, a := range args {
		set, name, _ := strings.Cut(a, "=")
		switch {
		case i > 0 && args[i-1] == "--config":
			text, err := os.ReadFile(a)
			if err != nil {
				return err
			}
			b.Inside = append(b.Inside, address.FindAllString(string(text), -1)...)
		case set == "node":
			b.Node = name
		case set == "socket.listen", set == "admin.listen":
			b.Listen = append(b.Listen, name)
		}
	}
	c, err := net.Dial("unix", hello)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(c).Encode(b); err != nil {
		return err
	}
	path, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	space, err := os.Open(strings.TrimSpace(path))
	if err != nil {
		return err
	}
	runtime.LockOSThread() // execve keeps what is this thread's
	if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}
