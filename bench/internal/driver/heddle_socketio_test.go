package driver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// Packets of the server to clients of Socket.IO.
const (
	packetOpen      = `0{"sid":"n.Agx5JZnxkaQk7heICnjnuw","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	packetConnected = `40{"sid":"01JDBQ5R8XW3T6Y9K2M4N7P0QA","pid":"01JDBQ5R8XW3T6Y9K2M4N7P0QA.secret.life"}`
	packetSession   = `42["session:open",{"session":"01JDBQ5R8XW3T6Y9K2M4N7P0QA","user":"user-1","heartbeat_ms":25000,"rooms":[]},{"timestamp":1767225600000}]`
	packetQuality   = `42["session:quality",{"grade":"fair","rtt_ms":140,"jitter_ms":3,"missed":0},{}]`
	packetJoined    = `431[{"ok":true,"data":{"room":"channel:room0","epoch":"","offset":0},"timestamp":1767225600000,"room":"channel:room0","ref":"x1"}]`
	packetAcked     = `4317[{"ok":true,"data":{},"timestamp":1767225600000,"room":"channel:room0","ref":"x2"}]`
	packetLimited   = `4317[{"ok":false,"error":{"code":"rate_limited","message":"more message events than allowed","retryable":true},"ref":"x2"}]`
	packetRefused   = `44{"message":"rate_limited","data":{"code":"rate_limited","message":"more than allowed","retryable":true}}`
	packetEphemeral = `42["message:send",{"body":{"ts":"1700000000123456789","from":"user-1","text":"xx"}},` +
		`{"timestamp":1767225600000,"room":"channel:room0","from":{"user":"user-1"}}]`
	packetDurable = `42["message:send",{"body":{"ts":"1700000000123456789","from":"user-1","text":"xx"}},` +
		`{"id":"01JDBQ5R8XW3T6Y9K2M4N7P0QC","timestamp":1767225600000,"room":"channel:room0","from":{"user":"user-1"},` +
		`"epoch":"celq4fovw32ja","offset":1},"JxTJfHosCzQ.1"]`
)

// What the server should not have sent is seen.
func TestPacketsFail(t *testing.T) {
	for name, packet := range map[string]string{
		"an ack that says no": packetLimited,
		"an error":            `42["error",{"code":"rate_limited"},{}]`,
		"to leave":            `42["session:drain",{"reconnect_in_ms":500},{}]`,
		"left":                `41`,
		"no message":          `42["message:send",{"body":{}},{}]`,
	} {
		t.Run(name, func(t *testing.T) {
			p := play{op: gws.OpcodeText, first: []string{packetOpen}, replies: []reply{
				{mark, []string{packet, packetAcked}}, {"room:join", []string{packetJoined}}, {"40{", []string{packetConnected}}}}
			addr, _ := p.start(t, "")
			e := engine(t, "heddle-socketio", addr)
			conn := e.Dial(e.Loops[0], "room0")
			if _, err := e.WaitJoined(t.Context(), 1, 30*time.Second); err != nil {
				t.Fatal(err)
			}
			acks := make(chan int64, 8)
			conn.Loop().Do(func() { conn.OnAck = func(int64) { acks <- e.Failures() } })
			conn.Send(e.Driver.Publish(nil, conn, 17, load.AppendBody(nil, 1700000000123456789)))
			if failures := <-acks; failures != 1 || !strings.Contains(e.FirstFailure(), packet) {
				t.Errorf("%d failures: %s", failures, e.FirstFailure())
			}
		})
	}
}

func TestPublishOverSocketIO(t *testing.T) {
	body := load.AppendBody(nil, 1700000000123456789)
	for name, ephemeral := range map[string]bool{"heddle-socketio": true, "heddle-socketio-durable": false} {
		t.Run(name, func(t *testing.T) {
			d, err := New(name, secret)
			if err != nil {
				t.Fatal(err)
			}
			op, p := unmask(t, d.Publish(nil, &load.Conn{Room: "room7"}, 17, body))
			args, ok := bytes.CutPrefix(p, []byte("4217"))
			var event []json.RawMessage
			if op != load.OpText || !ok || json.Unmarshal(args, &event) != nil || len(event) != 2 || string(event[0]) != `"message:send"` {
				t.Fatalf("opcode %d, %s", op, p)
			}
			var data struct {
				Room      string
				Body      json.RawMessage
				Ephemeral bool
			}
			if err := json.Unmarshal(event[1], &data); err != nil {
				t.Fatal(err)
			}
			if data.Room != "channel:room7" || data.Ephemeral != ephemeral || !bytes.Equal(data.Body, body) {
				t.Errorf("got %s", event[1])
			}
		})
	}
}

// What one delivery costs the client, by protocol: those that are compared should cost
// much the same, since a client that falls behind makes the server's batches larger.
func BenchmarkFrame(b *testing.B) {
	body := string(load.AppendBody(nil, 1700000000123456789))
	for name, frame := range map[string]string{
		"heddle-json": `{"v":1,"type":"event","id":"abcdefg-123456","tenant_id":"bench","timestamp":1767225600000,"room":"channel:room0",` +
			`"from":{"user":"user-999"},"payload":{"action":"message:send","data":{"body":` + body + `}}}`,
		"heddle-socketio": `42["message:send",{"body":` + body + `},{"timestamp":1767225600000,"room":"channel:room0","from":{"user":"user-999"}}]`,
	} {
		b.Run(name, func(b *testing.B) {
			d, err := New(name, secret)
			if err != nil {
				b.Fatal(err)
			}
			e, err := load.New(load.Config{Addr: "127.0.0.1:1", Loops: 1, Dialing: 1}, d)
			if err != nil {
				b.Fatal(err)
			}
			c := e.Dial(e.Loops[0], "room0")
			p := []byte(frame)
			b.ReportAllocs()
			for b.Loop() {
				d.Frame(c, p)
			}
			if e.Failures() > 0 || e.Delivered() == 0 {
				b.Fatal(e.FirstFailure())
			}
		})
	}
}
