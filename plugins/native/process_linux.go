package native

import "syscall"

// attributes keep the terminal's signals from the program, and have the kernel kill it
// when the thread that has started it dies: with the node, whatever ends that.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
