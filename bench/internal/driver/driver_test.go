package driver

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play is a server that answers as recorded: first is sent when a connection is
// open, and then for each message the first reply whose "on" it contains.
type play struct {
	gws.BuiltinEventHandler
	op      gws.Opcode
	first   []string
	replies []reply
}

type reply struct {
	on   string
	send []string
}

func (p *play) OnOpen(c *gws.Conn) { p.send(c, p.first) }

func (p *play) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	for _, r := range p.replies {
		if bytes.Contains(m.Bytes(), []byte(r.on)) {
			p.send(c, r.send)
			return
		}
	}
}

func (p *play) send(c *gws.Conn, frames []string) {
	for _, f := range frames {
		_ = c.WriteMessage(p.op, []byte(f))
	}
}

func (p *play) start(t *testing.T, protocol string) (addr string, paths <-chan string) {
	seen := make(chan string, 1)
	opt := &gws.ServerOption{}
	if protocol != "" {
		opt.SubProtocols = []string{protocol}
	}
	up := gws.NewUpgrader(p, opt)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.URL.String() + " " + r.Header.Get("Sec-WebSocket-Protocol")
		if c, err := up.Upgrade(w, r); err == nil {
			c.ReadLoop() // ends when the client resets the connection
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), seen
}

const (
	body = `{"ts":"1700000000123456789","from":"user-1","text":"xx"}`
	mark = "1700000000123456789" // in every publish of the tests
)

// lengths puts the length of each Protobuf message before it.
func lengths(messages ...string) string {
	var b []byte
	for _, m := range messages {
		b = append(binary.AppendUvarint(b, uint64(len(m))), m...)
	}
	return string(b)
}

func TestConversations(t *testing.T) {
	packed := func(js string) string { return string(pack(t, js)) }
	for name, c := range map[string]struct {
		path, protocol string
		play           play
		delivered      int64
	}{
		"raw": {path: "/ws?room=room0", delivered: 1, play: play{op: gws.OpcodeText, replies: []reply{{mark, []string{body}}}}},
		"centrifuge-json": {path: "/connection/websocket", delivered: 2, play: play{op: gws.OpcodeText, replies: []reply{
			{`"connect"`, []string{`{"id":1,"connect":{"client":"c","version":""}}`, `{}`}},
			{`"subscribe"`, []string{`{"id":2,"subscribe":{}}`}},
			{mark, []string{`{"push":{"channel":"room0","pub":{"data":` + body + `}}}` + "\n" + `{"push":{"channel":"room0","pub":{"data":` + body + `}}}`, `{"id":3,"publish":{}}`}}}}},
		"centrifuge-protobuf": {path: "/connection/websocket?format=protobuf", delivered: 1, play: play{op: gws.OpcodeBinary, replies: []reply{
			{"\x08\x01", []string{lengths("\x08\x01\x2a\x00", "")}},
			{"\x08\x02", []string{lengths("\x08\x02\x32\x00")}},
			{mark, []string{lengths("\x22\x3b"+body, "\x08\x03\x42\x00")}}}}},
		"socketio": {path: "/socket.io/?EIO=4&transport=websocket", delivered: 1, play: play{op: gws.OpcodeText,
			first: []string{`0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`},
			replies: []reply{
				{mark, []string{`42["msg",` + body + `]`, `433[]`}},
				{`"join"`, []string{`431[]`}},
				{"40", []string{`40{"sid":"t"}`}}}}},
		"heddle-socketio": {path: "/socket.io/?EIO=4&transport=websocket", delivered: 2, play: play{op: gws.OpcodeText,
			first: []string{packetOpen, "2"},
			replies: []reply{
				{mark, []string{packetEphemeral, packetDurable, packetAcked}},
				{`["room:join",{"room":"channel:room0"}]`, []string{packetQuality, packetJoined}},
				{`40{"token":"ey`, []string{packetConnected, packetSession}}}}},
		"nats": {path: "/", delivered: 2, play: play{op: gws.OpcodeBinary, first: []string{"INFO {\"server_id\":\"n\"}\r\n"}, replies: []reply{
			{mark, []string{"MSG room0 1 56\r\n" + body[:20], body[20:] + "\r\nMSG room0 1 56\r\n" + body + "\r\n"}},
			{"SUB room0 1", []string{"PO", "NG\r\n"}}}}},
		"heddle-json": {path: "/v1/ws", protocol: "heddle.v1.json", delivered: 3, play: play{op: gws.OpcodeText, replies: []reply{
			{`"session:open"`, []string{openAck, quality, joinAck}},
			{mark, []string{ephemeral, "[" + durable + "," + ephemeral + "]", sendAck}}}}},
		"heddle-msgpack": {path: "/v1/ws", protocol: "heddle.v1.msgpack", delivered: 3, play: play{op: gws.OpcodeBinary, replies: []reply{
			{"session:open", []string{packed(openAck), packed(quality), packed(joinAck)}},
			{mark, []string{packed(ephemeral), packed("[" + durable + "," + ephemeral + "]"), packed(sendAck)}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			addr, paths := c.play.start(t, c.protocol)
			e := engine(t, name, addr)
			conn := e.Dial(e.Loops[0], "room0")
			if _, err := e.WaitJoined(t.Context(), 1, 30*time.Second); err != nil {
				t.Fatal(err)
			}
			if got := <-paths; !strings.HasPrefix(got, c.path+" "+c.protocol) {
				t.Errorf("asked for %s, want %s", got, c.path)
			}
			acks := make(chan int64, 8)
			conn.Loop().Do(func() { conn.OnAck = func(int64) { acks <- e.Failures() } })
			conn.Send(e.Driver.Publish(nil, conn, 3, load.AppendBody(nil, 1700000000123456789)))
			<-acks
			for end := time.Now().Add(30 * time.Second); e.Delivered() < c.delivered && time.Now().Before(end); {
				<-time.After(time.Millisecond)
			}
			if e.Delivered() != c.delivered || e.Failures() != 0 {
				t.Errorf("%d delivered, want %d; %d failures: %s", e.Delivered(), c.delivered, e.Failures(), e.FirstFailure())
			}
		})
	}
}

// engine runs until the test ends.
func engine(t *testing.T, name, addr string) *load.Engine {
	t.Helper()
	d, err := New(name, secret)
	if err != nil {
		t.Fatal(err)
	}
	e, err := load.New(load.Config{Addr: addr, Loops: 1, Dialing: 1}, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Prepare(1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestErrorsFail(t *testing.T) {
	for name, c := range map[string]play{
		"heddle-json":     {op: gws.OpcodeText, replies: []reply{{"session:open", []string{limited}}}},
		"heddle-msgpack":  {op: gws.OpcodeBinary, replies: []reply{{"session:open", []string{string(pack(t, limited))}}}},
		"centrifuge-json": {op: gws.OpcodeText, replies: []reply{{"connect", []string{`{"id":1,"error":{"code":100,"message":"rate_limited"}}`}}}},
		"nats":            {op: gws.OpcodeBinary, first: []string{"-ERR 'rate_limited'\r\n"}},
		"heddle-socketio": {op: gws.OpcodeText, first: []string{packetOpen}, replies: []reply{{"40{", []string{packetRefused}}}},
		"socketio":        {op: gws.OpcodeText, first: []string{`44{"message":"rate_limited"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			protocol := ""
			if strings.HasPrefix(name, "heddle") && name != "heddle-socketio" {
				protocol = "heddle.v1." + strings.TrimPrefix(name, "heddle-")
			}
			addr, _ := c.start(t, protocol)
			e := engine(t, name, addr)
			e.Dial(e.Loops[0], "room0")
			if _, err := e.WaitJoined(t.Context(), 1, 30*time.Second); err == nil || !strings.Contains(err.Error(), "rate_limited") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		if _, err := New(name, secret); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "raw-durable", "heddle"} {
		if _, err := New(name, secret); err == nil {
			t.Errorf("there is a driver %q", name)
		}
	}
}
