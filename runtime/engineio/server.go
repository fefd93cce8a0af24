package engineio

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Handler is what speaks over connections. A panic in it is logged and closes its
// connection with Internal.
type Handler interface {
	// Admit judges a handshake, as that of socket.Handler does. A *fault.Error
	// refuses with its kind's HTTP status.
	Admit(ctx context.Context, h *socket.Handshake) (any, error)
	// Open sees the connection before its first frame. What it pushes follows the
	// answer to the handshake. An error refuses that, or closes the WebSocket, by
	// its kind.
	Open(c *Conn) error
	// Frame gets one message, without Engine.IO's packet type; there is one call at
	// a time for a connection. It runs on the goroutine that reads the WebSocket or
	// the POST, and may block: then the client can not send more. payload is valid
	// during the call only; it is valid UTF-8 unless binary.
	Frame(c *Conn, payload []byte, binary bool)
	// Closed is called once for each Open, after the last Frame. cause is as in
	// socket.Handler; a client that says goodbye has a *socket.CloseError.
	Closed(c *Conn, cause error)
}

// Witness is a Handler that wants to know what has arrived: a client that answers a ping
// has all that was pushed before. It is told so of connections on WebSocket.
type Witness interface {
	// Pinging is called before a ping is pushed that may leave, and Pinged after one has
	// left.
	Pinging(c *Conn)
	Pinged(c *Conn)
	// Ponged is called when the last ping is answered.
	Ponged(c *Conn)
}

// Server holds connections.
type Server struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	start  time.Time
	points map[string]*point // by path
	node   string            // what our ids begin with: the node's name and a dot, or nothing

	// Packets that are the same for everybody, as WebSocket messages.
	ping, probed *frame.Frame

	buffers sync.Pool // *[]byte

	share int // of connections over polling without a session, for one address

	mu       sync.Mutex
	conns    map[string]*Conn   // that began with polling, by id
	unopened map[netip.Addr]int // connections over polling without a session; never more of them than MaxPolling
	stopped  bool
	live     sync.WaitGroup // connections over polling, until their Closed has returned

	count counters
}

// point is an Endpoint and what follows from it.
type point struct {
	Endpoint
	upgrades []string
	witness  Witness // nil if Handler is none
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// New checks the configuration and starts nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.check(&deps); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, deps: deps, log: deps.Logger, start: time.Now(),
		points: make(map[string]*point), conns: make(map[string]*Conn), unopened: make(map[netip.Addr]int),
		share: max(int(float64(cfg.MaxPolling)*cfg.UnopenedShare), 1), ping: packet("2"), probed: packet("3probe")}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if nodeName.MatchString(deps.Node) {
		s.node = deps.Node + "."
	}
	s.buffers.New = func() any { p := make([]byte, 0, bufferSize); return &p }
	for _, e := range deps.Endpoints {
		p := &point{Endpoint: e, upgrades: []string{}}
		p.witness, _ = e.Handler.(Witness)
		if !e.Bare {
			p.upgrades = []string{websocket}
		}
		for _, path := range e.Paths() {
			if s.points[path] != nil {
				return nil, fmt.Errorf("engineio: two endpoints at %s", path)
			}
			s.points[path] = p
		}
	}
	return s, nil
}

func packet(text string) *frame.Frame {
	return frame.Finish(append(frame.Begin(len(text)), text...), false, frame.Control, "")
}

// Run waits until ctx ends. Then it closes all connections over polling with
// Draining and returns when they have ended, or with an error if some handler did
// not return within twice the close timeout.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.StopAccepting()
	for _, c := range s.polling() {
		c.CloseWith(fault.Draining, "")
	}
	over := make(chan struct{})
	go func() { s.live.Wait(); close(over) }() // ends with the last connection
	late := time.NewTimer(2 * s.deps.CloseTimeout)
	defer late.Stop()
	select {
	case <-over:
		return nil
	case <-late.C:
		return fmt.Errorf("engineio: %d connections did not end", s.count.polling.Load())
	}
}

// StopAccepting refuses handshakes from now on; connections stay.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// polling lists the connections over polling.
func (s *Server) polling() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		if c.ws.Load() == nil {
			all = append(all, c)
		}
	}
	return all
}

// Relieve closes the connections over polling that are furthest behind, until at
// least so many bytes less wait. It is made for socket.Deps.
func (s *Server) Relieve(bytes int64) {
	type queue struct {
		c     *Conn
		bytes int
	}
	var all []queue
	for _, c := range s.polling() {
		if n := c.Queued(); n > 0 {
			all = append(all, queue{c, n})
		}
	}
	slices.SortFunc(all, func(a, b queue) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, q := range all {
		if bytes <= 0 {
			return
		}
		q.c.end(ending{kind: fault.SlowConsumer, text: "the node is short of memory", now: true})
		bytes -= int64(q.bytes)
	}
}

// clock is the time since New, and never 0.
func (s *Server) clock() time.Duration { return time.Since(s.start) + 1 }

// newID is unguessable. A load balancer can tell the node by it.
func (s *Server) newID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return s.node + base64.RawURLEncoding.EncodeToString(random[:])
}

// elsewhere is the name of the node that id names, if that is another one.
func (s *Server) elsewhere(id string) string {
	node, rest, ok := strings.Cut(id, ".")
	if !ok || len(rest) != base64.RawURLEncoding.EncodedLen(16) || node+"." == s.node || !nodeName.MatchString(node) {
		return ""
	}
	return node
}

// find is the connection that a request to p is about.
func (s *Server) find(p *point, id string) (*Conn, *refusal) {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c != nil && c.at == p {
		return c, nil
	}
	if node := s.elsewhere(id); c == nil && node != "" {
		f := otherNode.refusal()
		f.fault.Msg += ": node " + node + " has it"
		return nil, f
	}
	return nil, unknownSID.refusal()
}

// register makes c known. It is false if no connections are accepted any more.
func (s *Server) register(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.conns[c.id] = c
	s.live.Add(1)
	return true
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
}

// greeting is the packet that answers a handshake.
func (s *Server) greeting(c *Conn, upgrades []string) string {
	p, _ := json.Marshal(struct { // of strings and numbers, it can not fail
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int64    `json:"maxPayload"`
	}{c.id, upgrades, s.cfg.PingInterval.Milliseconds(), s.cfg.PingTimeout.Milliseconds(), int64(s.cfg.MaxPayload)})
	return "0" + string(p)
}

// admit asks an endpoint's handler.
func (s *Server) admit(ctx context.Context, p *point, h *socket.Handshake) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.logPanic("admit", r)
			value, err = nil, &fault.Error{Kind: fault.Internal}
		}
	}()
	return p.Handler.Admit(ctx, h)
}

func (s *Server) logPanic(doing string, p any) {
	s.count.panics.Add(1)
	s.log.Error("panic in a connection", "doing", doing, "panic", p, "stack", string(debug.Stack()))
}
