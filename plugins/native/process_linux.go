package native

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes make the program the first of a group of its own, which keeps the terminal's
// signals from it, and have the kernel kill it when the thread that has started it dies:
// with the node, whatever ends that.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ended returns when a child has ended, and whether it knows that. The child is not
// reaped: its number, and that of its group, stay its own.
func ended(pid int) bool {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return err == nil
		}
	}
}

// killGroup kills a program that was not reaped, and its children, save those that have
// made a group of their own.
func killGroup(program *os.Process) { _ = syscall.Kill(-program.Pid, syscall.SIGKILL) } // fails if nobody is left
