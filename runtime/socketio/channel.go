package socketio

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// channel is one namespace of a connection: the connection of its session.
type channel struct {
	conn    *engineio.Conn
	opened  time.Time
	over    atomic.Bool
	client  *client
	ns      *dialect.Namespace
	dialect *dialect.Dialect
	peer    Peer
	once    sync.Once // of Closed

	// mu is held while a frame with a mark is queued, so that the trail has the queue's
	// order. No session is called with it.
	mu    sync.Mutex
	begun bool // trail is
	trail trail.Trail
	kept  uint64 // where the trail ended when it was kept last
	next  uint64 // and when a ping was about to leave
	ping  uint64 // and before the last one that left
}

var (
	_ session.Conn    = (*channel)(nil)
	_ session.Trailer = (*channel)(nil)
)

// open makes the session of a channel.
func (s *Server) open(ch *channel, id *event.Identity) Peer {
	return s.deps.Open(ch, ch.dialect, id, "socketio/"+ch.conn.Transport())
}

// packet hands one to the session, without the namespace, which both know.
func (ch *channel) packet(p *dialect.Packet) error {
	if p.Type == dialect.Ack {
		return nil // of what nobody waits for
	}
	b := make([]byte, 0, 1+len(p.ID)+len(p.Data))
	b = append(append(append(b, p.Type), p.ID...), p.Data...)
	if ch.peer.Frame(b, false); ch.dialect.Garbled {
		return errGarbled
	}
	return nil
}

// errGarbled is a packet that its session cannot read.
var errGarbled = malformed("not a packet of Socket.IO")

// close ends the session's connection, once.
func (ch *channel) close() {
	ch.over.Store(true)
	ch.once.Do(func() { ch.client.srv.deps.Closed(ch.peer) })
}

// Push queues a frame.
func (ch *channel) Push(f *frame.Frame) bool {
	if f.Mark() == (frame.Mark{}) {
		return !ch.over.Load() && ch.conn.Push(f)
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.over.Load() || !ch.conn.Push(f) {
		return false
	}
	ch.note(f)
	return true
}

// PushAll queues several. If the connection takes some of them and is closed then, the
// trail has them all: what the client was sent is a beginning of it.
func (ch *channel) PushAll(fs []*frame.Frame) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.over.Load() {
		return false
	}
	ok := ch.conn.PushAll(fs)
	for _, f := range fs {
		ch.note(f)
	}
	if !ok {
		ch.over.Store(true)
	}
	return ok
}

// note adds a frame to the trail.
func (ch *channel) note(f *frame.Frame) {
	if m := f.Mark(); m != (frame.Mark{}) {
		ch.begin()
		ch.trail.Note(m)
	}
}

// Joined notes where a room goes on.
func (ch *channel) Joined(at frame.Mark) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.begin()
	ch.trail.Join(at)
}

// begin has the trail go on from what the client has. That is known when its first
// packet was read, and needed later.
func (ch *channel) begin() {
	if !ch.begun {
		ch.begun, ch.trail = true, ch.dialect.Behind()
	}
}

// Trail is what the session's record keeps.
func (ch *channel) Trail(keep bool) []byte {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.begin()
	if keep {
		ch.kept = ch.trail.Point()
	}
	return ch.trail.Append(nil)
}

// Trailed reports whether the trail has changed since it was kept.
func (ch *channel) Trailed() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.trail.Point() != ch.kept
}

// Crowded reports whether the trail remembers many more rooms than the session has.
func (ch *channel) Crowded(rooms int) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.trail.Rooms() > 2*rooms+64
}

// Prune has the trail forget all rooms but these.
func (ch *channel) Prune(keep map[uint64]bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.trail.Prune(keep)
}

// pinging, pinged and ponged fold what a client has that answers a ping: it has all that
// was queued before.
func (ch *channel) pinging() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.next = ch.trail.Point()
}

func (ch *channel) pinged() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.ping = ch.next
}

func (ch *channel) ponged() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.trail.Confirm(ch.ping)
}

// CloseWith ends the channel. A client that is to come back loses its connection, which
// has it reconnect by itself; one that is not is told why and disconnected from the
// namespace, which does not.
func (ch *channel) CloseWith(kind fault.Kind, text string) {
	switch {
	case ch.over.Load(): // others go on
		return
	case kind.Close() < notAgain:
		ch.conn.CloseWith(kind, text)
		return
	}
	e := fault.Error{Kind: kind, Msg: text}
	data := jsonscan.AppendQuotedString([]byte(`{"code":`), kind.Code())
	data = jsonscan.AppendQuotedString(append(data, `,"message":`...), e.Message())
	ch.end(&event.Envelope{Type: event.TypeEvent, Action: "session:closed", Data: append(data, '}')})
}

// notAgain is the first close code after which a client does not come back by itself.
const notAgain = 4400

// Close ends the channel without a reason: the client has asked for it, by the action.
func (ch *channel) Close(uint16, string) { ch.end(nil) }

// end disconnects the client from the namespace; the connection goes on.
func (ch *channel) end(told *event.Envelope) {
	if ch.over.Swap(true) {
		return
	}
	if told != nil {
		ch.conn.Push(ch.ns.Encode(told, frame.Control, ""))
	}
	ch.conn.Push(ch.ns.Farewell())
	if ch.client.remove(ch) {
		ch.client.srv.ends.Go(ch.close) // whoever calls may hold the session
	}
}

// Queued is what waits for the connection, of all its channels.
func (ch *channel) Queued() int { return ch.conn.Queued() }

// Drained waits until less does.
func (ch *channel) Drained(ctx context.Context, below int) error {
	return ch.conn.Drained(ctx, below)
}

// Opened is when the client asked for the namespace, which may be long after it connected.
func (ch *channel) Opened() time.Time { return ch.opened }

// Remote and UserAgent are the connection's.
func (ch *channel) Remote() netip.AddrPort { return ch.conn.Remote() }
func (ch *channel) UserAgent() string      { return ch.conn.UserAgent() }
