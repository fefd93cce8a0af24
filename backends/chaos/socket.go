package chaos

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// How long a handshake may take, and a server that pings may be silent.
const (
	dialWithin = 5 * time.Second
	silence    = 20 * time.Second
)

// socket is a WebSocket that speaks the protocol and hides nothing: no retry, no filter.
type socket struct {
	ws     *gws.Conn
	handle func(e *wire.Envelope)
	err    error // of what the server sent, if that is not readable
}

// connect opens one; handle gets every envelope, on the goroutine that reads.
func connect(addr, token string, handle func(e *wire.Envelope)) (*socket, error) {
	s := &socket{handle: handle}
	ws, resp, err := gws.NewClient(s, &gws.ClientOption{
		Addr: "ws://" + addr + "/v1/ws", HandshakeTimeout: dialWithin, NewDialer: func() (gws.Dialer, error) { return &net.Dialer{Timeout: dialWithin}, nil },
		RequestHeader: http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Protocol": {wire.JSON.Subprotocol()}},
	})
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return nil, err
	}
	s.ws = ws
	return s, nil
}

// read hands envelopes over until the connection ends.
func (s *socket) read() error {
	s.ws.ReadLoop()
	return s.err
}

// drop ends the connection as a network does.
func (s *socket) drop() { _ = s.ws.NetConn().Close() }

// send writes one envelope.
func (s *socket) send(e wire.Envelope, data any) (err error) {
	e.Type = wire.TypeEvent
	if e.Data, err = json.Marshal(data); err != nil {
		return err
	}
	raw, err := wire.JSON.Append(nil, &e)
	if err != nil {
		return err
	}
	return s.ws.WriteMessage(gws.OpcodeText, raw)
}

// OnOpen begins to wait for the server.
func (s *socket) OnOpen(ws *gws.Conn) { s.patient(ws) }

func (s *socket) patient(ws *gws.Conn) { _ = ws.SetReadDeadline(time.Now().Add(silence)) }

// OnClose has nothing to do: read returns.
func (s *socket) OnClose(*gws.Conn, error) {}

// OnPing answers.
func (s *socket) OnPing(ws *gws.Conn, payload []byte) {
	s.patient(ws)
	_ = ws.WritePong(payload)
}

// OnPong does not come.
func (s *socket) OnPong(*gws.Conn, []byte) {}

// OnMessage hands envelopes on.
func (s *socket) OnMessage(ws *gws.Conn, msg *gws.Message) {
	defer msg.Close() // nothing can be done about it
	s.patient(ws)
	err := wire.JSON.Decode(msg.Bytes(), func(v *wire.View) error {
		e, err := v.Envelope()
		if err == nil {
			s.handle(&e)
		}
		return err
	})
	if err != nil {
		s.err = errors.Join(s.err, err)
		s.drop()
	}
}
