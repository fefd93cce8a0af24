package app

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestSocketIOBadInput sends what the protocol forbids, and looks that nothing stays.
func TestSocketIOBadInput(t *testing.T) {
	t.Parallel()
	n := serve(t)
	event := func(n int) string {
		return `42["message:send",{"room":"channel:x","text":"` + strings.Repeat("x", n) + `"}]`
	}
	for _, c := range []struct {
		name  string
		raw   bool // without a namespace
		send  []string
		close int
	}{
		{"no packet", false, []string{"4"}, 4400},
		{"a strange type", false, []string{"47"}, 4400},
		{"a server's packet", false, []string{`44{"message":"x"}`}, 4400},
		{"no array", false, []string{`42{"a":1}`}, 4400},
		{"an empty event", false, []string{`42[]`}, 4400},
		{"not JSON", false, []string{`42["a",`}, 4400},
		{"deep", false, []string{`42["a",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]`}, 4400},
		{"deep with an attachment", false, []string{`451-["a",` + strings.Repeat("[", 20000) + `{"_placeholder":true,"num":0}` + strings.Repeat("]", 20000) + `]`, "bAQI="}, 4400},
		{"an id of too many digits", false, []string{`421234567890123456["session:ping"]`}, 4400},
		{"an event before CONNECT", true, []string{`42["session:ping"]`}, 4400},
		{"DISCONNECT before CONNECT", true, []string{`41`}, 4400},
		{"an ack before CONNECT", true, []string{`430[]`}, 4400},
		{"another namespace's event", false, []string{`42/voice,["session:ping"]`}, 4400},
		{"CONNECT with an id", true, []string{`401{}`}, 4400},
		{"CONNECT with an array", true, []string{`40[]`}, 4400},
		{"CONNECT that is not JSON", true, []string{`40{"token"}`}, 4400},
		{"an attachment before its packet", false, []string{"bAQI="}, 4400},
		{"an attachment too many", false, []string{`451-["session:ping",{"a":{"_placeholder":true,"num":0}}]`, "bAQI=", "bAQI="}, 4400},
		{"an event in the place of an attachment", false, []string{`451-["session:ping",{"a":{"_placeholder":true,"num":0}}]`, `42["session:ping"]`}, 4400},
		{"an attachment that stands nowhere", false, []string{`451-["session:ping",{}]`, "bAQI="}, 4400},
		{"one that stands twice", false, []string{`451-["session:ping",{"a":{"_placeholder":true,"num":0},"b":{"_placeholder":true,"num":0}}]`, "bAQI="}, 4400},
		{"too many attachments", false, []string{`411-["session:ping"]`, `4511-["session:ping"]`}, 4400},
		{"eleven attachments", false, []string{`4511-["session:ping"]`}, 4413},
		{"attachments without end", false, []string{`459999-["session:ping"]`}, 4413},
		{"a packet of 64 KiB", false, []string{event(64 << 10)}, -1},
		{"attachments of more", false, []string{`452-["session:ping",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]`, "b" + strings.Repeat("AAAA", 10<<10), "b" + strings.Repeat("AAAA", 12<<10)}, 4413},
		{"namespaces without end", false, strings.Split(strings.TrimSpace(strings.Repeat("40/none, ", 20)), " "), 4400},
		{"a long namespace", false, []string{"40/" + strings.Repeat("n", 1000) + ","}, 4400},
	} {
		for _, by := range carriers {
			s, err := n.engine(t, "ann", by, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !c.raw {
				s.welcome("/", "")
			}
			for _, p := range c.send {
				if s.ws == nil {
					_, _, err = s.ask(http.MethodPost, s.url, p, nil) // refused once the connection is over
				} else {
					s.ws.over = true
					s.write(p)
				}
			}
			if err != nil {
				t.Fatal(c.name, err)
			}
			s.t = named{t, c.name + " by " + string(by)}
			s.ends(c.close)
			s.leave()
		}
	}
	n.quiet(t)
}

// named says which case fails.
type named struct {
	testing.TB
	name string
}

func (t named) Fatalf(format string, args ...any) {
	t.TB.Helper()
	t.TB.Fatalf(t.name+": "+format, args...)
}

// TestSocketIOUnfinished leaves undone what it began.
func TestSocketIOUnfinished(t *testing.T) {
	t.Parallel()
	n := serve(t, "socketio.connect_timeout=300ms")
	for _, c := range []struct {
		name string
		do   func(s *pieces)
	}{
		{"no CONNECT", func(*pieces) {}},
		{"a refused CONNECT", func(s *pieces) { s.write(`40{"token":"x"}`) }},
		{"a namespace that is not there", func(s *pieces) { s.write(`40/none,`) }},
		{"goodbye to the only namespace", func(s *pieces) {
			s.welcome("/", "")
			s.write("41")
		}},
		{"attachments that never come", func(s *pieces) {
			s.welcome("/", "")
			s.write(`452-["session:ping",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]`, "bAQI=")
		}},
	} {
		for _, by := range carriers {
			s, err := n.engine(t, "ann", by, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.t = named{t, c.name + " by " + string(by)}
			c.do(s)
			s.ends(4007)
		}
	}
	// Who has a namespace is left alone, also when it has waited for another one.
	s := n.talker(t, "ann", byWebSocket)
	for range 3 {
		s.write(`40/voice,{"token":"x"}`)
		s.await("CONNECT_ERROR", func(p packet5) bool { return p.kind == '4' })
		s.write(`451-["session:ping",{"a":{"_placeholder":true,"num":0}}]`, "bAQI=")
	}
	u, err := n.engine(t, "ben", byWebSocket, nil)
	if err != nil {
		t.Fatal(err)
	}
	u.ends(4007) // the same time has passed
	s.do("/", `["session:ping"]`)
	s.leave()
	n.quiet(t)
}

// TestSocketIOFloodOfNamespaces connects and disconnects as fast as it can.
func TestSocketIOFloodOfNamespaces(t *testing.T) {
	t.Parallel()
	n := serve(t)
	before := runtime.NumGoroutine()
	for _, by := range []carrier{byWebSocket, byPolling} {
		s, err := n.engine(t, "ann", by, nil)
		if err != nil {
			t.Fatal(err)
		}
		connect := "40/voice," + `{"token":` + quoted(mint(t, claims("acme", "ann"))) + "}"
		opened := n.app.sessions.SessionsOpened.Load()
		if s.ws != nil {
			s.ws.over = true
		}
		for range 100 {
			if s.ws == nil {
				_, _, _ = s.ask(http.MethodPost, s.url, connect+"\x1e41/voice,", nil) // refused in the end
			} else {
				s.write(connect, "41/voice,")
			}
		}
		s.ends(-1)
		if made := n.app.sessions.SessionsOpened.Load() - opened; made < 10 || made > 40 {
			t.Errorf("%d sessions were opened by %s", made, by)
		}
		s.leave()
	}
	n.quiet(t)
	eventually(t, "its goroutines are gone", func() bool { return runtime.NumGoroutine() < before+200 })
}

// TestSocketIOThatNeverReads connects and does not take what it is sent.
func TestSocketIOThatNeverReads(t *testing.T) {
	t.Parallel()
	n := chatty(t, "socket.queue.bytes=256KiB", "deliver.page_bytes=128KiB", "socket.queue.write_timeout=500ms", "socket.close_timeout=300ms")
	ben := n.open(t, dial{user: "ben"})
	ben.do("room:join", "channel:x", "{}")
	for _, by := range carriers {
		s := n.talker(t, "slow", by)
		s.do("/", `["room:join",{"room":"channel:x"}]`)
		for i := 0; len(n.connections("acme", "slow")) > 0; i++ {
			if i > 10000 {
				t.Fatal("the slow client is kept for ever")
			}
			say(ben, "channel:x", strings.Repeat("x", 8000))
		}
		s.drop()
	}
	ben.drop()
	n.quiet(t)
	body := n.admin("/metrics").body
	if !strings.Contains(body, "\nheddle_queue_bytes 0\n") {
		t.Error("something waits still")
	}
}

// TestSocketIOPollsWithoutEnd: a client that polls and says nothing else ends with the
// heartbeat, and one that vanishes too.
func TestSocketIOPollsWithoutEnd(t *testing.T) {
	t.Parallel()
	n := serve(t, "engineio.ping_interval=200ms", "engineio.ping_timeout=200ms")
	for i := range 20 {
		s := n.talker(t, fmt.Sprint("user-", i), byPolling)
		if i%2 == 0 {
			for { // takes the pings, and does not answer
				m, err := s.any()
				if err != nil || m.text == "1" {
					break
				}
			}
		}
		s.web.CloseIdleConnections()
	}
	n.quiet(t)
}

// TestSocketIOAbuseCountsAgainstTheAddress: who sends what is no packet, of Engine.IO or
// of Socket.IO, is turned away before long, by every transport.
func TestSocketIOAbuseCountsAgainstTheAddress(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string]string{"of Engine.IO": "x", "of Socket.IO": "47"} {
		for _, by := range []carrier{byPolling, byWebSocket} {
			n := serve(t, "limit.score.malformed=10", "limit.score.ip.ban=35")
			for i := range 5 {
				s, err := n.engine(t, "ann", by, nil)
				if turned := err != nil; turned != (i == 4) {
					t.Fatalf("%s by %s, connection %d: %v", name, by, i, err)
				} else if turned {
					break
				}
				if s.ws == nil {
					_, _, err = s.ask(http.MethodPost, s.url, packet, nil)
				} else {
					s.write(packet)
				}
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "it is counted", func() bool { return n.app.suspects.Stats().Noted["malformed"] == uint64(i)+1 })
				s.leave()
			}
		}
	}
}

// TestSocketIOAbuseCountsAgainstTheUser: once a session is open, it is its user who is
// turned away, and the address for users of that tenant alone. What the session cannot
// read counts once, and what is too much of something does not.
func TestSocketIOAbuseCountsAgainstTheUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		counts bool
		send   []string
	}{
		{"no packet", true, []string{"47"}},
		{"an event that is not JSON", true, []string{`42["a",`}},
		{"too large", false, []string{`42["` + strings.Repeat("x", 65<<10) + `"]`}},
		{"too many attachments", false, []string{`4511-["session:ping"]`}},
		{"namespaces that are not there", false, strings.Fields(strings.Repeat("40/none, ", 20))},
	} {
		n := serve(t, "limit.score.malformed=10", "limit.score.ip.ban=35", "limit.score.user.ban=35")
		for i := range 4 {
			s := n.talker(t, "ann", byWebSocket)
			s.ws.over = true
			s.write(c.send...)
			s.ends(-1)
			want := uint64(0)
			if c.counts {
				want = uint64(i) + 1
			}
			if got := n.app.suspects.Stats().Noted["malformed"]; got != want {
				t.Fatalf("%s: %d are counted, want %d", c.name, got, want)
			}
		}
		s, err := n.engine(t, "ann", byWebSocket, nil)
		if err != nil {
			t.Fatalf("%s: the address is turned away: %v", c.name, err)
		}
		if !c.counts {
			s.welcome("/", "")
			continue
		}
		s.write(`40{"token":` + quoted(mint(t, claims("acme", "ann"))) + "}")
		s.ends(-1)
		if s, err = n.engine(t, "gil", byWebSocket, nil); err != nil {
			t.Fatal(err)
		}
		if p, _ := s.connectWith("/", mint(t, claims("globex", "gil")), ""); p.kind != '0' {
			t.Errorf("%s: another tenant's user is refused: %s", c.name, p)
		}
	}
}
