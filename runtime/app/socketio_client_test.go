package app

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/session"
)

// carrier is how a client of Socket.IO is connected.
type carrier string

const (
	byPolling   carrier = "polling"
	byWebSocket carrier = "websocket"
	byUpgrade   carrier = "upgrade" // from polling to WebSocket
)

var carriers = []carrier{byPolling, byWebSocket, byUpgrade}

// pieces is a client of Socket.IO that does as it is told, also what it must not. Like
// client, it reads only when it is asked to.
type pieces struct {
	t    testing.TB
	node *node
	user string
	ws   *client // nil while it polls
	web  *http.Client
	url  string // of its polls
	sid  string // Engine.IO's
	read []message4
}

// message4 is an Engine.IO message, without its type.
type message4 struct {
	text   string
	bytes  []byte
	binary bool
}

// packet5 is a packet of Socket.IO, its attachments put behind it.
type packet5 struct {
	kind  byte
	space string
	id    string
	data  string
	bin   [][]byte
}

func (p packet5) String() string {
	return fmt.Sprintf("%c %s %s %s and %d", p.kind, p.space, p.id, p.data, len(p.bin))
}

// args are those of an event or an ack.
func (p packet5) args(t testing.TB) (args []json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.data), &args); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return args
}

// event is what listeners of an event get.
type heard struct {
	action string
	data   string
	meta   struct {
		ID, Room, Ref string
		From          struct{ User, Device string }
		Epoch         string
		Offset        uint64
	}
	offset string // the last argument, if it is a string
	bin    [][]byte
}

func (p packet5) event(t testing.TB) (h heard) {
	t.Helper()
	args := p.args(t)
	if len(args) < 3 {
		t.Fatalf("an event without meta: %s", p)
	}
	for i, to := range []any{&h.action, nil, &h.meta, &h.offset} {
		if to == nil || i >= len(args) {
			continue
		}
		if err := json.Unmarshal(args[i], to); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
	}
	h.data, h.bin = string(args[1]), p.bin
	return h
}

// engine makes an Engine.IO handshake; an error is a refusal or a cut.
func (n *node) engine(t testing.TB, user string, by carrier, header http.Header) (*pieces, error) {
	t.Helper()
	s := &pieces{t: t, node: n, user: user, url: "http://" + n.app.Addr().String() + "/socket.io/?EIO=4"}
	s.web = &http.Client{Timeout: patience, Transport: &http.Transport{}}
	t.Cleanup(s.leave)
	if by == byWebSocket {
		if err := s.socket("", header); err != nil {
			return nil, err
		}
		hello, err := s.message()
		if err != nil {
			return nil, err
		}
		return s, s.hello(hello)
	}
	status, body, err := s.ask(http.MethodGet, s.url+"&transport=polling", "", header)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%d %s, %w", status, body, err)
	}
	if err := s.hello(message4{text: body}); err != nil {
		return nil, err
	}
	s.url += "&transport=polling&sid=" + s.sid
	if by == byUpgrade {
		s.upgrade()
	}
	return s, nil
}

func (s *pieces) hello(m message4) error {
	var open struct{ SID string }
	if len(m.text) == 0 || m.text[0] != '0' {
		return fmt.Errorf("%q is no handshake", m.text)
	}
	err := json.Unmarshal([]byte(m.text[1:]), &open)
	s.sid = open.SID
	return err
}

// socket opens a WebSocket; sid is that of a connection to upgrade.
func (s *pieces) socket(sid string, header http.Header) error {
	nc, err := net.Dial("tcp", s.node.app.Addr().String())
	if err != nil {
		return err
	}
	ws := &client{t: s.t, node: s.node, user: s.user, net: nc, in: bufio.NewReader(nc)}
	s.t.Cleanup(ws.drop)
	var lines bytes.Buffer
	_ = header.Write(&lines) // a buffer takes everything
	if sid != "" {
		sid = "&sid=" + sid
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	ws.write([]byte("GET /socket.io/?EIO=4&transport=websocket" + sid + " HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + lines.String() + "\r\n"))
	resp, err := http.ReadResponse(ws.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close() // read only: nothing to lose
		b, err := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s, %w", resp.StatusCode, b, err)
	}
	s.ws = ws
	return nil
}

// upgrade moves a polling connection to WebSocket. No poll is under way.
func (s *pieces) upgrade() {
	s.t.Helper()
	if err := s.socket(s.sid, nil); err != nil {
		s.t.Fatal(err)
	}
	s.ws.raw(opText, []byte("2probe"))
	if m, err := s.message(); err != nil || m.text != "3probe" {
		s.t.Fatal(m, err)
	}
	s.ws.raw(opText, []byte("5"))
}

// ask makes one HTTP request.
func (s *pieces) ask(method, url, body string, header http.Header) (int, string, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := s.web.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() // read only: nothing to lose
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// drop cuts the connection. The node does not see that of a client that polls.
func (s *pieces) drop() {
	if s.ws != nil {
		s.ws.drop()
	}
	s.web.CloseIdleConnections()
}

// leave says goodbye by Engine.IO's packet, if it has not done so.
func (s *pieces) leave() {
	switch {
	case s.ws != nil:
		s.ws.over = true // it may be
		s.ws.raw(opText, []byte("1"))
	case s.sid != "":
		_, _, _ = s.ask(http.MethodPost, s.url, "1", nil) // it may be over
	}
	s.drop()
}

// message is the next one of Engine.IO, whichever its type, but for pings: they are
// answered.
func (s *pieces) message() (m message4, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); s.write("3") {
		if m, err = s.any(); err != nil || m.binary || m.text != "2" {
			return m, err
		}
	}
	return m, errors.New("nothing comes but pings")
}

func (s *pieces) any() (m message4, err error) {
	if s.ws != nil {
		s.ws.deadline()
		for {
			op, b, err := s.ws.frame()
			switch {
			case err != nil:
				return m, err
			case op == opClose:
				return m, s.ws.bye(b)
			case op == opPing:
				s.ws.raw(opPong, b)
			case op == opText:
				return message4{text: string(b)}, nil
			case op == opBinary:
				return message4{bytes: b, binary: true}, nil
			}
		}
	}
	for len(s.read) == 0 {
		status, body, err := s.ask(http.MethodGet, s.url, "", nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		if err != nil {
			return m, err
		}
		for p := range strings.SplitSeq(body, "\x1e") {
			m := message4{text: p}
			if p[0] == 'b' {
				m.binary = true
				if m.bytes, err = base64.StdEncoding.DecodeString(p[1:]); err != nil {
					return m, err
				}
			}
			s.read = append(s.read, m)
		}
	}
	m, s.read = s.read[0], s.read[1:]
	return m, nil
}

// bye answers a close frame, and is it.
func (c *client) bye(b []byte) error {
	e := &closed{code: 1005}
	if len(b) >= 2 {
		e.code, e.reason = int(b[0])<<8|int(b[1]), string(b[2:])
	}
	c.over = true
	c.raw(opClose, b)
	_ = c.net.Close()
	return e
}

// write sends Engine.IO packets.
func (s *pieces) write(packets ...string) {
	s.t.Helper()
	if s.ws == nil {
		status, body, err := s.ask(http.MethodPost, s.url, strings.Join(packets, "\x1e"), nil)
		if err != nil || status != http.StatusOK {
			s.t.Fatalf("%s's POST: %d %s, %v", s.user, status, body, err)
		}
		return
	}
	for _, p := range packets {
		if b, ok := strings.CutPrefix(p, "b"); ok {
			raw, err := base64.StdEncoding.DecodeString(b)
			if err != nil {
				s.t.Fatal(err)
			}
			s.ws.raw(opBinary, raw)
			continue
		}
		s.ws.raw(opText, []byte(p))
	}
}

// tag is a namespace in a packet.
func tag(space string) string {
	if space == "/" {
		return ""
	}
	return space + ","
}

// emit sends an event; id is that of the ack, "" for none.
func (s *pieces) emit(space, id, args string, bin ...[]byte) {
	s.t.Helper()
	s.write(packets('2', space, id, args, bin...)...)
}

func packets(kind byte, space, id, args string, bin ...[]byte) []string {
	head := "4" + string(kind)
	if bin != nil {
		head = "4" + string(kind+3) + strconv.Itoa(len(bin)) + "-"
	}
	all := []string{head + tag(space) + id + args}
	for _, b := range bin {
		all = append(all, "b"+base64.StdEncoding.EncodeToString(b))
	}
	return all
}

// packet is the next one of Socket.IO, without what the node says of the connection's
// quality.
func (s *pieces) packet() (p packet5, err error) {
	for {
		if p, err = s.next(); err != nil || p.kind != '2' || !strings.HasPrefix(p.data, `["session:quality"`) {
			return p, err
		}
	}
}

func (s *pieces) next() (p packet5, err error) {
	m, err := s.message()
	switch {
	case err != nil:
		return p, err
	case !m.binary && m.text == "1":
		return p, errClosed
	case m.binary || len(m.text) < 2 || m.text[0] != '4':
		return p, fmt.Errorf("%q is no packet", m.text)
	}
	b := m.text[2:]
	p.kind, p.space = m.text[1], "/"
	n := 0
	if p.kind == '5' || p.kind == '6' {
		digits, rest, _ := strings.Cut(b, "-")
		if n, err = strconv.Atoi(digits); err != nil {
			return p, err
		}
		p.kind, b = p.kind-3, rest
	}
	if strings.HasPrefix(b, "/") {
		p.space, b, _ = strings.Cut(b, ",")
	}
	p.data = strings.TrimLeft(b, "0123456789")
	p.id = b[:len(b)-len(p.data)]
	for range n {
		a, err := s.message()
		if err != nil || !a.binary {
			return p, fmt.Errorf("no attachment but %q, %w", a.text, err)
		}
		p.bin = append(p.bin, a.bytes)
	}
	return p, nil
}

// errClosed is Engine.IO's packet that ends a connection.
var errClosed = errors.New("the node has closed the connection")

// await reads until a packet is what is waited for; those before it are returned too.
func (s *pieces) await(what string, is func(packet5) bool) (p packet5, before []packet5) {
	s.t.Helper()
	for {
		p, err := s.packet()
		if err != nil {
			s.t.Fatalf("%s waits for %s: %v; before it came %v", s.user, what, err, before)
		}
		if is(p) {
			return p, before
		}
		before = append(before, p)
	}
}

// connect connects to a namespace. auth is what it gives, without the braces; the token
// is added.
func (s *pieces) connect(space, auth string) (p packet5, before []packet5) {
	s.t.Helper()
	return s.connectWith(space, mint(s.t, claims("acme", s.user)), auth)
}

func (s *pieces) connectWith(space, token, auth string) (p packet5, before []packet5) {
	s.t.Helper()
	if auth != "" {
		auth = "," + auth
	}
	s.write("40" + tag(space) + `{"token":` + quoted(token) + auth + "}")
	return s.await("an answer to CONNECT", func(p packet5) bool { return p.space == space && (p.kind == '0' || p.kind == '4') })
}

// welcome connects to a namespace and reads what the session is told first.
func (s *pieces) welcome(space, auth string) (p packet5, told heard) {
	s.t.Helper()
	p, _ = s.connect(space, auth)
	if p.kind != '0' {
		s.t.Fatalf("%s is refused: %s", s.user, p)
	}
	first, _ := s.await("session:open", func(p packet5) bool { return p.space == space && p.kind == '2' })
	return p, first.event(s.t)
}

// answered is what a callback gets.
type answered struct {
	OK    bool
	Data  json.RawMessage
	Error struct{ Code, Message, Field string }
	ID    string
	Ref   string
	Room  string
	Epoch string

	Offset uint64
}

// request emits with a callback, and gives what that gets. Packets that come before are
// returned too.
func (s *pieces) request(space, args string, bin ...[]byte) (a answered, before []packet5) {
	s.t.Helper()
	s.emit(space, "77", args, bin...)
	p, before := s.await("the ack", func(p packet5) bool { return p.kind == '3' && p.id == "77" && p.space == space })
	if args := p.args(s.t); len(args) != 1 || json.Unmarshal(args[0], &a) != nil {
		s.t.Fatalf("a strange ack: %s", p)
	}
	return a, before
}

// do is request for what must be good.
func (s *pieces) do(space, args string, bin ...[]byte) answered {
	s.t.Helper()
	a, _ := s.request(space, args, bin...)
	if !a.OK {
		s.t.Fatalf("%s by %s: %+v", args, s.user, a)
	}
	return a
}

// ends expects that the connection is closed, with a code where there is one; -1 is any.
func (s *pieces) ends(code int) {
	s.t.Helper()
	for {
		_, err := s.packet()
		if err == nil {
			continue
		}
		var e *closed
		if s.ws != nil && code >= 0 && (!errors.As(err, &e) || e.code != code) {
			s.t.Fatalf("%s: %v, want close %d", s.user, err, code)
		}
		return
	}
}

// talker is an opened client in "/".
func (n *node) talker(t testing.TB, user string, by carrier) *pieces {
	t.Helper()
	s, err := n.engine(t, user, by, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.welcome("/", "")
	return s
}

// texts are those of messages in a room, in the order in which they came.
func textsOf(t testing.TB, room string, ps []packet5) (texts []string) {
	t.Helper()
	for _, p := range ps {
		if p.kind != '2' {
			continue
		}
		h := p.event(t)
		var d struct{ Text string }
		if h.action == "message:send" && h.meta.Room == room && json.Unmarshal([]byte(h.data), &d) == nil {
			texts = append(texts, d.Text)
		}
	}
	return texts
}

func isText(text string) func(packet5) bool {
	return func(p packet5) bool {
		return p.kind == '2' && strings.HasPrefix(p.data, `["message:send",{`) && strings.Contains(p.data, `"text":`+quoted(text))
	}
}

// quiet expects that nothing of the node's clients is left.
func (n *node) quiet(t testing.TB) {
	t.Helper()
	eventually(t, "no connection is left", func() bool {
		st := n.app.engine.server.Stats()
		return st.Polling == 0 && st.WebSocket == 0 && st.QueuedBytes == 0 && len(n.app.sessions.Connections(session.Filter{})) == 0
	})
}
