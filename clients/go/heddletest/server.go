package heddletest

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Failure is an error that the node answers with.
type Failure struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`
	Retryable    bool   `json:"retryable"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`

	Silent bool `json:"-"` // do not answer at all
	Done   bool `json:"-"` // with Silent: the deed is done all the same
}

// Options change how the node behaves. The zero Options are a well-behaved node
// to which the token is the user's name.
type Options struct {
	// Authorize turns a token into a user.
	Authorize func(token string) (user string, fail *Failure)
	// Refuse may answer a request in the node's place; nil lets it pass.
	Refuse func(user string, e *wire.Envelope) *Failure
	// Answer may answer a request that the node does not know, or knows otherwise,
	// with the data of the ack; nil leaves it to the node.
	Answer func(user string, e *wire.Envelope) (data any)
	// Tamper says what one session is sent in place of a live event. It runs under
	// the node's lock.
	Tamper func(user string, e wire.Envelope) []wire.Envelope
	// HeartbeatMS is told to clients; the node itself sends no pings. 25000.
	HeartbeatMS int64
}

// Server is the node.
type Server struct {
	opt      Options
	listener net.Listener
	http     *http.Server
	up       *gws.Upgrader
	wg       sync.WaitGroup

	mu       sync.Mutex
	serial   uint64
	closed   bool
	conns    map[*conn]bool
	rooms    map[string]*room
	sessions map[string]*session
	frames   int // received
	batches  int // of them, those that held more than one envelope
}

// New starts a node on a port of the loopback interface. It panics if there is
// none.
func New(opt Options) *Server {
	if opt.Authorize == nil {
		opt.Authorize = func(token string) (string, *Failure) { return token, nil }
	}
	if opt.HeartbeatMS == 0 {
		opt.HeartbeatMS = 25000
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("heddletest: %v", err))
	}
	s := &Server{opt: opt, listener: l, conns: map[*conn]bool{}, rooms: map[string]*room{}, sessions: map[string]*session{}}
	s.up = gws.NewUpgrader(&events{}, &gws.ServerOption{
		SubProtocols: []string{wire.JSON.Subprotocol(), wire.MessagePack.Subprotocol()}, ReadBufferSize: 1024,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/ws", s.upgrade)
	s.http = &http.Server{Handler: mux}
	s.wg.Go(func() { _ = s.http.Serve(l) }) // ends when Close closes the listener
	return s
}

// URL is where clients connect.
func (s *Server) URL() string { return "ws://" + s.listener.Addr().String() + "/v1/ws" }

// Close ends all connections and waits for its goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.Cut()
	s.wg.Wait()
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	user, fail := s.opt.Authorize(token)
	if fail != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(marshal(fail))
		return
	}
	k := &conn{s: s, user: user, out: make(chan []byte, 1<<14), gone: make(chan struct{})}
	ws, err := s.up.Upgrade(w, r)
	if err != nil {
		return
	}
	k.ws = ws
	if ws.SubProtocol() == wire.MessagePack.Subprotocol() {
		k.dialect = wire.MessagePack
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = ws.NetConn().Close()
		return
	}
	s.conns[k] = true
	ws.Session().Store("conn", k)
	s.wg.Go(k.read)  // ends when the socket is closed
	s.wg.Go(k.write) // ends with read
}

// Cut breaks all connections without a word.
func (s *Server) Cut() {
	for _, k := range s.all() {
		_ = k.ws.NetConn().Close()
	}
}

// Disconnect closes all connections with a code.
func (s *Server) Disconnect(code uint16, reason string) {
	for _, k := range s.all() {
		_ = k.ws.WriteClose(code, []byte(reason))
	}
}

// Drain asks all clients to reconnect.
func (s *Server) Drain(inMS int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := wire.Envelope{Type: wire.TypeEvent, ID: s.next("ev"), Action: "session:drain", Data: marshal(map[string]int64{"reconnect_in_ms": inMS})}
	for k := range s.conns {
		k.send(&e)
	}
}

// Forget loses all sessions; connections stay.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = map[string]*session{}
}

// Conns is the number of connections.
func (s *Server) Conns() int { return len(s.all()) }

// Frames is how many data frames came in, and how many of them were batches.
func (s *Server) Frames() (frames, batches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames, s.batches
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for k := range s.conns {
		list = append(list, k)
	}
	return list
}

// next makes an id; the lock is held.
func (s *Server) next(kind string) string {
	s.serial++
	return fmt.Sprintf("%s-%06d", kind, s.serial)
}
