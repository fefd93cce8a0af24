package app

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// dialect is what a client speaks; "" is JSON.
type dialect string

const packed dialect = "msgpack"

// client is a WebSocket client that does as it is told, also what it must not. It
// reads only when it is asked to, so it has no goroutine.
type client struct {
	t      testing.TB
	node   *node
	tenant string
	user   string
	packed bool
	net    net.Conn
	in     *bufio.Reader
	over   bool
}

// dial is how a client connects.
type dial struct {
	tenant, user string // of the token; tenant acme if empty
	token        string // instead of one for them; "-" for none
	header       bool   // token in the header Authorization
	dialect      dialect
	origin       string
	query        string
	extra        string // more lines of the request head
}

// open is what came of a handshake that was refused.
type refusal struct {
	status int
	body   string
}

// try makes the handshake.
func (n *node) try(t testing.TB, d dial) (*client, *refusal) {
	t.Helper()
	c, no, err := n.shake(t, d)
	if err != nil {
		t.Fatal(err)
	}
	return c, no
}

// shake makes a handshake in which the node may cut the connection.
func (n *node) shake(t testing.TB, d dial) (*client, *refusal, error) {
	t.Helper()
	if d.tenant == "" {
		d.tenant = "acme"
	}
	switch d.token {
	case "":
		d.token = mint(t, claims(d.tenant, d.user))
	case "-":
		d.token = ""
	}
	nc, err := net.Dial("tcp", n.app.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	c := &client{t: t, node: n, tenant: d.tenant, user: d.user, packed: d.dialect == packed, net: nc, in: bufio.NewReader(nc)}
	t.Cleanup(c.drop)
	proto := "heddle.v1.json"
	if c.packed {
		proto = "heddle.v1.msgpack"
	}
	head := "GET /v1/ws" + d.query + " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + d.extra
	if d.origin != "" {
		head += "Origin: " + d.origin + "\r\n"
	}
	if d.header && d.token != "" {
		head += "Authorization: Bearer " + d.token + "\r\n"
	} else if d.token != "" {
		proto += ", heddle.token." + d.token
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write([]byte(head + "Sec-WebSocket-Protocol: " + proto + "\r\n\r\n")); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != strings.Split(proto, ",")[0] {
			t.Errorf("subprotocol %q was selected of %q", got, proto)
		}
		return c, nil, nil
	}
	defer resp.Body.Close() // read only: nothing to lose
	body, err := io.ReadAll(resp.Body)
	return nil, &refusal{resp.StatusCode, string(bytes.TrimSpace(body))}, err
}

// connect makes a handshake that must succeed.
func (n *node) connect(t testing.TB, d dial) *client {
	t.Helper()
	c, no := n.try(t, d)
	if no != nil {
		t.Fatalf("%s is refused with %d: %s", d.user, no.status, no.body)
	}
	return c
}

// open connects and opens a session.
func (n *node) open(t testing.TB, d dial) *client {
	t.Helper()
	c := n.connect(t, d)
	c.do("session:open", "", "{}")
	return c
}

func (c *client) deadline() { _ = c.net.SetReadDeadline(time.Now().Add(patience)) }

// drop cuts the TCP connection.
func (c *client) drop() {
	c.over = true
	if tcp, ok := c.net.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.net.Close()
}

func (c *client) write(p []byte) {
	c.t.Helper()
	_ = c.net.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.net.Write(p); err != nil && !c.over {
		c.t.Fatalf("%s cannot write: %v", c.user, err)
	}
}

// Opcodes of RFC 6455 section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// masked is a final frame; the mask is zero, which is as good as any here.
func masked(op byte, payload []byte) []byte {
	head := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	return append(append(head, 0, 0, 0, 0), payload...)
}

// raw sends a message as it is.
func (c *client) raw(op byte, payload []byte) {
	c.t.Helper()
	c.write(masked(op, payload))
}

// text sends JSON in the client's dialect, whatever it is.
func (c *client) text(js string) {
	c.t.Helper()
	if c.packed {
		c.raw(opBinary, pack(c.t, js))
	} else {
		c.raw(opText, []byte(js))
	}
}

// send is text for what must be good.
func (c *client) send(js string) {
	c.t.Helper()
	conforms(c.t, c.node.schema.server, []byte(js))
	c.text(js)
}

// envelope is a request; room and id may be empty.
func envelope(action, room, id, data string) string {
	b := `{"type":"event"`
	if id != "" {
		b += `,"id":` + quoted(id)
	}
	if room != "" {
		b += `,"room":` + quoted(room)
	}
	return b + `,"payload":{"action":` + quoted(action) + `,"data":` + data + `}}`
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// closed is a close frame that came.
type closed struct {
	code   int
	reason string
}

func (e *closed) Error() string {
	return strings.TrimSpace(fmt.Sprintf("close %d %s", e.code, e.reason))
}

// receive reads the next message, as JSON, and answers pings meanwhile. The error
// is *closed after a close frame.
func (c *client) receive() (string, error) {
	c.deadline()
	for {
		op, payload, err := c.frame()
		switch {
		case err != nil:
			return "", err
		case op == opPing:
			c.raw(opPong, payload)
		case op == opClose:
			e := &closed{code: 1005}
			if len(payload) >= 2 {
				e.code, e.reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			c.over = true
			c.raw(opClose, payload)
			_ = c.net.Close()
			return "", e
		case op == opText && !c.packed:
			return string(payload), nil
		case op == opBinary && c.packed:
			return unpack(payload)
		default:
			return "", fmt.Errorf("a frame with opcode %d", op)
		}
	}
}

func (c *client) frame() (op byte, payload []byte, err error) {
	head := make([]byte, 2, 10)
	if _, err = io.ReadFull(c.in, head); err != nil {
		return 0, nil, err
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a frame of the server begins with %x", head)
	}
	n := uint64(head[1])
	if more := map[uint64]int{126: 2, 127: 8}[n]; more > 0 {
		long := make([]byte, 8)
		if _, err = io.ReadFull(c.in, long[8-more:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(long)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.in, payload)
	return head[0] & 15, payload, err
}

// next is the next envelope, which has been held to the schema, and to the
// client's own tenant. What the node says of the connection's quality is passed
// over: it depends on how busy the machine is.
func (c *client) next() (string, error) {
	for {
		js, err := c.receive()
		if err != nil {
			return "", err
		}
		conforms(c.t, c.node.schema.client, []byte(js))
		e := parse(c.t, js)
		if e.Tenant != "" && e.Tenant != c.tenant {
			c.t.Errorf("%s of %s received an event of %s: %s", c.user, c.tenant, e.Tenant, js)
		}
		if e.Payload.Action != "session:quality" {
			return js, nil
		}
	}
}

// must is next for what has to come.
func (c *client) must() received {
	c.t.Helper()
	js, err := c.next()
	if err != nil {
		c.t.Fatalf("%s waits for an envelope: %v", c.user, err)
	}
	return parse(c.t, js)
}

// received is an envelope of the server.
type received struct {
	Type      string
	ID        string
	Tenant    string `json:"tenant_id"`
	Timestamp int64
	Room      string
	From      struct{ User, Device string }
	Epoch     string
	Offset    uint64
	Ref       string
	Payload   struct {
		Action string
		Data   struct {
			Code       string
			Message    string
			Field      string
			Retryable  bool
			RetryAfter int64 `json:"retry_after_ms"`

			Text        string
			Repeat      bool
			Session     string
			ResumeToken string `json:"resume_token"`
			Recovered   bool
			Reason      string
			Unread      uint64
			More        bool
			Events      []received
			Rooms       []struct {
				Room, Epoch    string
				Offset, Unread uint64
			}
			Members json.RawMessage
		}
	}
	js string
}

func parse(t testing.TB, js string) (e received) {
	t.Helper()
	if err := json.Unmarshal([]byte(js), &e); err != nil {
		t.Fatalf("%v in %s", err, js)
	}
	e.js = js
	return e
}

// answer reads until the answer to an id comes; what comes before it goes to the
// functions.
func (c *client) answer(id string, before ...func(received)) received {
	c.t.Helper()
	for {
		e := c.must()
		if e.Ref == id {
			return e
		}
		for _, f := range before {
			f(e)
		}
	}
}

// do sends a request and expects its ack.
func (c *client) do(action, room, data string) received {
	c.t.Helper()
	const id = "do"
	c.send(envelope(action, room, id, data))
	e := c.answer(id)
	if e.Type != "ack" {
		c.t.Fatalf("%s %s by %s: %s", action, room, c.user, e.js)
	}
	return e
}

// ends expects the close code.
func (c *client) ends(code int) *closed {
	c.t.Helper()
	for {
		_, err := c.next()
		var e *closed
		switch {
		case err == nil:
		case !errors.As(err, &e):
			c.t.Fatalf("%s waits for close %d: %v", c.user, code, err)
		case e.code != code:
			c.t.Fatalf("%s: %v, want code %d", c.user, e, code)
		default:
			return e
		}
	}
}

// pack is JSON as MessagePack, members in the order of their names.
func pack(t testing.TB, js string) []byte {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(js))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, js)
	}
	b, err := appendPacked(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func appendPacked(b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case map[string]any:
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if b, err = appendPacked(msgp.AppendString(b, k), v[k]); err != nil {
				return nil, err
			}
		}
		return b, nil
	case []any:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, e := range v {
			if b, err = appendPacked(b, e); err != nil {
				return nil, err
			}
		}
		return b, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return msgp.AppendInt64(b, n), nil
		}
		f, err := v.Float64()
		return msgp.AppendFloat64(b, f), err
	default:
		return msgp.AppendIntf(b, v)
	}
}

func unpack(b []byte) (string, error) {
	var js bytes.Buffer
	rest, err := msgp.UnmarshalAsJSON(&js, b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many", len(rest))
	}
	return js.String(), err
}
