package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// bad is one thing that no client should send, and what it gets.
type bad struct {
	name    string
	send    func(c *client)
	js      string // instead of send: JSON, in either dialect
	code    string // of the error
	field   string
	says    string // part of its message
	closed  int    // close code, after the error if there is one
	jsonly  bool   // there is no such thing in MessagePack
	opening bool   // on a connection without a session
}

func message(data string) string { return envelope("message:send", "channel:x", "b", data) }

func str(n int) string { return quoted(strings.Repeat("x", n)) }

func times64(s string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(s+",", n), ",") + "]"
}

const ping = `{"type":"event","id":"b","payload":{"action":"session:ping"}}`

func badFrames() []bad {
	raw := func(op byte, payload string) func(*client) {
		return func(c *client) { c.raw(op, []byte(payload)) }
	}
	wire := func(p ...byte) func(*client) { return func(c *client) { c.write(p) } }
	return []bad{
		{name: "garbage", send: raw(opText, "hello?"), code: "malformed", jsonly: true},
		{name: "empty frame", send: raw(opText, ""), code: "malformed", jsonly: true},
		{name: "half an envelope", send: raw(opText, `{"type":"event","id":"b",`), code: "malformed", jsonly: true},
		{name: "two envelopes", send: raw(opText, ping+ping), code: "malformed", jsonly: true},
		{name: "a number", js: `1`, code: "malformed"},
		{name: "null", js: `null`, code: "malformed"},
		{name: "empty batch", js: `[]`, code: "malformed"},
		{name: "batch of numbers", js: `[1,2]`, code: "malformed"},
		{name: "batch of batches", js: `[[` + ping + `]]`, code: "malformed"},
		{name: "batch of 65", js: times64(ping, 65), code: "too_large", says: "64"},
		{name: "frame of the other kind", send: func(c *client) {
			op := byte(opBinary)
			if c.packed {
				op = opText
			}
			c.raw(op, []byte(ping))
		}, code: "malformed", says: "other kind of frame"},
		{name: "deep", js: envelope("message:send", "channel:x", "b", `{"body":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`), code: "malformed", says: "deep"},
		{name: "deep and ignored", js: `{"type":"event","x":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, code: "malformed", jsonly: true},
		{name: "invalid UTF-8", send: raw(opText, "{\"type\":\"event\",\"id\":\"\xff\"}"), closed: 1007, jsonly: true},
		{name: "giant", send: func(c *client) { c.write(masked(opText, bytes.Repeat([]byte(" "), 65537))[:14]) }, closed: 1009},
		{name: "giant in pieces", send: func(c *client) {
			p := masked(opText, bytes.Repeat([]byte(" "), 40000))
			p[0] = opText // not final
			c.write(p)
			p[0] = 0x80 // continuation, final
			c.write(p)
		}, closed: 1009, jsonly: true},
		{name: "not masked", send: wire(0x81, 2, '{', '}'), closed: 1002},
		{name: "reserved bit", send: wire(0xc1, 0x80, 0, 0, 0, 0), closed: 1002},
		{name: "unknown opcode", send: wire(0x83, 0x80, 0, 0, 0, 0), closed: 1002},
		{name: "long ping", send: func(c *client) { c.raw(opPing, make([]byte, 126)) }, closed: 1002},
		{name: "continuation of nothing", send: wire(0x80, 0x80, 0, 0, 0, 0), closed: 1002},
	}
}

func badEnvelopes() []bad {
	with := func(field, value string) string {
		return `{"id":"b","type":"event","room":"channel:x","payload":{"action":"message:send","data":{"text":"x"}},` + quoted(field) + ":" + value + "}"
	}
	typed := func(field, value string) string { return strings.Replace(with("_", "0"), field, value, 1) }
	return []bad{
		{name: "version 2", js: with("v", "2"), code: "unsupported_version", field: "v", says: "supported: 1"},
		{name: "version of words", js: with("v", `"1"`), code: "invalid", field: "v"},
		{name: "version 1.5", js: with("v", `1.5`), code: "invalid", field: "v"},
		{name: "type is a number", js: typed(`"event"`, `1`), code: "invalid", field: "type"},
		{name: "type is error", js: typed(`"event"`, `"error"`), code: "invalid", field: "type"},
		{name: "type is unknown", js: typed(`"event"`, `"shout"`), code: "invalid", field: "type"},
		{name: "no type", js: typed(`"type":"event",`, ``), code: "invalid", field: "type"},
		{name: "id is a number", js: typed(`"b"`, `7`), code: "invalid", field: "id"},
		{name: "id of 65 bytes", js: typed(`"b"`, str(65)), code: "invalid", field: "id"},
		{name: "id not ASCII", js: typed(`"b"`, `"é"`), code: "invalid", field: "id"},
		{name: "room is an array", js: typed(`"channel:x"`, `[]`), code: "invalid", field: "room"},
		{name: "no room", js: typed(`"room":"channel:x",`, ``), code: "invalid", field: "room"},
		{name: "room without a type", js: typed(`"channel:x"`, `"x"`), code: "invalid", field: "room"},
		{name: "room with a space", js: typed(`"channel:x"`, `"channel:a b"`), code: "invalid", field: "room"},
		{name: "room with capitals in its type", js: typed(`"channel:x"`, `"Channel:x"`), code: "invalid", field: "room"},
		{name: "room that is a path", js: typed(`"channel:x"`, `"channel:x/y/z"`), code: "invalid", field: "room"},
		{name: "room with a NUL", js: typed(`"channel:x"`, `"channel:x\u0000"`), code: "invalid", field: "room"},
		{name: "room too long", js: typed(`"channel:x"`, quoted("channel:"+strings.Repeat("x", 129))), code: "invalid", field: "room"},
		{name: "payload is a string", js: typed(`{"action":"message:send","data":{"text":"x"}}`, `"x"`), code: "invalid", field: "payload"},
		{name: "no payload", js: typed(`"payload":{"action":"message:send","data":{"text":"x"}},`, ``), code: "invalid", field: "payload"},
		{name: "no action", js: typed(`"action":"message:send",`, ``), code: "invalid", field: "payload.action"},
		{name: "action is null", js: typed(`"message:send"`, `null`), code: "invalid", field: "payload.action"},
		{name: "unknown action", js: typed(`message:send`, `message:shout`), code: "unknown_action", field: "payload.action", says: "message:shout"},
		{name: "action of the server", js: typed(`message:send`, `room:added`), code: "unknown_action", field: "payload.action"},
		{name: "ack as an action", js: typed(`message:send`, `session:ack`), code: "unknown_action", field: "payload.action"},
		{name: "data is an array", js: typed(`{"text":"x"}`, `[]`), code: "invalid", field: "payload.data"},
		{name: "field twice", js: `{"type":"event","id":"b","id":"c","payload":{"action":"session:ping"}}`, code: "malformed", field: "id", jsonly: true},
		{name: "room not joined", js: typed(`channel:x`, `channel:y`), code: "forbidden", field: "room"},
		{name: "ack without a position", js: `{"type":"ack","id":"b","room":"channel:x"}`, code: "invalid", field: "epoch"},
		{name: "ack of a negative offset", js: `{"type":"ack","id":"b","room":"channel:x","epoch":"e","offset":-1}`, code: "invalid", field: "offset"},
		{name: "ack of a huge offset", js: `{"type":"ack","id":"b","room":"channel:x","epoch":"e","offset":9007199254740992}`, code: "invalid", field: "offset"},
		{name: "ack of a room not joined", js: `{"type":"ack","id":"b","room":"channel:y","epoch":"e","offset":1}`, code: "forbidden", field: "room"},
		{name: "open twice", js: envelope("session:open", "", "b", "{}"), code: "conflict", field: "payload.action"},
		{name: "resume of an open session", js: envelope("session:resume", "", "b", `{"session":"x","resume_token":"x"}`), code: "conflict", field: "payload.action"},
		{name: "send before open", opening: true, js: message(`{"text":"x"}`), code: "session_required", field: "payload.action"},
		{name: "ack before open", opening: true, js: `{"type":"ack","id":"b","room":"channel:x","epoch":"e","offset":1}`, code: "session_required", field: "payload.action"},
		{name: "open without a token", opening: true, js: envelope("session:open", "", "b", "{}"), code: "unauthenticated", field: "data.token"},
		{name: "open with a number as token", opening: true, js: envelope("session:open", "", "b", `{"token":1}`), code: "unauthenticated", field: "data.token"},
		{name: "open with no token at all", opening: true, js: envelope("session:open", "", "b", `{"token":"a.b.c"}`), code: "unauthenticated", field: "data.token"},
	}
}

func badData() []bad {
	object := func(n int) string { return `{"k":` + str(n) + `}` }
	return []bad{
		{name: "neither text nor body", js: message(`{}`), code: "invalid", field: "data.text"},
		{name: "text is a number", js: message(`{"text":1}`), code: "invalid", field: "data.text"},
		{name: "text is null", js: message(`{"text":null}`), code: "invalid", field: "data.text"},
		{name: "text too large", js: message(`{"text":` + str(8193) + `}`), code: "too_large", field: "data.text"},
		{name: "body too large", js: message(`{"body":` + str(32767) + `}`), code: "too_large", field: "data.body"},
		{name: "mentions is a string", js: message(`{"text":"x","mentions":"ben"}`), code: "invalid", field: "data.mentions"},
		{name: "mentions of no user", js: message(`{"text":"x","mentions":["ben","a b"]}`), code: "invalid", field: "data.mentions[1]"},
		{name: "51 mentions", js: message(`{"text":"x","mentions":` + times64(`"ben"`, 51) + `}`), code: "too_large", field: "data.mentions"},
		{name: "meta is an array", js: message(`{"text":"x","meta":[]}`), code: "invalid", field: "data.meta"},
		{name: "meta too large", js: message(`{"text":"x","meta":` + object(4090) + `}`), code: "too_large", field: "data.meta"},
		{name: "ttl of 0", js: message(`{"text":"x","ttl_ms":0}`), code: "invalid", field: "data.ttl_ms"},
		{name: "ttl is a fraction", js: message(`{"text":"x","ttl_ms":1.5}`), code: "invalid", field: "data.ttl_ms"},
		{name: "ttl of more than a week", js: message(`{"text":"x","ttl_ms":604800001}`), code: "invalid", field: "data.ttl_ms"},
		{name: "ephemeral is a number", js: message(`{"text":"x","ephemeral":1}`), code: "invalid", field: "data.ephemeral"},
		{name: "text twice", js: message(`{"text":"x","text":"y"}`), code: "invalid", field: "data.text", jsonly: true},
		{name: "read of nothing", js: envelope("message:read", "channel:x", "b", `{}`), code: "invalid", field: "data.offset"},
		{name: "read ahead", js: envelope("message:read", "channel:x", "b", `{"offset":99}`), code: "invalid", field: "data.offset"},
		{name: "members of no user", js: envelope("room:create", "conv:b", "b", `{"members":["a/b"]}`), code: "invalid", field: "data.members[0]"},
		{name: "101 members", js: envelope("room:create", "conv:b", "b", `{"members":`+times64(`"ben"`, 101)+`}`), code: "too_large", field: "data.members"},
		{name: "create of a channel", js: envelope("room:create", "channel:b", "b", `{}`), code: "invalid", field: "room"},
		{name: "create of an unknown type", js: envelope("room:create", "ship:b", "b", `{}`), code: "not_found", field: "room"},
		{name: "join since a string", js: envelope("room:join", "channel:x", "b", `{"since":"x"}`), code: "invalid", field: "data.since"},
		{name: "join since half a position", js: envelope("room:join", "channel:x", "b", `{"since":{"epoch":"e"}}`), code: "invalid", field: "data.since.offset"},
		{name: "join of another's room", js: envelope("room:join", "user:ben", "b", `{}`), code: "forbidden", field: "room"},
		{name: "history of 201", js: envelope("room:history", "channel:x", "b", `{"limit":201}`), code: "invalid", field: "data.limit"},
		{name: "history after and before", js: envelope("room:history", "channel:x", "b", `{"after":1,"before":2}`), code: "invalid", field: "data.after"},
	}
}

// TestBadInput sends what nobody should, in both dialects: the error is exact, the
// node serves on, and nothing is stored.
func TestBadInput(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.control_rate=100000")
	witness := n.open(t, dial{user: "witness"})
	witness.do("room:join", "channel:x", "{}")
	witness.do("message:send", "channel:x", `{"text":"the only one"}`)
	stored := n.stored()
	cases := append(append(badFrames(), badEnvelopes()...), badData()...)
	for _, d := range []dialect{"json", packed} {
		for _, b := range cases {
			if b.jsonly && d == packed {
				continue
			}
			t.Run(string(d)+"/"+b.name, func(t *testing.T) {
				b.check(t, n, d)
				witness.t = t
				witness.do("session:ping", "", "{}")
			})
		}
	}
	witness.t = t
	if now := n.stored(); now != stored || len(n.records("acme", "channel:x")) != 1 || len(n.records("acme", "conv:b")) != 0 {
		t.Errorf("%d events are stored, %d were", now, stored)
	}
	if body := n.admin("/metrics").body; strings.Contains(body, "heddle_panics_total 1") || strings.Contains(n.log.text(), "panic") {
		t.Errorf("something panicked: %s", n.log.text())
	}
}

func (b *bad) check(t *testing.T, n *node, d dialect) {
	token := ""
	if b.opening {
		token = "-"
	}
	c := n.connect(t, dial{user: "mallory", dialect: d, token: token})
	if !b.opening {
		c.do("session:open", "", `{"rooms":["channel:x"]}`)
	}
	if b.send != nil {
		b.send(c)
	} else {
		c.text(b.js)
	}
	if b.closed != 0 {
		if e := c.ends(b.closed); e.reason == "" {
			t.Errorf("closed without a reason")
		}
		return
	}
	e := c.must()
	if got := e.Payload.Data; e.Type != "error" || got.Code != b.code || got.Field != b.field || !strings.Contains(got.Message, b.says) || got.Message == "" || got.Retryable {
		t.Errorf("got %s, want %s in %q", e.js, b.code, b.field)
	}
	if b.js != "" && b.code != "malformed" && b.code != "too_large" && b.field != "id" && e.Ref != "b" {
		t.Errorf("the error does not say what it answers: %s", e.js)
	}
	// The connection goes on.
	if b.opening {
		c.do("session:open", "", `{"token":`+quoted(mint(t, claims("acme", "mallory")))+`}`)
	}
	c.do("session:ping", "", "{}")
}

func TestTooManyUnreadableFrames(t *testing.T) {
	t.Parallel()
	n := serve(t, "session.malformed=3")
	for name, send := range map[string]func(c *client){
		"frames of the other kind": func(c *client) { c.raw(opBinary, []byte("x")) },
		"batches of nothing":       func(c *client) { c.raw(opText, []byte("[]")) },
		"garbage":                  func(c *client) { c.raw(opText, []byte("x")) },
	} {
		c := n.open(t, dial{user: "ann"})
		for range 3 {
			send(c)
		}
		if e := c.ends(4400); !strings.HasPrefix(e.reason, "malformed") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// TestRefusedHandshakes shows bad tokens in every place that takes one.
func TestRefusedHandshakes(t *testing.T) {
	t.Parallel()
	n := serve(t, "socket.query_token=true")
	good := mint(t, claims("acme", "ann"))
	forged := good[:len(good)-4] + "AAAA"
	old := claims("acme", "ann")
	old.Expires = time.Now().Add(-time.Second)
	expired := mint(t, old)
	wrong, err := authenticate.Mint([]byte(secrets["globex"]), "k1", claims("acme", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{"unauthenticated": 4401, "token_expired": 4402}
	for _, tc := range []struct{ name, token, code string }{
		{"forged", forged, "unauthenticated"},
		{"expired", expired, "token_expired"},
		{"of another tenant's key", wrong, "unauthenticated"},
		{"of an unknown tenant", mintUnknown(t), "unauthenticated"},
		{"not a token", "x.y.z", "unauthenticated"},
		{"alg none", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJ0ZW5hbnQiOiJhY21lIiwiZXhwIjo5OTk5OTk5OTk5fQ.", "unauthenticated"},
	} {
		for place, d := range map[string]dial{
			"subprotocol": {token: tc.token}, "header": {token: tc.token, header: true}, "query": {token: "-", query: "?token=" + tc.token},
		} {
			t.Run(tc.name+"/"+place, func(t *testing.T) {
				c, no := n.try(t, d)
				if place == "subprotocol" { // browsers do not show the status of a refused handshake
					c.ends(codes[tc.code])
					return
				}
				if no == nil || no.status != 401 || !strings.Contains(no.body, `"code":"`+tc.code+`"`) {
					t.Errorf("%+v, want 401 %s", no, tc.code)
				}
			})
		}
		t.Run(tc.name+"/first message", func(t *testing.T) {
			c := n.connect(t, dial{token: "-"})
			c.send(envelope("session:open", "", "b", `{"token":`+quoted(tc.token)+`}`))
			e := c.must()
			if e.Payload.Data.Code != tc.code || e.Payload.Data.Field != "data.token" {
				t.Errorf("%s, want %s", e.js, tc.code)
			}
			c.do("session:open", "", `{"token":`+quoted(good)+`}`)
		})
	}
	// The first place that has one counts, good or not.
	c, no := n.try(t, dial{token: good, extra: "Authorization: Bearer " + forged + "\r\n"})
	if no != nil {
		t.Errorf("%+v", no)
	} else {
		c.do("session:open", "", "{}")
	}
	n.connect(t, dial{token: forged, query: "?token=" + good}).ends(4401)
	for origin, want := range map[string]int{
		"https://evil.example.com": 403, "null": 403, "https://app.example.com.evil.com": 403, "http://app.example.com": 403, "https://app.example.com": 101,
	} {
		_, no := n.try(t, dial{user: "ann", origin: origin})
		if got := status(no); got != want || want == 403 && !strings.Contains(no.body, `"code":"forbidden"`) {
			t.Errorf("origin %s: %+v, want %d", origin, no, want)
		}
	}
	n.open(t, dial{user: "ann"})
}

func status(no *refusal) int {
	if no == nil {
		return 101
	}
	return no.status
}

func mintUnknown(t *testing.T) string {
	token, err := authenticate.Mint([]byte(secrets["acme"]), "k1", claims("initech", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestSlowHandshake sends the head of a request one byte at a time. Whoever is as slow
// only now and then tries again, and comes in.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	n := serve(t, "socket.handshake.timeout=300ms", "session.open_timeout=300ms")
	start := time.Now() // not after the node's
	nc, err := net.Dial("tcp", n.app.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	cut := make(chan struct{})
	go func() { // ends with the connection
		defer close(cut)
		_, _ = io.Copy(io.Discard, nc)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for head := "GET /v1/ws HTTP/1.1\r\nX: " + strings.Repeat("x", 1000); ; head = head[1:] {
		if _, err := nc.Write([]byte{head[0]}); err != nil {
			break
		}
		select {
		case <-cut:
		case <-tick.C:
			if time.Since(start) > patience {
				t.Fatal("it goes on for ever")
			}
			continue
		}
		break
	}
	if d := time.Since(start); d < 250*time.Millisecond {
		t.Errorf("cut after %v already", d)
	}
	// Somebody who shakes hands and then says nothing.
	var c *client
	eventually(t, "hands are shaken", func() bool {
		c, _, err = n.shake(t, dial{user: "ann"})
		return err == nil
	})
	if e := c.ends(4007); e.reason != "handshake_timeout: no session was opened" {
		t.Error(e)
	}
	eventually(t, "a session is open", func() bool {
		c, _, err := n.shake(t, dial{user: "ann"})
		if err != nil {
			return false
		}
		c.send(envelope("session:open", "", "o", "{}"))
		js, err := c.next()
		return err == nil && parse(t, js).Type == "ack"
	})
}

// TestClientThatNeverReads asks for a lot and takes none of it.
func TestClientThatNeverReads(t *testing.T) {
	t.Parallel()
	n := serve(t, "socket.queue.bytes=256KiB", "deliver.page_bytes=128KiB", "socket.queue.write_timeout=500ms", "socket.close_timeout=300ms", "limit.message_burst=100000", "limit.query_burst=100000")
	c := n.open(t, dial{user: "slow"})
	c.do("room:join", "channel:x", "{}")
	ben := n.open(t, dial{user: "ben"})
	ben.do("room:join", "channel:x", "{}")
	batch := times64(envelope("message:send", "channel:x", "", `{"text":`+str(8000)+`}`), 7)
	for i := 0; len(n.connections("acme", "slow")) > 0; i++ {
		if i > 1000 {
			t.Fatal("the slow client is kept for ever")
		}
		ben.text(batch)
		for range 7 {
			if _, err := ben.receive(); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "nothing waits any more", func() bool { return strings.Contains(n.admin("/metrics").body, "\nheddle_queue_bytes 0\n") })
	if body := n.admin("/metrics").body; !strings.Contains(body, `heddle_connections_closed_total{reason="slow_consumer"} 1`) {
		t.Error("slow_consumer is not counted")
	}
	for {
		_, err := c.next()
		var e *closed
		if errors.As(err, &e) {
			if e.code != 4001 {
				t.Error(e)
			}
			return
		}
		if err != nil {
			return // it was cut: the client did not even take the close frame in time
		}
	}
}

// TestFlood goes on in spite of refusals.
func TestFlood(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.message_rate=0.01", "limit.message_burst=5", "limit.close_after=10")
	c := n.open(t, dial{user: "ann"})
	c.do("room:join", "channel:x", "{}")
	stored := n.stored()
	for i := range 14 {
		c.send(envelope("message:send", "channel:x", fmt.Sprint(i), `{"text":"x"}`))
	}
	for i := range 14 {
		e := c.answer(fmt.Sprint(i))
		if i < 5 && e.Type != "ack" {
			t.Error(e.js)
		}
		if d := e.Payload.Data; i >= 5 && (d.Code != "rate_limited" || !d.Retryable || d.RetryAfter <= 0) {
			t.Error(e.js)
		}
	}
	c.send(envelope("message:send", "channel:x", "last", `{"text":"x"}`))
	if e := c.ends(4029); !strings.HasPrefix(e.reason, "rate_limited") {
		t.Error(e)
	}
	if now := n.stored() - stored; now != 5 {
		t.Errorf("%d events are stored", now)
	}
	// Another connection has a budget of its own, and another class too.
	d := n.open(t, dial{user: "ann"})
	d.do("room:join", "channel:x", "{}")
	d.do("message:send", "channel:x", `{"text":"x"}`)
}
