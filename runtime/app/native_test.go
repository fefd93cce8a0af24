package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// examples are the programs of examples/native, built once.
var examples = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "native")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := map[string][]byte{}
	args := []string{"build", "-ldflags=-s -w", "-o", dir + "/"}
	for _, name := range []string{"authenticator", "moderator", "pushnotifier", "sink"} {
		out[name], args = nil, append(args, "../../examples/native/"+name)
	}
	if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	for name := range out {
		if out[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return out, nil
})

// example is one of them in the node's configuration, named as its kind.
func example(t *testing.T, kind string, args ...string) map[string]any {
	t.Helper()
	built, err := examples()
	if err != nil {
		t.Fatal(err)
	}
	name := kind
	if kind == native.KindNotifier {
		name = "pushnotifier"
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, built[name], 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(built[name])
	return map[string]any{
		"name": kind, "kind": kind, "path": path, "sha256": hex.EncodeToString(sum[:]), "args": args,
		"timeout": "1m", "start": "1m", "health": "1m", "stop": "20s", "restart": map[string]string{"min": "1ms", "max": "50ms"},
	}
}

// plugged is the option of a node with native plugins.
func plugged(t *testing.T, plugins ...map[string]any) string {
	t.Helper()
	text, err := json.Marshal(plugins)
	if err != nil {
		t.Fatal(err)
	}
	return "native=" + string(text)
}

// native is what a plugin does.
func (n *node) native(name string) native.Stats {
	n.t.Helper()
	for _, st := range n.app.native.Stats() {
		if st.Name == name {
			return st
		}
	}
	n.t.Fatalf("there is no plugin %s", name)
	return native.Stats{}
}

func (n *node) plugin(name string, is native.State) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%s is %s", name, is), func() bool { return n.native(name).State == is })
}

var readyLine = regexp.MustCompile(`msg="plugin ready".* plugin=(\S+) pid=(\d+)`)

// pid is the process of a plugin that is ready.
func (n *node) pid(name string) (pid int) {
	n.t.Helper()
	n.plugin(name, native.Ready)
	eventually(n.t, "the log tells its process", func() bool {
		for _, m := range readyLine.FindAllStringSubmatch(n.log.text(), -1) {
			if m[1] == name {
				pid, _ = strconv.Atoi(m[2])
			}
		}
		return pid > 0
	})
	return pid
}

// killNative is kill -9 of a plugin's program. It returns when the node has seen it.
func (n *node) killNative(name string) {
	n.t.Helper()
	pid, before := n.pid(name), strings.Count(n.log.text(), "plugin failed")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "the node sees that "+name+" has ended", func() bool { return strings.Count(n.log.text(), "plugin failed") > before })
}

const tokenKey = "a key of the test's own, which has 32 bytes"

// tokenFile has tokens for examples/native/authenticator.
type tokenFile struct {
	t    *testing.T
	path string
}

func newTokenFile(t *testing.T) tokenFile {
	return tokenFile{t, filepath.Join(t.TempDir(), "tokens.ndjson")}
}

// issue adds a token; expires is the zero time for never. It comes before the node starts.
func (f tokenFile) issue(tenant, user, token string, expires time.Time) {
	f.t.Helper()
	line, err := json.Marshal(map[string]any{"mac": f.mac(token), "tenant": tenant, "user": user, "every_room": true, "expires": expires})
	if err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(append(line, '\n')); err != nil {
		f.t.Fatal(err)
	}
}

func (f tokenFile) mac(token string) string {
	h := hmac.New(sha256.New, []byte(tokenKey))
	h.Write([]byte(token))
	return hex.EncodeToString(h.Sum(nil))
}

func (f tokenFile) plugin(tenants ...string) map[string]any {
	p := example(f.t, native.KindAuthenticator, "-tokens", f.path)
	p["env"], p["tenants"] = map[string]string{"HEDDLE_TOKEN_KEY": tokenKey}, tenants
	return p
}

// TestAuthenticatorDecides: tokens that are no JWT come to the authenticator, whichever
// way they come, and JWTs of a tenant with keys do not.
func TestAuthenticatorDecides(t *testing.T) {
	t.Parallel()
	f := newTokenFile(t)
	soon := time.Now().Add(time.Hour)
	f.issue("initech", "ann", "ann-1", soon)
	f.issue("initech", "ann", "ann-2", soon.Add(time.Hour))
	f.issue("initech", "ben", "ben-1", time.Time{})
	f.issue("initech", "old", "old-1", time.Now().Add(-time.Hour))
	f.issue("acme", "cat", "cat-1", time.Time{})
	f.issue("globex", "eve", "eve-1", time.Time{}) // not one of the plugin's tenants
	n := serve(t, plugged(t, f.plugin("initech", "acme")), "tenants.initech.auth.leeway=0s")

	by := func(user, token string, header bool) dial {
		return dial{tenant: "initech", user: user, token: token, header: header}
	}
	ann := n.open(t, by("ann", "ann-1", false))
	n.open(t, by("ben", "ben-1", true))
	late := n.connect(t, by("ben", "-", false))
	late.do("session:open", "", `{"token":"ben-1"}`)
	n.open(t, dial{user: "cat", token: "cat-1"})
	asked := n.native(native.KindAuthenticator).Sent
	if asked != 4 {
		t.Errorf("the authenticator was asked %d times", asked)
	}
	n.open(t, dial{user: "dan"}) // a JWT of a tenant with keys

	forged := claims("acme", "cat")
	jwt, err := authenticate.Mint([]byte(strings.Repeat("x", 32)), "k1", forged)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token     string
		close     int
		status    int
		code      string
		of        string
		elsewhere bool // it is not shown to the authenticator
	}{
		"unknown":          {"nobody-1", 4401, 401, "unauthenticated", "initech", false},
		"expired":          {"old-1", 4402, 401, "token_expired", "initech", false},
		"a forged JWT":     {jwt, 4401, 401, "unauthenticated", "acme", true},
		"of a third":       {"eve-1", 4401, 401, "unauthenticated", "initech", false},
		"a JWT of nowhere": {"eyJhbGciOiJIUzI1NiJ9.eyJ0ZW5hbnQiOiJub3doZXJlIn0.c2ln", 4401, 401, "unauthenticated", "initech", true},
	} {
		t.Run(name, func(t *testing.T) {
			before := n.native(native.KindAuthenticator).Sent
			d := by("x", c.token, false)
			d.tenant = c.of
			n.connect(t, d).ends(c.close)
			d.header = true
			if _, no := n.try(t, d); no == nil || no.status != c.status || !strings.Contains(no.body, `"code":"`+c.code+`"`) {
				t.Errorf("in a header: %+v", no)
			}
			d.token = "-"
			first := n.connect(t, d)
			first.send(envelope("session:open", "", "o", `{"token":`+quoted(c.token)+`}`))
			if e := first.answer("o"); e.Payload.Data.Code != c.code || e.Payload.Data.Field != "data.token" {
				t.Errorf("in a message: %s", e.js)
			}
			first.drop()
			if more := n.native(native.KindAuthenticator).Sent - before; (more == 0) != c.elsewhere {
				t.Errorf("the authenticator was asked %d times", more)
			}
		})
	}
	if points := n.app.suspects.Stats().Noted["token"]; points < 5 {
		t.Errorf("%d bad tokens are counted against their address", points)
	}
	refresh(t, ann)
	told := regexp.MustCompile(`msg="a token is refused".* plugin=authenticator .*remote=(\S*)`)
	want := 2*3 + 2 // two tokens in three ways, and two to refresh with
	eventually(t, "the authenticator tells of all that it has refused", func() bool { return len(told.FindAllString(n.log.text(), -1)) >= want })
	for _, m := range told.FindAllStringSubmatch(n.log.text(), -1) {
		if !strings.HasPrefix(m[1], "127.0.0.1:") {
			t.Errorf("it was not told the client's address: %s", m[0])
		}
	}
	if err := n.app.revocations.Revoke(t.Context(), authenticate.Revocation{Tenant: "initech", Token: f.mac("ann-2")[:32]}); err != nil {
		t.Fatal(err)
	}
	ann.ends(4401)
	n.connect(t, by("ann", "ann-2", false)).ends(4401)
	if problems, err := promlint.New(strings.NewReader(n.admin("/metrics").body)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if m := n.metrics(); m["heddle_native_items_total plugin=authenticator what=answered"] < 4 || m["heddle_native_state kind=authenticator plugin=authenticator state=ready"] != 1 || m["heddle_tokens_total result=expired"] < 3 {
		t.Errorf("metrics: %v", m)
	}
}

// refresh gives ann's session other tokens.
func refresh(t *testing.T, ann *client) {
	t.Helper()
	if e := ann.do("auth:refresh", "", `{"token":"ann-2"}`); !strings.Contains(e.js, `"expires_at":1`) {
		t.Error(e.js)
	}
	for token, code := range map[string]string{"ben-1": "forbidden", "nobody": "unauthenticated", "old-1": "token_expired"} {
		ann.send(envelope("auth:refresh", "", token, `{"token":`+quoted(token)+`}`))
		if e := ann.answer(token); e.Payload.Data.Code != code || e.Payload.Data.Field != "data.token" {
			t.Errorf("%s: %s", token, e.js)
		}
	}
}

// TestAuthenticatorThatIsAway: its tokens may be tried again, others are good, and the
// node is not ready until it is back.
func TestAuthenticatorThatIsAway(t *testing.T) {
	t.Parallel()
	f := newTokenFile(t)
	f.issue("initech", "ann", "ann-1", time.Time{})
	p := f.plugin("initech")
	p["timeout"] = "300ms"
	n := serve(t, plugged(t, p), "tenants.initech.auth.leeway=0s")
	path := p["path"].(string)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	n.killNative(native.KindAuthenticator)
	eventually(t, "the node says that it is away", func() bool {
		r := n.admin("/readyz")
		return r.status == 503 && strings.Contains(r.body, `authenticator authenticator is in state backoff: stat `+path+`: no such file`)
	})
	d := dial{tenant: "initech", user: "ann", token: "ann-1"}
	n.connect(t, d).ends(4004)
	d.header = true
	if _, no := n.try(t, d); no == nil || no.status != 503 || !strings.Contains(no.body, `"retryable":true,"retry_after_ms":1000`) {
		t.Errorf("%+v", no)
	}
	n.open(t, dial{user: "dan"})
	if points := n.app.suspects.Stats().Noted["token"]; points != 0 {
		t.Errorf("%d tokens that nobody has looked at are counted", points)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	n.plugin(native.KindAuthenticator, native.Ready)
	var c *client
	eventually(t, "ann is let in", func() bool { c, _ = n.try(t, d); return c != nil }) // 300 ms may be over on a slow machine
	c.do("session:open", "", "{}")
	if r := n.admin("/readyz"); r.status != 200 || !strings.Contains(r.body, `"name":"native","ok":true`) {
		t.Errorf("%+v", r)
	}
}
