package socketio

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Peer is a session as its channel sees it; *session.Session is one.
type Peer interface {
	Frame(payload []byte, binary bool)
	Opened() bool
	Quality(grade string, rtt, jitter time.Duration, missed int)
}

// Deps is what the server needs.
type Deps struct {
	// Admit judges the handshake of a connection; id is who its token speaks for, nil if
	// there is none.
	Admit func(ctx context.Context, h *socket.Handshake) (id *event.Identity, err error)
	// Open makes the session of a channel, and Closed ends it.
	Open   func(conn session.Conn, d session.Dialect, id *event.Identity, transport string) Peer
	Closed func(p Peer)
	// MaxPacket is how many bytes a packet may have, together with its attachments.
	MaxPacket int
	// FirstIndex is the first free slot among the frames of one event.
	FirstIndex int
	// Suspect is told of an address whose connection was closed because it sent what is no
	// packet, and of the peer of one of its channels whose session is open, nil if there
	// is none. What a session could not read counts there already. It may be nil.
	Suspect func(ip netip.Addr, p Peer)
}

// Server is the engineio.Handler for clients of Socket.IO.
type Server struct {
	cfg    Config
	deps   Deps
	spaces map[string]*dialect.Namespace
	ends   sync.WaitGroup // of channels whose connections go on

	Counters
}

// Counters count what clients have done.
type Counters struct {
	Connected atomic.Uint64 // to namespaces
	Refused   atomic.Uint64 // CONNECT packets
	Recovered atomic.Uint64 // clients whose state was
	Malformed atomic.Uint64 // connections closed because they sent what is no packet
}

var (
	_ engineio.Handler = (*Server)(nil)
	_ engineio.Witness = (*Server)(nil)
)

// New makes the server, and starts nothing.
func New(cfg Config, deps Deps) *Server {
	return &Server{cfg: cfg, deps: deps, spaces: cfg.namespaces(deps.FirstIndex)}
}

// Indexes is how many slots among the frames of one event the server may need.
const Indexes = maxOwn + 5

// Wait returns when all channels have ended; their connections must have, before.
func (s *Server) Wait() { s.ends.Wait() }

// Admit judges a handshake.
func (s *Server) Admit(ctx context.Context, h *socket.Handshake) (any, error) {
	return s.deps.Admit(ctx, h)
}

// Open makes a connection's client.
func (s *Server) Open(c *engineio.Conn) error {
	id, _ := c.Value().(*event.Identity)
	c.SetValue(newClient(s, c, id))
	return nil
}

// Frame takes one packet, or an attachment of one.
func (s *Server) Frame(c *engineio.Conn, payload []byte, binary bool) {
	x := c.Value().(*client)
	if err := x.frame(payload, binary); err != nil {
		f := fault.Of(err)
		if f.Kind == fault.Malformed {
			s.Malformed.Add(1)
			if s.deps.Suspect != nil && !errors.Is(err, errGarbled) {
				s.deps.Suspect(c.Remote().Addr(), x.opened())
			}
		}
		c.CloseWith(f.Kind, f.Msg)
	}
}

// Pinging, Pinged and Ponged make the server an engineio.Witness.
func (s *Server) Pinging(c *engineio.Conn) { each(c, (*channel).pinging) }
func (s *Server) Pinged(c *engineio.Conn)  { each(c, (*channel).pinged) }
func (s *Server) Ponged(c *engineio.Conn)  { each(c, (*channel).ponged) }

// each does something with all channels of a connection.
func each(c *engineio.Conn, do func(*channel)) {
	if x, ok := c.Value().(*client); ok {
		for _, ch := range x.all() {
			do(ch)
		}
	}
}

// Quality tells a connection's sessions how good it is.
func (s *Server) Quality(c *engineio.Conn, grade string, rtt, jitter time.Duration, missed int) {
	each(c, func(ch *channel) { ch.peer.Quality(grade, rtt, jitter, missed) })
}

// Closed ends a connection's channels.
func (s *Server) Closed(c *engineio.Conn, _ error) {
	if x, ok := c.Value().(*client); ok {
		x.closed()
	}
}
