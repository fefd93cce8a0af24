package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// pollster is a client of Socket.IO over long-polling that keeps what socket.io-client
// keeps for connection state recovery.
type pollster struct {
	t           *testing.T
	polls       string
	pid, offset string
	recovered   bool
	read        []string
	got         []string // durable events since it was connected, as room and offset
}

// ask makes a request; a node that is not there is "".
func (p *pollster) ask(method, url, body string) string {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatal(resp.StatusCode, string(b), err)
	}
	return string(b)
}

// packet is the next one of Socket.IO.
func (p *pollster) packet() string {
	p.t.Helper()
	for end := time.Now().Add(patience / 2); time.Now().Before(end); {
		for len(p.read) == 0 {
			p.read = strings.Split(p.ask(http.MethodGet, p.polls, ""), "\x1e")
		}
		next := p.read[0]
		if p.read = p.read[1:]; next == "2" {
			p.send("3")
		} else if !strings.HasPrefix(next, `42["session:quality"`) {
			return strings.TrimPrefix(next, "4")
		}
	}
	p.t.Fatal("nothing comes but pings")
	return ""
}

func (p *pollster) send(packet string) { p.ask(http.MethodPost, p.polls, packet) }

// connect connects to "/", anew or again.
func (p *pollster) connect(addr, user string) {
	p.t.Helper()
	p.polls = "http://" + addr + "/socket.io/?EIO=4&transport=polling"
	var hello, in struct{ SID, PID string }
	if err := json.Unmarshal([]byte(p.ask(http.MethodGet, p.polls, "")[1:]), &hello); err != nil {
		p.t.Fatal(err)
	}
	p.polls += "&sid=" + hello.SID
	auth := map[string]string{"token": tokenOf(p.t, user)}
	if p.pid != "" {
		auth["pid"] = p.pid
	}
	if p.offset != "" {
		auth["offset"] = p.offset
	}
	b, err := json.Marshal(auth)
	if err != nil {
		p.t.Fatal(err)
	}
	p.read, p.got = nil, nil
	p.send("40" + string(b))
	first := p.packet()
	if first[0] != '0' || json.Unmarshal([]byte(first[1:]), &in) != nil {
		p.t.Fatal(first)
	}
	p.recovered = p.pid == in.PID
	p.pid = in.PID
	p.packet() // session:open
}

// take reads until so many durable events have come.
func (p *pollster) take(n int) {
	p.t.Helper()
	for len(p.got) < n {
		p.hear(p.packet())
	}
}

func (p *pollster) hear(packet string) {
	p.t.Helper()
	if packet[0] != '2' {
		return
	}
	var args []json.RawMessage
	var meta struct {
		Room   string
		Offset uint64
	}
	if err := json.Unmarshal([]byte(packet[1:]), &args); err != nil {
		p.t.Fatalf("%s: %v", packet, err)
	}
	if len(args) < 4 {
		return
	}
	if json.Unmarshal(args[2], &meta) != nil || json.Unmarshal(args[3], &p.offset) != nil {
		p.t.Fatal(packet)
	}
	p.got = append(p.got, fmt.Sprintf("%s/%d", meta.Room, meta.Offset))
}

// do emits with a callback, and waits for that.
func (p *pollster) do(args string) {
	p.t.Helper()
	p.send("427" + args)
	for {
		next := p.packet()
		if ack, ok := strings.CutPrefix(next, "37"); ok {
			if !strings.HasPrefix(ack, `[{"ok":true`) {
				p.t.Fatal(next)
			}
			return
		}
		p.hear(next)
	}
}

// TestKilledNodeRecoversSocketIO kills the process behind clients of Socket.IO: with one
// busy room their state is recovered; with several it is, or they are told that it is not,
// and then nothing comes of before.
func TestKilledNodeRecoversSocketIO(t *testing.T) {
	t.Parallel()
	config, data := writeConfig(t), t.TempDir()+"/data"
	rooms := []string{"channel:a", "channel:b"}
	node := serve(t, config, data, "drain=0s")
	for round, busy := range []int{1, 2, 1, 0} {
		user := fmt.Sprint("user-", round)
		p := &pollster{t: t}
		p.connect(node.addr, user)
		for _, room := range rooms {
			p.do(`["room:join",{"room":"` + room + `"}]`)
		}
		// Its record has the rooms when a node that was stopped has written it.
		p.send("1")
		node.signal(t, syscall.SIGTERM)
		if err := node.wait(); err != nil {
			t.Fatal(err)
		}
		node = serve(t, config, data, "drain=0s")
		if p.connect(node.addr, user); !p.recovered {
			t.Fatalf("round %d: not recovered after a restart", round)
		}
		ben := speak(t, node.url(), fmt.Sprint("ben-", round), rooms...) // ids are used once by each
		say := func(s *speaker, room string) uint64 {
			a := s.ask("message:send", room, map[string]any{"text": "x"})
			if a.Type != wire.TypeAck {
				t.Fatalf("%s: %s", room, a.Data)
			}
			return a.Offset
		}
		for range 3 {
			for _, room := range rooms[:busy] {
				say(ben, room)
			}
		}
		p.take(3 * busy)
		node.kill()
		node = serve(t, config, data, "drain=0s")
		ben = speak(t, node.url(), fmt.Sprint("eve-", round), rooms...)
		var missed []string
		for _, room := range rooms[:max(busy, 1)] {
			missed = append(missed, fmt.Sprintf("%s/%d", room, say(ben, room)))
		}
		p.connect(node.addr, user)
		switch {
		case p.recovered:
			p.take(len(missed))
			p.do(`["session:ping"]`)
			if slices.Sort(p.got); !slices.Equal(p.got, missed) {
				t.Errorf("round %d: came %q, missed %q", round, p.got, missed)
			}
		case busy < 2:
			t.Errorf("round %d: not recovered", round)
		default:
			p.do(`["session:ping"]`)
			if len(p.got) > 0 {
				t.Errorf("round %d: not recovered, and came %q", round, p.got)
			}
		}
	}
}
