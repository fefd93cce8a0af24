package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// dial begins the connection; the loop's lock is held.
func (l *Loop) dial(c *Conn) {
	l.inflight++
	c.began = Now()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.close("socket: " + err.Error())
		return
	}
	c.fd = fd
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	if err := prepare(fd, l.eng.source(c.Number)); err != nil {
		c.close(err.Error())
		return
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(l.eng.addr.Port()), Addr: l.eng.addr.Addr().As4()})
	if err != nil && err != unix.EINPROGRESS {
		c.close("connect: " + err.Error())
		return
	}
	l.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLOUT)
}

// prepare sets the options of a socket and the address that it connects from.
func prepare(fd int, from netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("no delay: %w", err)
	}
	// Closing resets the connection, so that runs do not leave TIME_WAIT behind.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("linger: %w", err)
	}
	if !from.IsValid() {
		return nil
	}
	// The port is chosen when connecting, so that it need be new only for this
	// destination (ip(7)).
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return fmt.Errorf("bind without a port: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
		return fmt.Errorf("bind to %s: %w", from, err)
	}
	return nil
}

// source is the address that connection n comes from; the invalid one leaves it
// to the kernel. Linux answers on all of 127.0.0.0/8.
func (e *Engine) source(n int) netip.Addr {
	if e.cfg.PerSource == 0 || !e.addr.Addr().IsLoopback() {
		return netip.Addr{}
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24|uint32(1+n/e.cfg.PerSource))
	return netip.AddrFrom4(a)
}
