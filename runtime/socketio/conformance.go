package socketio

import (
	"context"
	"crypto/rand"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Conformance is what the Server of an endpoint needs to be the application that the
// protocol's test suite talks to: events named "message" come back as "message-back",
// those named "message-with-ack" in their ack. It has no sessions, tenants or rooms.
func Conformance(deps Deps) Deps {
	deps.Admit = func(context.Context, *socket.Handshake) (*event.Identity, error) { return nil, nil }
	deps.Open = func(conn session.Conn, _ session.Dialect, _ *event.Identity, _ string) Peer {
		return &parrot{channel: conn.(*channel)}
	}
	deps.Closed = func(Peer) {}
	return deps
}

// parrot is the suite's application on one namespace.
type parrot struct {
	channel *channel
	opened  bool
}

func (p *parrot) Opened() bool { return p.opened }

func (p *parrot) Quality(string, time.Duration, time.Duration, int) {}

func (p *parrot) Frame(b []byte, _ bool) {
	packet, err := dialect.ParsePacket(b)
	if err != nil {
		return
	}
	ns := p.channel.ns
	switch packet.Type {
	case dialect.Connect:
		p.opened = true
		if len(packet.Data) == 0 {
			packet.Data = []byte("{}")
		}
		p.channel.Push(ns.Packet(dialect.Connect, "", []byte(`{"sid":"`+rand.Text()+`"}`)))
		p.channel.Push(ns.Packet(dialect.Event, "", append(append([]byte(`["auth",`), packet.Data...), ']')))
	case dialect.Disconnect:
		p.channel.Close(0, "")
	case dialect.Event:
		p.event(&packet)
	}
}

func (p *parrot) event(packet *dialect.Packet) {
	name, rest, err := dialect.Name(packet.Data)
	switch {
	case err != nil:
	case name == "message":
		p.channel.Push(p.channel.ns.Packet(dialect.Event, "", append([]byte(`["message-back"`), rest...)))
	case name == "message-with-ack":
		if rest[0] == ',' {
			rest[0] = '['
		} else {
			rest = []byte("[]")
		}
		p.channel.Push(p.channel.ns.Packet(dialect.Ack, packet.ID, rest))
	}
}

// Echo is the engineio.Handler that the test suite of the transport talks to.
type Echo struct{}

// Admit lets everybody in.
func (Echo) Admit(context.Context, *socket.Handshake) (any, error) { return nil, nil }

// Open has nothing to do.
func (Echo) Open(*engineio.Conn) error { return nil }

// Frame sends a message back.
func (Echo) Frame(c *engineio.Conn, payload []byte, binary bool) {
	b := frame.Begin(1 + len(payload))
	if !binary {
		b = append(b, '4')
	}
	c.Push(frame.Finish(append(b, payload...), binary, frame.Control, ""))
}

// Closed has nothing to do.
func (Echo) Closed(*engineio.Conn, error) {}
