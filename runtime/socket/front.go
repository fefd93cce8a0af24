package socket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	// The first buffer for a request head; heads with a token fit in.
	headBuffer = 4 << 10
	// A pause after a failed Accept, which mostly means too few file descriptors.
	acceptPause = 50 * time.Millisecond
)

var errHeadTooLarge = errors.New("socket: the request head is too large")

// head is what reading a request takes; it is pooled.
type head struct {
	br  *bufio.Reader
	raw []byte // the head as it came

	parser *bufio.Reader // over parsed
	parsed bytes.Reader  // over raw
}

func newHead() any {
	const small = 512 // the parser has the whole head behind it
	return &head{
		br: bufio.NewReaderSize(nil, headBuffer), raw: make([]byte, 0, headBuffer), parser: bufio.NewReaderSize(nil, small),
	}
}

// request parses the head.
func (h *head) request() (*http.Request, error) {
	h.parsed.Reset(h.raw)
	h.parser.Reset(&h.parsed)
	return http.ReadRequest(h.parser)
}

// accept takes connections until the listener is closed. It waits while as many
// handshakes as permitted are under way; the kernel's queue is the bound of what
// waits then.
func (s *Server) accept(ctx context.Context) {
	places := make(chan struct{}, s.cfg.Handshake.Max)
	g := greeters{s: s, next: make(chan net.Conn), places: places}
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			g.take(ctx, c)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		<-places
		s.log.Warn("cannot accept connections", "error", err)
		select {
		case <-time.After(acceptPause):
		case <-ctx.Done():
			return
		}
	}
}

// greeters are the goroutines that take connections through their handshakes. One
// that is done waits a while for the next connection, since its stack has grown
// to what a handshake needs.
type greeters struct {
	s      *Server
	next   chan net.Conn
	places chan struct{} // one is given back for each connection greeted
}

const greeterRest = time.Second

func (g *greeters) take(ctx context.Context, c net.Conn) {
	select {
	case g.next <- c:
	default:
		g.s.conns.Go(func() { g.run(ctx, c) }) // ended by the handshake timeout, then ctx or greeterRest
	}
}

func (g *greeters) run(ctx context.Context, c net.Conn) {
	rest := time.NewTimer(greeterRest)
	defer rest.Stop()
	for {
		g.s.greet(ctx, c)
		<-g.places
		rest.Reset(greeterRest)
		select {
		case c = <-g.next:
		case <-rest.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// greet takes one connection through its handshake, or hands it to the HTTP
// server. All that it uses is garbage or back in its pool afterwards.
func (s *Server) greet(ctx context.Context, c net.Conn) {
	peer := addrPort(c.RemoteAddr())
	viaProxy := isTrusted(s.trusted, peer.Addr())
	if !viaProxy {
		if !s.guard.enter(peer.Addr()) {
			s.count.refusedIP.Add(1)
			_ = c.Close()
			return
		}
		defer s.guard.leave(peer.Addr())
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Handshake.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	h := s.heads.Get().(*head)
	defer s.heads.Put(h)
	h.br.Reset(c)
	defer h.br.Reset(nil)
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("handshake", p)
			_ = c.Close()
		}
	}()
	client, err := c, error(nil)
	if viaProxy && s.cfg.Proxies.Protocol {
		peer, err = readProxy(h.br, peer)
	}
	if err == nil && s.cert != nil {
		client, err = s.secure(ctx, c, h.br)
	}
	if err == nil {
		err = h.read(int(s.cfg.Handshake.MaxHeaderBytes))
	}
	v := visitor{net: client, peer: peer, viaProxy: viaProxy, head: h, stop: stop}
	if err != nil {
		s.notRead(v, err)
		return
	}
	s.dispatch(ctx, v)
}

// visitor is a connection whose head has been read.
type visitor struct {
	net      net.Conn
	peer     netip.AddrPort // the client or, without the PROXY protocol, the proxy
	viaProxy bool
	head     *head       // nil if the HTTP server has read it
	behind   []byte      // what it has read besides
	stop     func() bool // ends the handshake's power over the connection
}

// rest is what came behind the head.
func (v visitor) rest() []byte {
	if v.head == nil {
		return v.behind
	}
	p, _ := v.head.br.Peek(v.head.br.Buffered())
	return p
}

// release ends the handshake's timeout. It is false if that has struck.
func (v visitor) release() bool { return v.stop() }

// read takes in a request head up to its empty line.
func (h *head) read(most int) error {
	h.raw = h.raw[:0]
	for fresh := true; ; {
		line, err := h.br.ReadSlice('\n')
		if len(h.raw)+len(line) > most {
			return errHeadTooLarge
		}
		h.raw = append(h.raw, line...)
		switch {
		case err == bufio.ErrBufferFull:
			fresh = false
		case err != nil:
			return err
		case fresh && len(bytes.TrimRight(line, "\r\n")) == 0:
			return nil
		default:
			fresh = true
		}
	}
}

// secure does the TLS handshake. What br holds of it already is read first.
func (s *Server) secure(ctx context.Context, c net.Conn, br *bufio.Reader) (net.Conn, error) {
	if n := br.Buffered(); n > 0 {
		first, _ := br.Peek(n)
		c = &prefixed{Conn: c, first: bytes.Clone(first)}
	}
	t := tls.Server(c, s.cert.config)
	br.Reset(t)
	return t, t.HandshakeContext(ctx)
}

// notRead ends a connection that did not bring a whole head.
func (s *Server) notRead(v visitor, err error) {
	s.count.refusedHead.Add(1)
	if errors.Is(err, errHeadTooLarge) {
		_ = refusal{status: http.StatusRequestHeaderFieldsTooLarge, fault: &fault.Error{Kind: fault.TooLarge,
			Msg: fmt.Sprintf("the request head is larger than %s", s.cfg.Handshake.MaxHeaderBytes)}}.write(v.net)
		s.linger(v.net)
	}
	_ = v.net.Close()
}

// linger lets a refused client read its answer, which a reset would take away.
func (s *Server) linger(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, c, int64(s.cfg.Handshake.MaxHeaderBytes)*4)
	}
}

// dispatch tells upgrades from other requests.
func (s *Server) dispatch(ctx context.Context, v visitor) {
	r, err := v.head.request()
	if err != nil {
		s.count.refusedHead.Add(1)
		_ = refuse(&fault.Error{Kind: fault.Malformed, Msg: "not an HTTP/1.1 request"}).write(v.net)
		_ = v.net.Close()
		return
	}
	if !s.isUpgrade(r) {
		s.handOver(v)
		return
	}
	s.upgrade(ctx, v, r)
}

// handBack takes a request to upgrade from the HTTP server: others came before it on the
// same connection, as load balancers have it that keep theirs.
func (s *Server) handBack(w http.ResponseWriter, r *http.Request) {
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "not an HTTP/1.1 request", http.StatusBadRequest)
		return
	}
	c := nc.(*prefixed)
	c.once.Do(c.leave) // its place among those that do not become WebSockets
	_ = c.SetDeadline(time.Time{})
	behind, _ := buffered.Peek(buffered.Reader.Buffered())
	peer := addrPort(c.RemoteAddr())
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Handshake.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s.upgrade(ctx, visitor{
		net: c.Conn, peer: peer, viaProxy: isTrusted(s.trusted, addrPort(c.Conn.RemoteAddr()).Addr()),
		behind: append(bytes.Clone(behind), c.first...), stop: stop,
	}, r)
}

// handOver gives a request that is no upgrade to the HTTP server.
func (s *Server) handOver(v visitor) {
	first := append(bytes.Clone(v.head.raw), v.rest()...)
	c := &prefixed{Conn: v.net, first: first, remote: net.TCPAddrFromAddrPort(v.peer)}
	if !s.web.reserve(c) {
		s.count.refused.Add(1)
		_ = refuse(&fault.Error{Kind: fault.Overloaded}).write(v.net)
		_ = v.net.Close()
		return
	}
	if !v.release() || !s.web.take(c) {
		_ = c.Close()
	}
}
