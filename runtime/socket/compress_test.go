package socket

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/heddle-rt/heddle/runtime/frame"
)

const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

func squeeze(t *testing.T, p []byte) string {
	t.Helper()
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, 9)
	_, _ = w.Write(p)
	_ = w.Flush()
	return strings.TrimSuffix(buf.String(), "\x00\x00\xff\xff")
}

func inflate(t *testing.T, p []byte) string {
	t.Helper()
	r := flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func compressing(c *Config, _ *Deps) { c.Compression.Enabled = true }

func TestDeflate(t *testing.T) {
	a := newApp()
	s := serve(t, a, compressing)
	c, plain := connect(t, s), upgrade(t, s)
	r := c.ask(request("/v1/ws", offer))
	if got := r.Header.Get("Sec-Websocket-Extensions"); got != extension {
		t.Fatalf("extension %q", got)
	}
	text := strings.Repeat("compress me ", 100)
	c.send(0xc1, squeeze(t, []byte(text)))
	first, p, err := c.next()
	if err != nil || first != 0xc1 || len(p) > 100 || inflate(t, p) != text {
		t.Errorf("%#x, %d bytes, %v", first, len(p), err)
	}
	c.send(0x81, "short")
	c.expect(0x81, "short")
	plain.send(0x81, text)
	plain.expect(0x81, text)
}

func TestDeflateIsOffByDefault(t *testing.T) {
	s := serve(t, newApp(), nil)
	c := connect(t, s)
	if r := c.ask(request("/v1/ws", offer)); r.Header.Get("Sec-Websocket-Extensions") != "" {
		t.Error("negotiated")
	}
	c.send(0xc1, squeeze(t, []byte("x")))
	c.expectClose(1002, "malformed: not RFC 6455")
}

func TestInflatingIsBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		message string
		code    uint16
		reason  string
	}{
		"bomb":    {squeeze(t, make([]byte, 16<<20)), 1009, "too_large: inflated"},
		"garbage": {"\xff\xff\xff\xff", 1007, "malformed: not deflated data"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, newApp(), compressing)
			c := upgrade(t, s, offer)
			c.send(0xc2, tc.message)
			c.expectClose(tc.code, tc.reason)
			_ = c.Close()
		})
	}
}

func TestAFrameIsDeflatedOnce(t *testing.T) {
	a := newApp()
	s := serve(t, a, compressing)
	n := 0
	deflate := s.deflate
	s.deflate = func(p []byte) []byte { n++; return deflate(p) }
	var conns []*Conn
	var clients []*client
	for range 5 {
		clients = append(clients, upgrade(t, s, offer))
		conns = append(conns, receive(t, "open", a.opened))
	}
	f := message(strings.Repeat("again ", 200), frame.Durable, "")
	for _, c := range conns {
		c.Push(f)
	}
	for _, c := range clients {
		if got := inflate(t, []byte(c.message())); got != strings.Repeat("again ", 200) {
			t.Errorf("%.20q", got)
		}
	}
	if n != 1 {
		t.Errorf("deflated %d times", n)
	}
}

func TestOffers(t *testing.T) {
	for offer, want := range map[string]bool{
		"permessage-deflate":                                                true,
		"permessage-deflate; client_max_window_bits=10":                     true,
		"permessage-deflate; server_max_window_bits=10":                     false,
		`permessage-deflate; server_max_window_bits="15"`:                   true,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate": true,
		"permessage-deflate; unheard_of":                                    false,
		"x-webkit-deflate-frame":                                            false,
	} {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Extensions": {offer}}}
		if got := negotiate(r, true); got != want || (r.Header.Get("Sec-WebSocket-Extensions") != "") != want {
			t.Errorf("%s: %v", offer, got)
		}
	}
}
