//go:build !linux

package native

import (
	"os"
	"syscall"
)

// attributes are none: package serve watches the lifeline.
func attributes() *syscall.SysProcAttr { return nil }

// ended knows nothing of children's ends.
func ended(int) bool { return false }

// killGroup kills the program alone.
func killGroup(program *os.Process) { _ = program.Kill() } // fails if it has ended
