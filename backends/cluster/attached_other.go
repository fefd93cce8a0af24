//go:build unix && !linux

package cluster

import "syscall"

// attached has a process get no Ctrl-C of this one's terminal. If this one is killed, it
// goes on.
func attached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
