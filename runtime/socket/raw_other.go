//go:build !unix

package socket

import (
	"net"
	"syscall"
	"time"
)

// rawOf is nil: here, every connection is written by a goroutine of its own for
// as long as there is something to write.
func rawOf(net.Conn) syscall.RawConn { return nil }

func reader(*Conn) func(uintptr) bool { return nil }

func writeNow(uintptr, []byte) (int, error) { return 0, syscall.EINVAL }

func writable(uintptr) bool { return true }

// cpuTime is unknown: writes are never delayed.
func cpuTime() time.Duration { return 0 }
