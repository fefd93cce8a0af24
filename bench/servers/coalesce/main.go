// Coalesce is rawgws with another way out: a message becomes one frame shared
// by all recipients, each connection queues the frames, and a few flushers
// write everything a connection has queued with one system call.
package main

import (
	"encoding/binary"
	"flag"
	"log"
	"net/http"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/bench/servers/rooms"
)

type handler struct {
	gws.BuiltinEventHandler
	rooms rooms.Rooms[*outbox]
}

// session is what the server keeps of a connection.
func session(c *gws.Conn) (string, *outbox) {
	room, _ := c.Session().Load("room")
	return room.(string), c.NetConn().(*outbox)
}

func (h *handler) OnOpen(c *gws.Conn)           { h.rooms.Join(session(c)) }
func (h *handler) OnClose(c *gws.Conn, _ error) { h.rooms.Leave(session(c)) }
func (h *handler) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) } // only queues

func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	room, _ := session(c)
	f := frame(byte(m.Opcode), m.Bytes())
	h.rooms.Each(room, func(o *outbox) { o.push(f) })
}

// frame is one final, unmasked WebSocket frame.
func frame(op byte, p []byte) []byte {
	f := append(make([]byte, 0, len(p)+10), 0x80|op)
	switch n := len(p); {
	case n < 126:
		f = append(f, byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(n))
	}
	return append(f, p...)
}

func main() {
	flushers := flag.Int("flushers", 0, "flushing goroutines (default: GOMAXPROCS)")
	delay := flag.Duration("delay", 0, "how long a flusher waits for more after the first frame")
	rooms.Main(func() (http.Handler, error) {
		return &server{up: gws.NewUpgrader(new(handler), nil), pool: newFlushers(*flushers, *delay)}, nil
	})
}

type server struct {
	up   *gws.Upgrader
	pool pool
}

// ServeHTTP upgrades with an outbox in the place of the connection, so that gws
// writes into its queue.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tcp, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Print(err)
		return
	}
	o := newOutbox(tcp, s.pool)
	rw.Reader.Reset(o)
	c, err := s.up.UpgradeFromConn(o, rw.Reader, r)
	if err != nil {
		log.Print(err)
		return
	}
	c.Session().Store("room", r.URL.Query().Get("room"))
	go c.ReadLoop() // ends with the connection
}
