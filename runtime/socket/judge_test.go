package socket

import (
	"net/http"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestJudge: a connection that begins over plain HTTP meets what a WebSocket's
// handshake does.
func TestJudge(t *testing.T) {
	s, err := New(defaults(t), Deps{Handler: newApp()})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(edit func(*Config), from string, header ...string) (*Handshake, error) {
		cfg := defaults(t)
		cfg.Proxies.Trusted = []string{"192.0.2.1"}
		cfg.Handshake.RatePerIP, cfg.Handshake.BurstPerIP = 0.001, 1
		if edit != nil {
			edit(&cfg)
		}
		if s, err = New(cfg, Deps{Handler: newApp()}); err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("GET", "http://example.com/v1/poll/?a=b&token=q", nil)
		r.RemoteAddr = from
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		h, err := s.Judge(r)
		if _, again := s.Judge(r); err == nil && !fault.Is(again, fault.RateLimited) {
			t.Errorf("the rate is not asked for: %v", again)
		}
		return h, err
	}
	for _, tt := range []struct {
		name          string
		edit          func(*Config)
		from          string
		header        []string
		remote, token string
		kind          fault.Kind
	}{
		{"plain", nil, "198.51.100.7:1234", nil, "198.51.100.7:1234", "", 0},
		{"token", nil, "198.51.100.7:1234", []string{"Authorization", "bearer x"}, "198.51.100.7:1234", "x", 0},
		{"token of the query", func(c *Config) { c.QueryToken = true }, "[2001:db8::1]:1", nil, "[2001:db8::1]:1", "q", 0},
		{"a proxy", nil, "192.0.2.1:1", []string{"X-Forwarded-For", "1.2.3.4, 203.0.113.9"}, "203.0.113.9:0", "", 0},
		{"no proxy", nil, "192.0.2.2:1", []string{"X-Forwarded-For", "203.0.113.9"}, "192.0.2.2:1", "", 0},
		{"own origin", nil, "192.0.2.2:1", []string{"Origin", "http://example.com"}, "192.0.2.2:1", "", 0},
		{"foreign origin", nil, "192.0.2.2:1", []string{"Origin", "http://example.org"}, "", "", fault.Forbidden},
	} {
		h, err := ask(tt.edit, tt.from, tt.header...)
		if tt.kind != 0 {
			if !fault.Is(err, tt.kind) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil || h.Remote.String() != tt.remote || h.Token != tt.token || h.Path != "/v1/poll/" || h.Query != "a=b&token=q" || h.Host != "example.com" {
			t.Errorf("%s: %+v %v", tt.name, h, err)
		}
	}
}

// TestQuietConnection is sent no pings, and is not closed for silence; what somebody
// else measures counts.
func TestQuietConnection(t *testing.T) {
	a := newApp()
	a.admit = func(h *Handshake) (any, error) { h.Quiet = h.Query == "quiet"; return nil, nil }
	grades := make(chan Grade, 10)
	s := serve(t, a, func(c *Config, d *Deps) {
		beating(40*time.Millisecond, 2)(c, d)
		d.OnQuality = func(_ *Conn, q Quality) { grades <- q.Grade }
	})
	c := connect(t, s)
	c.ask(request("/v1/ws?quiet"))
	quiet := receive(t, "open", a.opened)
	loud := upgrade(t, s)
	receive(t, "open", a.opened)
	loud.expectClose(4002, "heartbeat_timeout")
	_ = loud.Close()
	receive(t, "closed", a.closed)
	c.send(0x81, "x")
	c.expect(0x81, "x")
	for len(grades) > 0 {
		<-grades
	}
	quiet.Measured(300 * time.Millisecond)
	if g := receive(t, "grade", grades); g != Fair {
		t.Errorf("%v", g)
	}
	if q := quiet.Quality(); q.RTT != 300*time.Millisecond || q.Missed != 0 {
		t.Errorf("%+v", q)
	}
}

// TestWhatWaitsElsewhere counts to the node's budget, and gives up its share.
func TestWhatWaitsElsewhere(t *testing.T) {
	given := make(chan int64, 1000)
	var s *Server
	s = serve(t, newApp(), func(c *Config, d *Deps) {
		c.Queue.NodeBytes = 1000
		d.Relieve = func(n int64) { s.Hold(-n); given <- n }
	})
	s.Hold(800)
	eventually(t, "pressure", s.Shedding)
	s.Hold(400)
	if n := receive(t, "relief", given); n != 450 { // down to three quarters
		t.Errorf("gave up %d", n)
	}
	s.Hold(-750)
	eventually(t, "the end of pressure", func() bool { return !s.Shedding() })
}
