package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that can be started again when it has ended.
type Process struct {
	Name  string
	Addr  string // of clients
	Admin string // of a node's metrics and health

	args  []string
	ready func(ctx context.Context) error // asks once
	log   tail

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// between two questions of whether a process is ready
const pause = 10 * time.Millisecond

// Start starts it, and waits until it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Begin(); err != nil {
		return err
	}
	return p.Await(ctx)
}

// Begin starts it, and does not wait.
func (p *Process) Begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !closed(p.ended) {
		return fmt.Errorf("%s runs already", p.Name)
	}
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.Env = slices.DeleteFunc(os.Environ(), isOption)
	cmd.SysProcAttr = attached()
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() { // ends with the process
		defer close(ended)
		_ = cmd.Wait() // how it ended is told by cmd.ProcessState
	}()
	return nil
}

// isOption reports whether a node would take a variable for one of its options.
func isOption(variable string) bool { return strings.HasPrefix(variable, "HEDDLE_") }

// Await waits until it is ready, until it has ended, or until ctx ends.
func (p *Process) Await(ctx context.Context) error {
	ended := p.Ended()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s has ended (%s):\n%s", p.Name, p.Status(), p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w:\n%s", p.Name, err, p.Log())
		case <-time.After(pause):
		}
	}
}

// Ended is closed when what was started last has ended.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// PID is that of what was started last.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Status says how it has ended.
func (p *Process) Status() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || !closed(p.ended) {
		return "it runs"
	}
	return p.cmd.ProcessState.String()
}

// Log is the end of what it has written, in all its lives.
func (p *Process) Log() string { return p.log.String() }

// Kill ends it by SIGKILL, also while it is paused.
func (p *Process) Kill() {
	if p.signal(syscall.SIGKILL) == nil {
		<-p.Ended()
	}
}

// Pause stops it where it is, until Resume.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

// Stop asks it to end, and waits for that until ctx ends; then it is killed, and that is
// an error. A node writes to its log where it hangs.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Ended():
		if !p.cmd.ProcessState.Success() {
			return fmt.Errorf("%s: %s", p.Name, p.Status())
		}
		return nil
	case <-ctx.Done():
		if p.signal(syscall.SIGQUIT) == nil {
			select {
			case <-p.Ended():
			case <-time.After(time.Second):
			}
		}
		p.Kill()
		return fmt.Errorf("%s had to be killed: %w", p.Name, ctx.Err())
	}
}

var errEnded = errors.New("it does not run")

func (p *Process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || closed(p.ended) {
		return fmt.Errorf("%s: %w", p.Name, errEnded)
	}
	return p.cmd.Process.Signal(s)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
