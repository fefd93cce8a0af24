package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// TestPluginBodiesAreBounded: bodies of requests to a tenant's plugins that do not come to
// an end hold a part of the memory that there is for those of all.
func TestPluginBodiesAreBounded(t *testing.T) {
	r := newRaid(t)
	door := raw{Actions: []hostapi.Action{{Kind: hostapi.Reply, A: []byte("{}"), Code: 200}}}.Module()
	const bound = unhurried + "bindings: [{hooks: [request]}]\n"
	r.placed(t, "door", door, bound)
	if s := r.put(t, "globex", "door", door, bound); s.status != http.StatusCreated {
		t.Fatal(s.js)
	}
	ask := func(tenant string) (status int, retry string) {
		resp, err := http.Post("http://"+r.app.Addr().String()+"/hooks/"+tenant+"/door", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	// Each sends all but the last byte. Half of 64 MiB are as many as these hold.
	const body, most = 256 << 10, 32 << 20 / (256 << 10)
	var open []net.Conn
	leave := func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
	defer leave()
	for range most + 4 {
		c, err := net.Dial("tcp", r.app.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		_, err = io.WriteString(c, fmt.Sprintf("POST /hooks/acme/door HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", body)+strings.Repeat("x", body-1))
		if err != nil && len(open) <= most { // the last ones are refused before they have sent all
			t.Fatal(err)
		}
	}
	refused := 0
	for _, c := range open[most:] {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, _ := io.ReadAll(c)
		if strings.HasPrefix(string(answer), "HTTP/1.1 503 ") && strings.Contains(string(answer), "Retry-After: 1\r\n") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("none is refused")
	}
	if status, _ := ask("globex"); status != http.StatusOK {
		t.Errorf("globex is answered %d", status)
	}
	leave()
	eventually(t, "acme's are answered again", func() bool { status, _ := ask("acme"); return status == http.StatusOK })
	r.acme.must("DELETE", "plugins/door", "")
	r.calm(t)
}
