package socket

import (
	"bufio"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/klauspost/compress/flate"
	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// tokenPrefix marks the entry of the subprotocol list that carries a token
// (docs/PROTOCOL.md).
const tokenPrefix = "heddle.token."

const maxAgent = 256 // bytes

// Handshake is a request to become a WebSocket, for Admit to judge. Its strings
// are parts of the request; clone what is kept, or all of it stays in memory.
type Handshake struct {
	Remote       netip.AddrPort // the client, as far as trusted proxies tell
	Host         string
	Path         string
	Query        string // raw, without the question mark
	UserAgent    string
	Origin       string
	Token        string   // as found: subprotocol list, Authorization, query
	TokenOffered bool     // it came in the subprotocol list, where browsers have to put it
	Subprotocols []string // offered by the client and known here, in its order
	Subprotocol  string   // to select: the first of Subprotocols, or "". Admit may choose another of them
	TLS          bool
	Quiet        bool // set by Admit: somebody else finds out whether the client lives, and it is sent no pings
}

// Agent is the user agent to keep, cut at 256 bytes.
func (h *Handshake) Agent() unique.Handle[string] { return unique.Make(Cut(h.UserAgent, maxAgent)) }

// isUpgrade tells whether r asks for a WebSocket where there are some. Whether
// it asks properly is for upgrade.
func (s *Server) isUpgrade(r *http.Request) bool {
	return slices.Contains(s.cfg.Paths, r.URL.Path) && hasToken(r.Header["Upgrade"], "websocket")
}

// hasToken looks for a word in comma-separated header lines.
func hasToken(lines []string, word string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), word) {
				return true
			}
		}
	}
	return false
}

// upgrade makes a connection of a visitor, or refuses it.
func (s *Server) upgrade(ctx context.Context, v visitor, r *http.Request) {
	h, refused := s.judge(v, r)
	taken := false
	if refused == nil {
		if taken = s.live.Add(1) <= int64(s.cfg.MaxConnections); !taken {
			s.live.Add(-1)
			refused = refuse(&fault.Error{Kind: fault.Overloaded, Msg: "the node has all the connections it may have"})
		}
	}
	var value any
	if refused == nil {
		value, refused = s.admit(ctx, h)
	}
	if refused == nil && s.stopped.Load() {
		refused = refuse(&fault.Error{Kind: fault.Draining})
	}
	if refused == nil {
		s.establish(v, r, h, value)
		return
	}
	if taken {
		s.live.Add(-1)
	}
	s.count.refused.Add(1)
	_ = refused.write(v.net)
	_ = v.net.Close()
}

// judge checks what RFC 6455 section 4.2.1 and the configuration ask of a
// request.
func (s *Server) judge(v visitor, r *http.Request) (*Handshake, *refusal) {
	remote := v.peer
	if v.viaProxy {
		remote = forwarded(r.Header, s.cfg.Proxies.Forwarded, s.trusted, v.peer)
	}
	if err := s.hurried(remote); err != nil {
		return nil, refuse(err)
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case r.Method != http.MethodGet || !hasToken(r.Header["Connection"], "upgrade"),
		err != nil || len(key) != 16:
		return nil, refuse(&fault.Error{Kind: fault.Malformed, Msg: "not a WebSocket handshake"})
	case r.Header.Get("Sec-Websocket-Version") != "13":
		f := refuse(&fault.Error{Kind: fault.UnsupportedVersion, Msg: "WebSocket version 13 is needed"})
		f.status, f.header = http.StatusUpgradeRequired, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
		return nil, f
	case !s.origins.allow(r):
		return nil, refuse(foreign())
	}
	h := s.handshake(r, remote)
	if !s.subprotocols(h, r.Header["Sec-Websocket-Protocol"]) {
		return nil, refuse(&fault.Error{Kind: fault.UnsupportedVersion, Field: "subprotocol",
			Msg: "none of the offered subprotocols is known"})
	}
	s.findToken(h, r)
	return h, nil
}

// Judge does for the request that begins a connection over plain HTTP what is done
// for the handshake of a WebSocket: it asks for the rate of the address and the
// origin, and finds the token. There are no subprotocols. An error is a
// *fault.Error.
func (s *Server) Judge(r *http.Request) (*Handshake, error) {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // as front.go has written it
	remote := forwarded(r.Header, s.cfg.Proxies.Forwarded, s.trusted, peer)
	if err := s.hurried(remote); err != nil {
		return nil, err
	}
	if !s.origins.allow(r) {
		return nil, foreign()
	}
	h := s.handshake(r, remote)
	s.findToken(h, r)
	return h, nil
}

// Allows tells whether a request comes from an origin that may connect, or from no
// browser.
func (s *Server) Allows(r *http.Request) bool { return s.origins.allow(r) }

// hurried is the fault of an address that connects too often.
func (s *Server) hurried(remote netip.AddrPort) *fault.Error {
	if s.guard.allow(remote.Addr(), time.Now()) {
		return nil
	}
	return &fault.Error{Kind: fault.RateLimited, Msg: "too many connections from this address", After: time.Second}
}

func foreign() *fault.Error {
	return &fault.Error{Kind: fault.Forbidden, Msg: "this origin may not connect"}
}

func (s *Server) handshake(r *http.Request, remote netip.AddrPort) *Handshake {
	return &Handshake{
		Remote: remote, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery,
		UserAgent: r.UserAgent(), Origin: r.Header.Get("Origin"), TLS: s.cert != nil,
	}
}

// subprotocols sorts what the client offers. It is false if all of it is
// unknown.
func (s *Server) subprotocols(h *Handshake, lines []string) bool {
	offered := 0
	for _, line := range lines {
		for p := range strings.SplitSeq(line, ",") {
			p = strings.TrimSpace(p)
			if t, ok := strings.CutPrefix(p, tokenPrefix); ok {
				h.Token, h.TokenOffered = t, true
				continue
			}
			offered++
			if i := slices.Index(s.deps.Subprotocols, p); i >= 0 {
				h.Subprotocols = append(h.Subprotocols, s.deps.Subprotocols[i])
			}
		}
	}
	if len(h.Subprotocols) > 0 {
		h.Subprotocol = h.Subprotocols[0]
	}
	return offered == 0 || len(h.Subprotocols) > 0
}

func (s *Server) findToken(h *Handshake, r *http.Request) {
	if h.Token != "" {
		return
	}
	scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case ok && strings.EqualFold(scheme, "Bearer"):
		h.Token = strings.TrimSpace(t)
	case s.cfg.QueryToken:
		h.Token = r.URL.Query().Get("token")
	}
}

// admit asks the handler.
func (s *Server) admit(ctx context.Context, h *Handshake) (value any, refused *refusal) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("admit", p)
			refused = refuse(&fault.Error{Kind: fault.Internal})
		}
	}()
	value, err := s.deps.Handler.Admit(ctx, h)
	if err != nil {
		return nil, refuse(fault.Of(err))
	}
	if h.Subprotocol != "" && !slices.Contains(h.Subprotocols, h.Subprotocol) {
		s.log.Error("the handler selected a subprotocol that was not offered", "subprotocol", h.Subprotocol)
		return nil, refuse(&fault.Error{Kind: fault.Internal})
	}
	return value, nil
}

// establish answers the handshake and starts the connection.
func (s *Server) establish(v visitor, r *http.Request, h *Handshake, value any) {
	c := s.newConn(v.net, h, value)
	c.deflate = negotiate(r, s.deflate != nil)
	if first := v.rest(); len(first) > 0 {
		buf := make([]byte, max(len(first), int(s.cfg.ReadBuffer)))
		c.buf, c.till = &buf, copy(buf, first)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Protocol", h.Subprotocol)
	size := smallestBufio
	if c.raw == nil {
		size = int(s.cfg.ReadBuffer)
	}
	st := (*stream)(c)
	g, err := s.upgraders[h.Subprotocol].UpgradeFromConn(st, bufio.NewReaderSize(st, size), r)
	if err != nil || !v.release() {
		s.count.refusedHead.Add(1)
		s.live.Add(-1)
		_ = v.net.Close()
		return
	}
	c.opened = time.Now().UnixNano()
	s.count.opened.Add(1)
	s.conns.Add(1)
	s.open(c)
	s.wheel.add(c)
	if s.stopped.Load() { // whoever drains may have missed it
		c.CloseWith(fault.Draining, "")
	}
	go c.run(g) // ended by its network connection, which closing bounds
}

func (s *Server) newConn(nc net.Conn, h *Handshake, value any) *Conn {
	id := s.ids.Add(1)
	c := &Conn{
		srv: s, flusher: s.flushers[id%uint64(len(s.flushers))], net: nc, raw: rawOf(nc),
		value: value, agent: h.Agent(), subprotocol: h.Subprotocol,
		remote: h.Remote, id: id, holders: 2, quiet: h.Quiet,
	}
	c.life.Store(alive)
	if c.raw != nil {
		c.readNow = reader(c)
	}
	return c
}

// open tells the handler; frames are read after it.
func (s *Server) open(c *Conn) {
	defer c.guard("open")
	if err := s.deps.Handler.Open(c); err != nil {
		f := fault.Of(err)
		c.CloseWith(f.Kind, f.Msg)
	}
}

// upgraders has one gws.Upgrader for each subprotocol, since an Upgrader selects
// the first one that it knows, and the choice is the handler's.
func upgraders(cfg *Config, subprotocols []string) map[string]*gws.Upgrader {
	all := make(map[string]*gws.Upgrader, len(subprotocols)+1)
	for _, p := range append([]string{""}, subprotocols...) {
		o := &gws.ServerOption{
			ParallelGolimit:    1, // unused, but there is a channel of this size in each connection
			ReadMaxPayloadSize: int(cfg.MaxFrameBytes),
			ReadBufferSize:     smallestBufio,
			CheckUtf8Enabled:   true,
			HandshakeTimeout:   cfg.Handshake.Timeout,
			NewSession:         newNothing,
			PermessageDeflate: gws.PermessageDeflate{
				Enabled:  cfg.Compression.Enabled,
				Level:    flate.HuffmanOnly, // gws only inflates; this keeps its idle compressors small
				PoolSize: runtime.GOMAXPROCS(0),
			},
		}
		if p != "" {
			o.SubProtocols = []string{p}
		}
		all[p] = gws.NewUpgrader(events{}, o)
	}
	return all
}
