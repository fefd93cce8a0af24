package heddletest

import (
	"encoding/json"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// conn is a connection. The server's lock guards sess.
type conn struct {
	s       *Server
	ws      *gws.Conn
	user    string
	dialect wire.Dialect
	out     chan []byte   // frames to write; when it is full, the connection is cut
	gone    chan struct{} // closed when reading has ended

	sess *session
}

// session outlives its connections.
type session struct {
	id, token, user, device string
	joined                  map[string]uint64 // room, and the offset at which it was joined
	acks                    map[string]uint64 // room, and what the client said to have handled
}

// events is gws' handler of all connections.
type events struct{ gws.BuiltinEventHandler }

func (events) OnMessage(ws *gws.Conn, msg *gws.Message) {
	v, _ := ws.Session().Load("conn")
	k := v.(*conn)
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	n := 0
	err := k.dialect.Decode(msg.Bytes(), func(v *wire.View) error {
		n++
		e, err := v.Envelope()
		if err == nil {
			k.s.handle(k, &e)
		}
		return err
	})
	k.s.frames++
	if n > 1 {
		k.s.batches++
	}
	_ = msg.Close()
	if err != nil || n > wire.MaxBatch {
		k.s.wg.Go(func() { _ = ws.WriteClose(4400, []byte("malformed")) }) // ends with the write
	}
}

func (k *conn) read() {
	k.ws.ReadLoop()
	k.s.mu.Lock()
	delete(k.s.conns, k)
	if k.sess != nil {
		for name := range k.sess.joined {
			delete(k.s.room(name).subscribers, k)
		}
	}
	k.s.mu.Unlock()
	close(k.gone)
}

func (k *conn) write() {
	op := gws.OpcodeText
	if k.dialect.Binary() {
		op = gws.OpcodeBinary
	}
	for {
		select {
		case <-k.gone:
			return
		case frame := <-k.out:
			_ = k.ws.WriteMessage(op, frame)
		}
	}
}

func (k *conn) send(e *wire.Envelope) {
	frame, err := k.dialect.Append(nil, e)
	if err == nil {
		k.queue(frame)
	}
}

func (k *conn) queue(frame []byte) {
	select {
	case k.out <- frame:
	default:
		_ = k.ws.NetConn().Close()
	}
}

// answer sends an ack; the lock is held.
func (k *conn) answer(e *wire.Envelope, epoch string, offset uint64, id string, data any) {
	if e.ID == "" {
		return
	}
	if id == "" {
		id = k.s.next("ack")
	}
	k.send(&wire.Envelope{
		Type: wire.TypeAck, ID: id, Timestamp: now(), Room: e.Room, Epoch: epoch, Offset: offset, Ref: e.ID, Action: e.Action, Data: marshal(data),
	})
}

func (k *conn) fail(e *wire.Envelope, f *Failure) {
	k.send(&wire.Envelope{
		Type: wire.TypeError, ID: k.s.next("err"), Timestamp: now(), Room: e.Room, Ref: e.ID, Action: e.Action, Data: marshal(f),
	})
}

// marshal panics on what JSON cannot say: the node's own structs can all be said.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
