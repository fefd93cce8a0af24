//go:build unix

package socket

import (
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawOf gives access to a socket without blocking; nil if c is no plain TCP
// connection.
func rawOf(c net.Conn) syscall.RawConn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// reader returns c's readNow: it reads if that does not block, or reports false.
//
// It is one function, without those that would make it more readable, because
// an idle connection waits below it: with one or two more frames the stack of
// every connection's goroutine would be 4 KiB instead of 2.
func reader(c *Conn) func(fd uintptr) bool {
	return func(fd uintptr) bool {
		if c.buf == nil {
			c.buf = c.srv.buffers.Get().(*[]byte)
		}
		for {
			n, err := syscall.Read(int(fd), *c.buf)
			switch {
			case n > 0:
				c.at, c.till = 0, n
			case err == syscall.EAGAIN:
				c.dropBuffer()
				return false
			case err == syscall.EINTR:
				continue
			case err == nil:
				c.readErr = io.EOF
			default:
				c.readErr = err
			}
			return true
		}
	}
}

// writeNow is write(2); a full socket takes nothing, which is no error.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := unix.Write(int(fd), p)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, nil
		}
		return max(n, 0), err
	}
}

// writable tells whether a socket takes anything, or has failed.
func writable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p[:], 0)
	return err == nil && n > 0
}

// cpuTime is what the process has used, in the kernel too.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
