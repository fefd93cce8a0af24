package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// dev runs "heddle dev" on a folder.
func dev(t *testing.T, data string) *node {
	t.Helper()
	n := launch(t, "dev", "--listen", "127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0", "--data", data)
	n.awaitServing(t)
	return n
}

// fetch makes a request to the node's public address.
func fetch(t *testing.T, n *node, method, path, body string) (status int, header http.Header, text string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(raw)
}

// devToken signs in as the page does.
func devToken(t *testing.T, n *node, user string) string {
	t.Helper()
	status, header, body := fetch(t, n, "POST", "/dev/token", `{"user":"`+user+`"}`)
	if status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("POST /dev/token: %d %s", status, body)
	}
	var a struct{ Token string }
	decode(t, []byte(body), &a)
	return a.Token
}

// opens reports whether a token opens a session, and for whom.
func opens(t *testing.T, n *node, token string) (user string) {
	t.Helper()
	p := dial(t, n.url(), token)
	a := p.ask("session:open", "", map[string]any{})
	if a.Type != wire.TypeAck {
		t.Fatalf("session:open: %s", a.Data)
	}
	var w struct{ User string }
	decode(t, a.Data, &w)
	return w.User
}

func TestDevServesItsPage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	n := dev(t, data)
	for _, line := range []string{"Heddle is on http://" + n.addr + "/", "http://" + n.admin + "/metrics"} {
		eventually(t, "it prints "+line, func() bool { return strings.Contains(n.text(), line) })
	}
	status, header, body := fetch(t, n, "GET", "/", "")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(body, "<script") {
		t.Errorf("GET /: %d %v %.200s", status, header, body)
	}
	if status, _, _ := fetch(t, n, "GET", "/no/such/page", ""); status != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", status)
	}
	if who := opens(t, n, devToken(t, n, "ann")); who != "ann" {
		t.Errorf("the token is %q's", who)
	}
}

func TestDevTokenRefusals(t *testing.T) {
	n := dev(t, filepath.Join(t.TempDir(), "data"))
	for _, c := range []struct {
		name, method, body string
		want               int
	}{
		{"no name", "POST", `{}`, http.StatusBadRequest},
		{"an empty name", "POST", `{"user":""}`, http.StatusBadRequest},
		{"a name with a slash", "POST", `{"user":"a/b"}`, http.StatusBadRequest},
		{"a name with a space", "POST", `{"user":"a b"}`, http.StatusBadRequest},
		{"a name that is too long", "POST", `{"user":"` + strings.Repeat("a", 129) + `"}`, http.StatusBadRequest},
		{"a name that is a number", "POST", `{"user":5}`, http.StatusBadRequest},
		{"no JSON", "POST", `user=ann`, http.StatusBadRequest},
		{"nothing", "POST", ``, http.StatusBadRequest},
		{"more than a name needs", "POST", `{"user":"` + strings.Repeat("a", 1<<20) + `"}`, http.StatusBadRequest},
		{"GET", "GET", ``, http.StatusNotFound}, // nothing but the page answers GET
		{"DELETE", "DELETE", ``, http.StatusMethodNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, _, body := fetch(t, n, c.method, "/dev/token", c.body); status != c.want || strings.Contains(body, "eyJ") {
				t.Errorf("%d %.200s, want %d", status, body, c.want)
			}
		})
	}
}

func TestDevTokensOutliveARestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	n := dev(t, data)
	token := devToken(t, n, "ann")
	n.signal(t, syscall.SIGINT)
	if status := n.awaitExit(t, patience); status != 0 {
		t.Errorf("status %d\n%s", status, n.text())
	}
	n = dev(t, data)
	if who := opens(t, n, token); who != "ann" {
		t.Errorf("the token is %q's", who)
	}
	for _, name := range []string{"dev.secret", "dev.key"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	other := dev(t, filepath.Join(t.TempDir(), "data"))
	if s, err := connect(other.url(), token, wire.JSON, nil); err == nil {
		s.drop()
		t.Error("another node takes the token")
	}
}

// TestDevKey: what is to be exported opens the whole server API, also after a restart.
func TestDevKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	before := ""
	for range 2 {
		n := dev(t, data)
		eventually(t, "it prints what to export", func() bool { return len(exports(n)) == 2 })
		url, key := exports(n)[0], strings.TrimPrefix(exports(n)[1], "HEDDLE_KEY=")
		if url != "HEDDLE_URL=http://"+n.addr || before != "" && key != before {
			t.Errorf("%s, %s, before %s", url, key, before)
		}
		before = key
		for path, body := range map[string]string{
			"plugins": "", "connections": "", "presence?user=ann": "", "rooms?user=ann": "", "rooms/channel:x/history": "",
			"publish": `{"room":"channel:x","data":{"text":"x"}}`, "direct": `{"to":"ann","text":"x"}`, "disconnect": `{"user":"zoe"}`, "revoke": `{"user":"zoe"}`,
		} {
			if status, text := withKey(t, n, key, path, body); status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		if status, text := withKey(t, n, "dev."+strings.Repeat("0", 64), "plugins", ""); status != http.StatusUnauthorized {
			t.Errorf("a key that it has not printed: %d %s", status, text)
		}
		n.signal(t, syscall.SIGINT)
		n.awaitExit(t, patience)
	}
}

// withKey asks the server API, and posts if there is a body.
func withKey(t *testing.T, n *node, key, path, body string) (status int, text string) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.addr+"/v1/api/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}
