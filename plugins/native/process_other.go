//go:build !linux

package native

import "syscall"

// attributes are none: package serve watches the lifeline.
func attributes() *syscall.SysProcAttr { return nil }
