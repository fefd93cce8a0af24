package driver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

const secret = "the secret of the tests, 32 bytes long"

// Frames of the server, written by hand from docs/PROTOCOL.md.
const (
	openAck = `{"v":1,"type":"ack","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QA","tenant_id":"bench","timestamp":1767225600000,"ref":"open",` +
		`"payload":{"action":"session:open","data":{"session":"01J","resume_token":"t","resume_ttl_ms":120000,"user":"user-1",` +
		`"device":"d","heartbeat_ms":25000,"max_frame_bytes":65536,"rooms":[{"room":"user:user-1","epoch":"","offset":0,"unread":0,"read_offset":0}]}}}`
	joinAck = `{"v":1,"type":"ack","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QB","tenant_id":"bench","timestamp":1767225600000,"room":"channel:room0",` +
		`"ref":"join","payload":{"action":"room:join","data":{"room":"channel:room0","epoch":"","offset":0,"unread":0,"read_offset":0}}}`
	sendAck = `{"v":1,"type":"ack","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QC","timestamp":1767225600000,"room":"channel:room0","epoch":"01J","offset":17,` +
		`"ref":"abc-3","payload":{"action":"message:send","data":{}}}`
	durable = `{"v":1,"type":"message","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QC","tenant_id":"bench","timestamp":1767225600000,"room":"channel:room0",` +
		`"from":{"user":"user-1","device":"d"},"epoch":"01J","offset":17,"payload":{"action":"message:send","data":{"body":` +
		`{"ts":"1700000000123456789","from":"user-1","text":"xx"}}}}`
	ephemeral = `{"v":1,"type":"event","id":"01JDBQ5R8XW3T6Y9K2M4N7P0QD","tenant_id":"bench","timestamp":1767225600000,"room":"channel:room0",` +
		`"from":{"user":"user-1","device":"d"},"payload":{"action":"message:send","data":{"body":` +
		`{"ts":"1700000000123456789","from":"user-1","text":"xx"}}}}`
	quality = `{"v":1,"type":"event","payload":{"action":"session:quality","data":{"grade":"fair","rtt_ms":140,"jitter_ms":3,"missed":0}}}`
	drain   = `{"v":1,"type":"event","payload":{"action":"session:drain","data":{"reconnect_in_ms":500}}}`
	limited = `{"v":1,"type":"error","ref":"abc-3","room":"channel:room0","payload":{"action":"message:send","data":` +
		`{"code":"rate_limited","message":"more message events than allowed","retryable":true,"retry_after_ms":20}}}`
)

// pack is JSON as the server's MessagePack: the same maps, in the same order.
func pack(t *testing.T, js string) []byte {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(js))
	d.UseNumber()
	p, err := packValue(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func packValue(p []byte, d *json.Decoder) ([]byte, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case string:
		return msgp.AppendString(p, v), nil
	case bool:
		return msgp.AppendBool(p, v), nil
	case json.Number:
		n, err := v.Int64()
		return msgp.AppendInt64(p, n), err
	}
	var n uint32
	var inside []byte
	for ; d.More(); n++ {
		if inside, err = packValue(inside, d); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if tok == json.Delim('{') {
		return append(msgp.AppendMapHeader(p, n/2), inside...), nil
	}
	return append(msgp.AppendArrayHeader(p, n), inside...), nil
}

func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		frame string
		want  kind
	}{
		"ack of session:open": {openAck, opened},
		"ack of room:join":    {joinAck, joined},
		"ack of a message":    {sendAck, acked},
		"durable message":     {durable, delivered},
		"ephemeral message":   {ephemeral, delivered},
		"quality":             {quality, other},
		"drain":               {drain, failed},
		"error":               {limited, failed},
		"no envelope":         {`{"hello":"world"}`, failed},
	} {
		if got := kindOfJSON([]byte(c.frame)); got != c.want {
			t.Errorf("%s in JSON: %d, want %d", name, got, c.want)
		}
		if got := kindOfPack(pack(t, c.frame)); got != c.want {
			t.Errorf("%s in MessagePack: %d, want %d", name, got, c.want)
		}
	}
}

// unmask is the payload of one client frame of less than 64 KiB.
func unmask(t *testing.T, f []byte) (op byte, p []byte) {
	t.Helper()
	h := 2
	if f[1]&0x7f == 126 {
		h = 4
	}
	key, p := f[h:h+4], bytes.Clone(f[h+4:])
	for i := range p {
		p[i] ^= key[i&3]
	}
	return f[0] & 0x0f, p
}

func TestPublish(t *testing.T) {
	body := load.AppendBody(nil, 1700000000123456789)
	for name, ephemeral := range map[string]bool{
		"heddle-json": true, "heddle-json-durable": false, "heddle-msgpack": true, "heddle-msgpack-durable": false,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := New(name, secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.(load.Preparer).Prepare(1); err != nil {
				t.Fatal(err)
			}
			op, p := unmask(t, d.Publish(nil, &load.Conn{Room: "room7"}, 3, body))
			js := new(bytes.Buffer)
			if op == load.OpBinary {
				if _, err := msgp.UnmarshalAsJSON(js, p); err != nil {
					t.Fatal(err)
				}
			} else {
				js.Write(p)
			}
			var e struct {
				V              int
				Type, ID, Room string
				Payload        struct {
					Action string
					Data   struct {
						Body      json.RawMessage
						Ephemeral bool
					}
				}
			}
			if err := json.Unmarshal(js.Bytes(), &e); err != nil {
				t.Fatalf("%v in %s", err, js)
			}
			if e.V != 1 || e.Type != "message" || e.Room != "channel:room7" || e.Payload.Action != "message:send" ||
				e.Payload.Data.Ephemeral != ephemeral || !bytes.Equal(e.Payload.Data.Body, body) || !strings.HasSuffix(e.ID, "-3") {
				t.Errorf("got %s", js)
			}
		})
	}
}

func TestToken(t *testing.T) {
	token, err := mint(secret, "bench", "user-7", time.Unix(1767225600, 0))
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Split(token, ".")
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(part[0] + "." + part[1]))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); len(part) != 3 || part[2] != want {
		t.Errorf("signature %s, want %s", part[2], want)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(part[1])
	if want := `{"tenant":"bench","sub":"user-7","exp":1767225600}`; string(payload) != want {
		t.Errorf("claims %s, want %s", payload, want)
	}
	if _, err := mint("", "bench", "user-7", time.Now()); err == nil {
		t.Error("signed with nothing")
	}
}

func BenchmarkKindOfJSON(b *testing.B) {
	p := []byte(ephemeral)
	b.ReportAllocs()
	for b.Loop() {
		if kindOfJSON(p) != delivered {
			b.Fatal("not delivered")
		}
	}
}
