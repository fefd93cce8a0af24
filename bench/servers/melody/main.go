// Melody is the same room server on melody (two goroutines and a channel per
// connection). It walks its own list of members, because melody's
// BroadcastFilter would look at every session of the server.
package main

import (
	"net/http"

	"github.com/olahol/melody"

	"github.com/heddle-rt/heddle/bench/servers/rooms"
)

func main() {
	rooms.Main(func() (http.Handler, error) {
		m := melody.New()
		var all rooms.Rooms[*melody.Session]
		roomOf := func(s *melody.Session) string { return s.Request.URL.Query().Get("room") }
		m.HandleConnect(func(s *melody.Session) {
			s.Set("room", roomOf(s))
			all.Join(roomOf(s), s)
		})
		m.HandleDisconnect(func(s *melody.Session) { all.Leave(roomOf(s), s) })
		m.HandleMessage(func(s *melody.Session, msg []byte) {
			all.Each(s.MustGet("room").(string), func(s *melody.Session) { _ = s.Write(msg) })
		})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = m.HandleRequest(w, r) }), nil
	})
}
