// Rawgws is the least a room server on gws can be: each message goes to every
// member of the sender's room with gws's own Broadcaster.
package main

import (
	"log"
	"net/http"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/bench/servers/rooms"
)

type handler struct {
	gws.BuiltinEventHandler
	rooms rooms.Rooms[*gws.Conn]
}

func roomOf(c *gws.Conn) string {
	room, _ := c.Session().Load("room")
	return room.(string)
}

func (h *handler) OnOpen(c *gws.Conn)           { h.rooms.Join(roomOf(c), c) }
func (h *handler) OnClose(c *gws.Conn, _ error) { h.rooms.Leave(roomOf(c), c) }
func (h *handler) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) } // an error closes c

func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	h.rooms.Each(roomOf(c), func(c *gws.Conn) { _ = b.Broadcast(c) }) // an error closes c
}

func main() {
	rooms.Main(func() (http.Handler, error) {
		up := gws.NewUpgrader(new(handler), nil)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := up.Upgrade(w, r)
			if err != nil {
				log.Print(err)
				return
			}
			c.Session().Store("room", r.URL.Query().Get("room"))
			go c.ReadLoop() // ends with the connection
		}), nil
	})
}
