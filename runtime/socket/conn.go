package socket

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// Handler is the session layer. A panic in it is logged and closes its
// connection with Internal.
type Handler interface {
	// Admit judges a handshake before it is answered, on a goroutine of its own
	// that may use a deep stack. ctx ends with the handshake timeout. A
	// *fault.Error refuses with its kind's HTTP status. What Admit returns
	// becomes the connection's Value; Open may yet not follow, if the client
	// goes away meanwhile, so it must not hold what needs giving back.
	Admit(ctx context.Context, h *Handshake) (any, error)
	// Open sees the connection after the handshake, before its first frame, on
	// the same goroutine as Admit, and holds one of the places for handshakes
	// meanwhile. An error closes the connection by its kind.
	Open(c *Conn) error
	// Frame gets one message on the reading goroutine. payload is valid during
	// the call only; it is valid UTF-8 unless binary.
	Frame(c *Conn, payload []byte, binary bool)
	// Closed is called once for each Open, after the last Frame. cause is a
	// *fault.Error if the server ended it for a reason of its kind, a *CloseError
	// if a close frame ended it, else what the network said.
	Closed(c *Conn, cause error)
}

// CloseError is a close frame that ended a connection.
type CloseError struct {
	Code   uint16 // RFC 6455 section 7.4, 1005 if the frame had none
	Reason string
	Remote bool // the client sent it first
}

func (e *CloseError) Error() string {
	by := "server"
	if e.Remote {
		by = "client"
	}
	return fmt.Sprintf("socket: closed by the %s: %d %s", by, e.Code, e.Reason)
}

// The states of a connection, in their order.
const (
	open    uint32 = iota
	closing        // the close frame is queued: nothing else may be
	flushed        // it is written: the client may answer it
	dead           // the network connection is closed
)

// Conn is one WebSocket connection. Its methods may be called by any goroutine
// and never block, but for Drained.
type Conn struct {
	// What a push touches comes first, side by side: a broadcast meets connections
	// whose memory is in no cache.
	mu       sync.Mutex
	state    atomic.Uint32 // changed under mu
	listed   bool          // in its flusher's list, or being written, or waiting
	waiting  bool          // a goroutine waits for the socket: the connection is behind
	deflate  bool          // compression is negotiated; never changed
	mustCut  bool          // the flusher is to drop what it has in hand
	readDone bool          // the reading goroutine needs the network no more
	abrupt   bool          // close without waiting for the client
	quiet    bool          // no pings; never changed
	holders  int8          // the reader and the network: the last one gives up the place
	bytes    int           // of out and busy
	out      *backlog
	busy     *backlog // being written, in the hands of whoever writes
	srv      *Server
	flusher  *flusher

	net         net.Conn
	raw         syscall.RawConn // nil if it cannot be written without blocking
	value       any
	agent       unique.Handle[string]
	subprotocol string
	remote      netip.AddrPort
	id          uint64
	opened      int64         // Unix nanoseconds
	reading                   // the reading goroutine's (stream.go)
	life        atomic.Uint32 // what the heartbeat wheel wants to know (heartbeat.go)

	// Under mu.
	drains    *drain
	cause     error
	closeBy   time.Duration // on the server's clock, 0 while open
	quality   quality
	slot      uint32 // of the heartbeat wheel
	slotIndex uint32
}

// ID is unique in the process.
func (c *Conn) ID() uint64 { return c.id }

// Remote is the client's address, as far as trusted proxies tell.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// UserAgent is the request's header, cut at 256 bytes.
func (c *Conn) UserAgent() string { return c.agent.Value() }

// Subprotocol is the selected one, "" if the client offered none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Opened is when the handshake ended.
func (c *Conn) Opened() time.Time { return time.Unix(0, c.opened) }

// Value is what Admit returned, or what SetValue put in its place.
func (c *Conn) Value() any { return c.value }

// SetValue may be called in Open only: later, Value is read without a lock.
func (c *Conn) SetValue(v any) { c.value = v }

// Queued is the number of bytes that wait to be written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// wire is what f looks like on this connection.
func (c *Conn) wire(f *frame.Frame) []byte {
	if c.deflate {
		return f.Deflated(c.srv.deflate)
	}
	return f.Wire()
}

// drain is somebody who waits for a shorter queue.
type drain struct {
	below int
	done  chan struct{}
	next  *drain
}

// Drained blocks until fewer than below bytes wait. It fails with ctx, or with
// net.ErrClosed when the connection is closed or closing.
func (c *Conn) Drained(ctx context.Context, below int) error {
	c.mu.Lock()
	if c.state.Load() != open {
		c.mu.Unlock()
		return net.ErrClosed
	}
	if c.bytes < below {
		c.mu.Unlock()
		return nil
	}
	d := &drain{below: below, done: make(chan struct{}), next: c.drains}
	c.drains = d
	c.mu.Unlock()
	select {
	case <-d.done:
		if c.state.Load() != open {
			return net.ErrClosed
		}
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		for p := &c.drains; *p != nil; p = &(*p).next {
			if *p == d {
				*p = d.next
				break
			}
		}
		return ctx.Err()
	}
}

// wakeLocked ends every Drained that has what it waits for.
func (c *Conn) wakeLocked() {
	for p := &c.drains; *p != nil; {
		if d := *p; c.bytes < d.below || c.state.Load() != open {
			close(d.done)
			*p = d.next
			continue
		}
		p = &(*p).next
	}
}

// CloseWith ends the connection for a reason of one kind: what waits is written,
// then a close frame with the kind's code and the reason "code" or "code: text";
// all of it within the close timeout. Only the first call counts.
func (c *Conn) CloseWith(kind fault.Kind, text string) {
	c.end(ending{kind: kind, text: text})
}

// Close is CloseWith for a code that is no fault's, such as 1000.
func (c *Conn) Close(code uint16, reason string) {
	c.end(ending{code: code, text: reason})
}

// closeFrame is RFC 6455 section 5.5.1; without a code it has no body.
func closeFrame(code uint16, reason string) []byte {
	if code == 0 {
		return []byte{0x88, 0}
	}
	reason = Cut(reason, 123) // a control frame's payload has at most 125 bytes
	p := append(make([]byte, 0, 4+len(reason)), 0x88, byte(2+len(reason)))
	return append(binary.BigEndian.AppendUint16(p, code), reason...)
}
