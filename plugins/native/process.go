package native

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/runner"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// process is the program of a plugin, as go-plugin sees it. go-plugin's own runner
// gives the program the node's standard input, hangs if a child of the program keeps an
// output open, and lets the kernel take the death of a thread for that of the node.
type process struct {
	name   string
	dir    string // of its socket
	cmd    *exec.Cmd
	stdout *os.File // the ends that the node reads
	stderr *os.File
	first  io.ReadCloser // stdout up to the handshake's line
	alive  *os.File      // the end of the lifeline that is never written to
	exited chan struct{}
	err    error // how it ended, once exited is closed; nil if the node has killed it
	once   sync.Once

	running atomic.Pointer[os.Process] // once it was started
	doomed  atomic.Bool                // to be killed, maybe before it was started

	mu     sync.Mutex // for who signals the group
	reaped bool       // its number may be another's
}

var _ runner.Runner = (*process)(nil)

// lifeline is the program's descriptor behind the three standard ones.
const lifeline = 3

// newProcess makes a program ready; rest gets what it writes to its standard output
// behind the handshake's line.
func newProcess(cfg *Config, env []string, dir string, rest io.Writer) (*process, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	p := &process{name: cfg.Name, dir: dir, exited: make(chan struct{}), cmd: &exec.Cmd{
		Path: path, Args: append([]string{path}, cfg.Args...), SysProcAttr: attributes(),
		Env: []string{wire.LifelineEnv + "=" + strconv.Itoa(lifeline)},
	}}
	for name, value := range cfg.Env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	var files [6]*os.File
	for i := 0; i < len(files); i += 2 {
		if files[i], files[i+1], err = os.Pipe(); err != nil {
			closeAll(files[:i])
			return nil, err
		}
	}
	p.stdout, p.cmd.Stdout = files[0], files[1]
	p.stderr, p.cmd.Stderr = files[2], files[3]
	p.cmd.ExtraFiles, p.alive = []*os.File{files[4]}, files[5]
	p.first = &handshake{in: p.stdout, rest: rest}
	return p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written
	}
}

// Start starts the program and returns once it runs.
func (p *process) Start(context.Context) error {
	started := make(chan error, 1)
	go p.keep(started) // ends with the program
	return <-started
}

// orphans is how long children of the program that have left its group may hold its
// outputs once it has ended.
const orphans = time.Second

// keep starts the program and waits for its end, on one thread: for the kernel the
// program's parent is the thread that has started it.
func (p *process) keep(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	closeAll([]*os.File{p.cmd.Stdout.(*os.File), p.cmd.Stderr.(*os.File), p.cmd.ExtraFiles[0]})
	if err != nil {
		p.release()
		p.err = err
		close(p.exited)
		started <- err
		return
	}
	if p.running.Store(p.cmd.Process); p.doomed.Load() {
		p.kill()
	}
	started <- nil
	if ended(p.cmd.Process.Pid) {
		p.family(true) // what the program has left behind
	}
	if err := p.cmd.Wait(); !p.doomed.Load() {
		p.err = err
	}
	time.AfterFunc(orphans, p.release)
	close(p.exited)
}

// release closes what the node holds of the program.
func (p *process) release() {
	p.once.Do(func() { closeAll([]*os.File{p.stdout, p.stderr, p.alive}) })
}

// kill ends the program and its children at once; it may have ended, or not begun.
func (p *process) kill() {
	p.doomed.Store(true)
	p.family(false)
}

// family kills all of the program's group, for the last time if the program is about to
// be reaped.
func (p *process) family(last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if running := p.running.Load(); running != nil && !p.reaped {
		killGroup(running)
		p.reaped = last
	}
}

// Wait returns when the program has ended.
func (p *process) Wait(context.Context) error {
	<-p.exited
	return p.err
}

// dying is how long a program whose connection broke may take to end by itself: then
// the log can say how.
const dying = time.Second

// Kill is kill, unless the program ends by itself just now.
func (p *process) Kill(context.Context) error {
	t := time.NewTimer(dying)
	defer t.Stop()
	select {
	case <-p.exited:
	case <-t.C:
		p.kill()
	}
	return nil
}

// ID is the process id, and never empty: go-plugin cleans up behind nothing that has
// none.
func (p *process) ID() string {
	if running := p.running.Load(); running != nil {
		return strconv.Itoa(running.Pid)
	}
	return p.name
}

// Name is the plugin's.
func (p *process) Name() string { return p.name }

// Stdout has the handshake's line.
func (p *process) Stdout() io.ReadCloser { return p.first }

// Stderr is the program's standard error.
func (p *process) Stderr() io.ReadCloser { return p.stderr }

// Diagnose says nothing: the supervisor adds how the program ended.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost and HostToPlugin see the same addresses.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin is the inverse.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// handshake is standard output for go-plugin, which stops reading at a line that is too
// long: it gets the first line, and rest the others.
type handshake struct {
	in   io.ReadCloser
	rest io.Writer
	read int // bytes of the first line
	done bool
}

// longestHandshake bounds the first line in bytes; with the certificate it has about
// one thousand.
const longestHandshake = 8 << 10

var errHandshake = errors.New("the first line of the program's output is too long")

func (h *handshake) Read(p []byte) (int, error) {
	if !h.done {
		n, err := h.in.Read(p)
		if end := bytes.IndexByte(p[:n], '\n'); end >= 0 {
			h.done = true
			_, _ = h.rest.Write(p[end+1 : n]) // a log does not fail
			n = end + 1
		}
		if h.read += n; h.read > longestHandshake {
			return 0, errHandshake
		}
		return n, err
	}
	for {
		n, err := h.in.Read(p)
		_, _ = h.rest.Write(p[:n])
		if err != nil {
			return 0, err
		}
	}
}

func (h *handshake) Close() error { return h.in.Close() }
