package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// hint waits for session:drain and returns when the client is asked to come back.
func (p *speaker) hint() time.Duration {
	p.t.Helper()
	limit := time.After(patience)
	for over := p.over; ; {
		select {
		case e := <-p.events:
			if e.Action != "session:drain" {
				continue
			}
			var d struct {
				In int64 `json:"reconnect_in_ms"`
			}
			decode(p.t, e.Data, &d)
			return time.Duration(d.In) * time.Millisecond
		case <-over:
			if over = nil; len(p.events) == 0 {
				p.t.Fatalf("closed with %v, and no hint before", p.s.closed)
			}
		case <-limit:
			p.t.Fatal("no session:drain")
		}
	}
}

// awaitClose waits for the end of the connection and returns its close code.
func (p *speaker) awaitClose() uint16 {
	p.t.Helper()
	select {
	case <-p.over:
		return p.s.closeCode()
	case <-time.After(patience):
		p.t.Fatal("the connection stays open")
		return 0
	}
}

// framesIn is how many frames the node has read; 0 if it does not answer any more.
func (n *node) framesIn() (count int) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.admin + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		if v, ok := strings.CutPrefix(scan.Text(), `heddle_frames_total{direction="in"} `); ok {
			count, _ = strconv.Atoi(v)
		}
	}
	return count
}

// acked is what a speaker was told, if that is one ack after the other, from a number on.
func (p *speaker) acked(first int) (all []stored) {
	p.t.Helper()
	for i := range len(p.answers) {
		a := <-p.answers
		if want := fmt.Sprint("n-", first+i); a.Type != wire.TypeAck || a.Ref != want {
			p.t.Errorf("the answer to %s is %s %s %s", want, a.Type, a.Ref, a.Data)
		}
		all = append(all, ackedAs(a))
	}
	return all
}

func TestTermDrains(t *testing.T) {
	const (
		room     = "channel:drain"
		drain    = 2 * time.Second
		sessions = 16
		each     = 200 // messages, the most that may be under way
	)
	config, data := writeConfig(t), filepath.Join(t.TempDir(), "data")
	n := serve(t, config, data, "drain="+drain.String())
	var all []*speaker
	for i := range sessions {
		all = append(all, speak(t, n.url(), fmt.Sprint("user-", i), room))
	}
	for k, p := range all {
		p.n = 1000 * (k + 1) // keys of its own
		for range each {
			p.post("message:send", room, text{Text: fmt.Sprint("n-", p.n+1)})
		}
	}
	from := time.Now()
	n.signal(t, syscall.SIGTERM)
	hints, of := map[time.Duration]bool{}, map[*speaker]time.Duration{}
	for _, p := range all {
		in := p.hint()
		if in < 0 || in > drain {
			t.Errorf("the hint is %v, and the drain takes %v", in, drain)
		}
		hints[in], of[p] = true, in
	}
	if len(hints) < sessions/2 {
		t.Errorf("the hints are not spread: %v", hints)
	}
	eventually(t, "the node has read all messages", func() bool { return n.framesIn() >= sessions*(each+1) || n.ended() })
	read := time.Since(from) // at the latest
	if s, err := connect(n.url(), tokenOf(t, "late"), wire.JSON, nil); err == nil {
		s.drop()
		t.Error("a draining node takes new connections")
	}
	var acked []stored
	for k, p := range all {
		if code := p.awaitClose(); code != 4000 {
			t.Errorf("closed with %d (%v)", code, p.s.closed)
		}
		// Whoever is asked to leave before may have sent what the node never read, and
		// nobody is waited for when the drain is over.
		if len(p.answers) != each && of[p] > read && time.Since(from) < drain {
			t.Errorf("%d of %d messages were answered before the close, %v later", len(p.answers), each, of[p])
		}
		acked = append(acked, p.acked(1000*(k+1)+1)...)
	}
	status := n.awaitExit(t, patience)
	if took := time.Since(from); status != 0 || took > drain+15*time.Second {
		t.Errorf("status %d after %v\n%s", status, took, n.text())
	}
	t.Logf("all was read %v after the signal", read)
	n = serve(t, config, data)
	mustHold(t, n.url(), "bob", room, acked)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			n := serve(t, writeConfig(t), filepath.Join(t.TempDir(), "data"), "drain=1h")
			var all []*speaker
			for i := range 20 { // some of them are asked to stay for long
				all = append(all, speak(t, n.url(), fmt.Sprint("user-", i)))
			}
			n.signal(t, s)
			for _, p := range all {
				p.hint()
			}
			if status, body := n.readyz(t); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
				t.Errorf("readyz says %d %s", status, body)
			}
			n.signal(t, s)
			want := -1
			if signal.Ignored(s) { // and so it is in the node, which then ends by itself
				want = 1
			}
			if status := n.awaitExit(t, patience); status != want { // long before the end of the drain
				t.Errorf("status %d, want %d", status, want)
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	config := writeConfig(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	locked := filepath.Join(t.TempDir(), "data")
	holder := serve(t, config, locked)
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a busy port", serveArgs(config, t.TempDir()+"/data", "socket.listen="+taken.Addr().String()), "address already in use"},
		{"a busy admin port", serveArgs(config, t.TempDir()+"/data", "admin.listen="+taken.Addr().String()), "address already in use"},
		{"a data directory in use", serveArgs(config, locked), "in use by another process"},
		{"a data directory that is a file", serveArgs(config, config), "not a directory"},
		{"no such file", []string{"serve", "--config", missing}, "no such file"},
		{"no certificate", serveArgs(config, t.TempDir()+"/data", "socket.tls.cert="+missing, "socket.tls.key="+missing), "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := launch(t, c.args...)
			if status := n.awaitExit(t, patience); status != 1 {
				t.Errorf("status %d", status)
			}
			if out := n.text(); strings.Contains(out, "\n") || !strings.HasPrefix(out, "heddle: ") || !strings.Contains(out, c.want) {
				t.Errorf("it ended with\n%s", out)
			}
		})
	}
	if holder.ended() {
		t.Errorf("the first process ended: %s", holder.text())
	}
}

func TestSessionOutlivesARestart(t *testing.T) {
	config, data := writeConfig(t), filepath.Join(t.TempDir(), "data")
	ports := freePorts(t, 2)
	set := []string{fmt.Sprint("socket.listen=127.0.0.1:", ports[0]), fmt.Sprint("admin.listen=127.0.0.1:", ports[1]), "drain=0s"}
	n := serve(t, config, data, set...)
	p := speak(t, n.url(), "ann")
	n.signal(t, syscall.SIGTERM)
	if code := p.awaitClose(); code != 4000 {
		t.Errorf("closed with %d", code)
	}
	if status := n.awaitExit(t, patience); status != 0 {
		t.Errorf("status %d\n%s", status, n.text())
	}
	n = serve(t, config, data, set...)
	var a answer
	if err := json.Unmarshal(p.resume(n.url(), "ann").Data, &a); err != nil || a.Recovered == nil || !*a.Recovered || a.Session != p.welcome.Session {
		t.Errorf("%+v, %v", a, err)
	}
}
