package socket

import (
	"cmp"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// events is what gws calls on the reading goroutine.
type events struct{}

func connOf(g *gws.Conn) *Conn { return (*Conn)(g.NetConn().(*stream)) }

func (events) OnOpen(*gws.Conn) {}

// OnClose keeps what the client's close frame said, if it was the first.
func (events) OnClose(g *gws.Conn, err error) {
	said, ok := err.(*gws.CloseError)
	if !ok {
		return
	}
	c := connOf(g)
	c.said = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.cause.(*CloseError); ok && e.Remote {
		c.cause = &CloseError{Code: cmp.Or(said.Code, 1005), Reason: string(said.Reason), Remote: true}
	}
}

func (events) OnPing(g *gws.Conn, payload []byte) {
	p := append(make([]byte, 0, 2+len(payload)), 0x8a, byte(len(payload)))
	connOf(g).control(append(p, payload...))
}

func (events) OnPong(g *gws.Conn, payload []byte) {
	c := connOf(g)
	defer c.guard("quality")
	c.pong(payload)
}

// OnMessage hands a frame over. What comes after the close frame was queued is
// read, but seen by nobody.
func (events) OnMessage(g *gws.Conn, m *gws.Message) {
	c := connOf(g)
	defer m.Close()
	if c.state.Load() != open {
		return
	}
	c.flusher.received.Add(1)
	c.life.Store(handling)
	defer c.guard("frame")
	c.srv.deps.Handler.Frame(c, m.Bytes(), m.Opcode == gws.OpcodeBinary)
	c.life.Store(alive)
}

// guard ends a connection whose handler panicked. It must be deferred itself.
func (c *Conn) guard(doing string) {
	if p := recover(); p != nil {
		c.life.Store(alive)
		c.srv.logPanic(doing, p)
		c.end(ending{kind: fault.Internal})
	}
}

// nothing is gws's session storage: what belongs to a connection is in Conn.
type nothing struct{}

func (nothing) Len() int                     { return 0 }
func (nothing) Load(string) (any, bool)      { return nil, false }
func (nothing) Delete(string)                {}
func (nothing) Store(string, any)            {}
func (nothing) Range(func(string, any) bool) {}
func newNothing() gws.SessionStorage         { return nothing{} }
