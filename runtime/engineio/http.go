package engineio

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/socket"
)

// The names of the transports, and the revision of the protocol.
const (
	polling   = "polling"
	websocket = "websocket"
	revision  = "4"
)

const (
	// What is written to a poll before its deadline is set anew.
	writeChunk = 64 << 10
	// How long browsers need not ask again about other origins.
	corsAge = "600"
)

// ServeHTTP serves polling. The order of its checks is the reference server's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := s.points[r.URL.Path]
	if p == nil {
		http.NotFound(w, r)
		return
	}
	if !s.cors(w, r) {
		s.refuse(w, p, forbidden.refusal())
		return
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	q := r.URL.Query()
	if q.Has("j") { // JSONP
		s.refuse(w, p, badRequest.refusal())
		return
	}
	c, f := s.asked(p, r.Method, q)
	switch {
	case f != nil:
		s.refuse(w, p, f)
	case c == nil:
		s.handshake(w, r, p)
	case r.Method == http.MethodGet:
		s.poll(w, r, c)
	default:
		s.post(w, r, c)
	}
}

// asked finds the connection that a request is about, nil if it is a handshake.
func (s *Server) asked(p *point, method string, q url.Values) (*Conn, *refusal) {
	transport, id := q.Get("transport"), q.Get("sid")
	switch {
	case transport == websocket && !p.Bare && id == "":
		return nil, badRequest.refusal()
	case transport != polling && (transport != websocket || p.Bare):
		return nil, unknownTransport.refusal()
	case id != "" && (method == http.MethodGet || method == http.MethodPost):
		c, f := s.find(p, id)
		if f == nil && transport != polling {
			return nil, badRequest.refusal()
		}
		return c, f
	case method != http.MethodGet:
		return nil, badMethod.refusal()
	case q.Get("EIO") != revision:
		return nil, badVersion.refusal()
	}
	return nil, nil
}

// cors lets pages of permitted origins read the answer. It is false for others.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	h := w.Header()
	h.Set("Vary", "Origin")
	if !s.deps.Sockets.Allows(r) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	return true
}

// preflight answers a browser that asks whether a page may send what it wants to.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Max-Age", corsAge)
		if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
			h.Set("Access-Control-Allow-Headers", names)
			h.Add("Vary", "Access-Control-Request-Headers")
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// handshake begins a connection over polling.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, p *point) {
	h, err := s.deps.Sockets.Judge(r)
	if err != nil {
		s.refuse(w, p, notAdmitted(err))
		return
	}
	c, f := s.begin(r.Context(), p, h)
	if f == nil {
		f = c.open()
	}
	if f != nil {
		s.refuse(w, p, f)
		return
	}
	if s.write(w, []byte(s.greeting(c, p.upgrades))) != nil {
		c.end(ending{cause: errGone, now: true})
	}
}

// begin makes a connection over polling, or says why there is none.
func (s *Server) begin(ctx context.Context, p *point, h *socket.Handshake) (*Conn, *refusal) {
	if s.stopping() {
		return nil, draining.refusal()
	}
	ip := h.Remote.Addr()
	if f := s.enter(ip); f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.UpgradeTimeout)
	defer cancel()
	value, err := s.admit(ctx, p, h)
	if err != nil {
		s.exit(ip, true)
		return nil, notAdmitted(err)
	}
	c := s.newConn(p, h, value)
	c.p = &polled{wake: make(chan struct{}, 1), unopened: true}
	c.using = true
	if !s.register(c) {
		s.exit(ip, true)
		return nil, draining.refusal()
	}
	s.count.opened.Add(1)
	return c, nil
}

// write answers with text, in time, and tells whether the network took it.
func (s *Server) write(w http.ResponseWriter, text []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	rc := http.NewResponseController(w)
	for len(text) > 0 {
		n := min(len(text), writeChunk)
		_ = rc.SetWriteDeadline(time.Now().Add(s.deps.Queue.WriteTimeout))
		if _, err := w.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	err := rc.Flush()
	_ = rc.SetWriteDeadline(time.Time{})
	return err
}
