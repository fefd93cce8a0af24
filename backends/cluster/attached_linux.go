package cluster

import "syscall"

// attached has a process end with this one, however that ends, and get no Ctrl-C of its
// terminal.
func attached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
