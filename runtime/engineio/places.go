package engineio

import (
	"net/netip"
	"time"

	"github.com/heddle-rt/heddle/runtime/socket"
)

// When a client may try again whose address has its share: those before it have opened
// their sessions by then, if they mean to.
const retryShare = time.Second

// enter takes a place for a connection over polling. It counts against its address
// until a session stands on it, because it has cost nobody a token before.
func (s *Server) enter(ip netip.Addr) *refusal {
	if s.count.polling.Add(1) > int64(s.cfg.MaxPolling) {
		s.count.polling.Add(-1)
		return tooMany.refusal()
	}
	if !s.charge(ip, 1, s.share) {
		s.count.polling.Add(-1)
		f := perIP.refusal()
		f.fault.After = retryShare
		return f
	}
	return nil
}

// exit gives a place back.
func (s *Server) exit(ip netip.Addr, unopened bool) {
	if unopened {
		s.charge(ip, -1, s.cfg.MaxPolling)
	}
	s.count.polling.Add(-1)
}

// charge counts n connections more, or less, against an address, if there are no more
// than most then.
func (s *Server) charge(ip netip.Addr, n, most int) bool {
	ip = socket.Payer(ip)
	s.mu.Lock()
	defer s.mu.Unlock()
	n += s.unopened[ip]
	switch {
	case n > most:
		return false
	case n > 0:
		s.unopened[ip] = n
	default:
		delete(s.unopened, ip)
	}
	return true
}

// Stand tells whether a session stands on the connection, which begins without one.
// While there is none, a connection over polling is one of those of which its address
// may have Config.UnopenedShare.
func (c *Conn) Stand(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.p == nil || c.state == over || c.p.unopened != yes {
		return // on WebSocket, or about to give its place back, or known
	}
	c.p.unopened = !yes
	n := 1
	if yes {
		n = -1
	}
	c.srv.charge(c.remote.Addr(), n, c.srv.cfg.MaxPolling) // it has its place, so that this fits
}
