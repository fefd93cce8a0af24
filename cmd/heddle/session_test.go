package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unique"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// answer is the data of the ack of session:open and session:resume.
type answer struct {
	Session     string `json:"session"`
	ResumeToken string `json:"resume_token"`
	Recovered   *bool  `json:"recovered"`
	Reason      string `json:"reason"`
	Rooms       []struct {
		Room string `json:"room"`
		position
	} `json:"rooms"`
	Lost []struct {
		Room, Reason string
	} `json:"lost"`
	Refused []struct {
		Room, Code string
	} `json:"refused"`
}

// refusal is the data of an error.
type refusal struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Retryable  bool   `json:"retryable"`
	RetryAfter int64  `json:"retry_after_ms"`
}

// socket is one WebSocket that speaks the protocol and hides nothing: no retry,
// no filter. Its reader is the goroutine that calls read.
type socket struct {
	ws      *gws.Conn
	dialect wire.Dialect
	handle  func(e *wire.Envelope)
	closed  error // why it ended, once read has returned
}

// connect opens a WebSocket; handle gets every envelope.
func connect(url, token string, d wire.Dialect, handle func(e *wire.Envelope)) (*socket, error) {
	s := &socket{dialect: d, handle: handle}
	ws, resp, err := gws.NewClient(s, &gws.ClientOption{
		Addr: url, HandshakeTimeout: patience,
		RequestHeader: http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Protocol": {d.Subprotocol()}},
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
func (s *socket) read() { s.ws.ReadLoop() }

// drop ends the connection as a network does.
func (s *socket) drop() { _ = s.ws.NetConn().Close() }

// send writes one envelope; an error also ends the connection.
func (s *socket) send(e wire.Envelope, data any) error {
	e.Type = wire.TypeEvent
	var err error
	if e.Data, err = json.Marshal(data); err != nil {
		return err
	}
	raw, err := s.dialect.Append(nil, &e)
	if err != nil {
		return err
	}
	op := gws.OpcodeText
	if s.dialect.Binary() {
		op = gws.OpcodeBinary
	}
	return s.ws.WriteMessage(op, raw)
}

func (s *socket) OnOpen(*gws.Conn) {}

func (s *socket) OnClose(_ *gws.Conn, err error) { s.closed = err }

func (s *socket) OnPing(ws *gws.Conn, payload []byte) { _ = ws.WritePong(payload) }

func (s *socket) OnPong(*gws.Conn, []byte) {}

func (s *socket) OnMessage(_ *gws.Conn, msg *gws.Message) {
	defer func() { _ = msg.Close() }()
	err := s.dialect.Decode(msg.Bytes(), func(v *wire.View) error {
		e, err := v.Envelope()
		if err == nil {
			s.handle(&e)
		}
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("the server sent %q: %v", msg.Bytes(), err))
	}
}

// closeCode is what the server closed with; 0 if it did not.
func (s *socket) closeCode() uint16 {
	var c *gws.CloseError
	if errors.As(s.closed, &c) {
		return c.Code
	}
	return 0
}

// text is the data of message:send.
type text struct {
	Text      string `json:"text"`
	Ephemeral bool   `json:"ephemeral,omitempty"`
}

// storedOf is a durable event as it came over the wire. The text of the tests'
// messages begins with the key.
func storedOf(room, epoch, id, action string, offset uint64, data []byte) stored {
	key := ""
	if action == "message:send" {
		var m text
		if err := json.Unmarshal(data, &m); err != nil {
			panic(fmt.Sprintf("message:send of %s:%d has %q: %v", room, offset, data, err))
		}
		key, _, _ = strings.Cut(m.Text, " ")
	}
	return stored{room: unique.Make(room), epoch: unique.Make(epoch), id: unique.Make(id), key: unique.Make(key), offset: offset}
}

func decode(t testing.TB, data []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%v: %q", err, data)
	}
}
