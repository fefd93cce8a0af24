package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
	"github.com/heddle-rt/heddle/runtime/authenticate"
)

const globexSecret = "fedcba9876543210fedcba9876543210"

// globexToken is of a tenant that baseConfig does not have.
func globexToken(t *testing.T) string {
	t.Helper()
	token, err := authenticate.Mint([]byte(globexSecret), "", authenticate.Claims{
		Tenant: "globex", User: "gus", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// reloading is a node whose configuration changes.
type reloading struct {
	*node
	t    *testing.T
	path string
	done int // reloads that the log tells of
	not  int // and those that were refused
}

func serveReloading(t *testing.T, set ...string) *reloading {
	path := writeConfig(t)
	return &reloading{node: serve(t, path, t.TempDir()+"/data", set...), t: t, path: path}
}

// rewrite puts another file in the place of the configuration: baseConfig with
// pairs of texts replaced.
func (r *reloading) rewrite(replace ...string) {
	r.t.Helper()
	text := baseConfig
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			r.t.Fatalf("the configuration has no %q", replace[i])
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	next := r.path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.path); err != nil {
		r.t.Fatal(err)
	}
}

// awaitReload waits until the log tells of one more.
func (r *reloading) awaitReload() {
	r.t.Helper()
	r.done++
	r.await("the configuration was reloaded", r.done)
}

func (r *reloading) await(line string, times int) {
	r.t.Helper()
	eventually(r.t, line, func() bool { return strings.Count(r.text(), line) >= times })
}

func (r *reloading) hangup(replace ...string) {
	r.t.Helper()
	r.rewrite(replace...)
	r.signal(r.t, syscall.SIGHUP)
	r.awaitReload()
}

// refuses has a configuration read that is faulty, and expects this of the log.
func (r *reloading) refuses(want string, replace ...string) {
	r.t.Helper()
	r.rewrite(replace...)
	r.signal(r.t, syscall.SIGHUP)
	r.not++
	r.await("was not reloaded", r.not)
	if !strings.Contains(r.text(), want) {
		r.t.Errorf("the log does not say %q\n%s", want, r.text())
	}
}

// sends tells the code with which a message is refused; "" if it is not.
func (p *speaker) sends(room, say string) string {
	p.t.Helper()
	a := p.ask("message:send", room, text{Text: say})
	if a.Type == wire.TypeAck {
		return ""
	}
	var why refusal
	decode(p.t, a.Data, &why)
	return why.Code
}

func (n *node) metrics(t *testing.T) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const (
	acmeIs    = "{acme: {"
	globexToo = "{globex: {auth: {keys: [{algorithm: HS256, secret: " + globexSecret + "}]}}, acme: {"
)

func TestHangupReloads(t *testing.T) {
	r := serveReloading(t, "reload.watch=0s")
	ann := speak(t, r.url(), "ann", "channel:x")
	expect := func(what, room, say, code string) {
		t.Helper()
		if got := ann.sends(room, say); got != code {
			t.Errorf("%s: the answer is %q, want %q", what, got, code)
		}
	}
	expect("before", "channel:x", "hello", "")

	file := filepath.Base(r.path)
	r.refuses(file+":4:3: socket.listne: no such option", "listen: 127.0.0.1:0\n", "listne: 127.0.0.1:0\n")
	r.refuses(file+":12:37: tenants.acme.rules[0].actions[0]: no action is called", acmeIs, "{acme: {rules: [{actions: ['nothing:do'], require: 'true'}], ")
	r.refuses("tenants.acme.rules[0].require", acmeIs, "{acme: {rules: [{require: 'no such thing'}], ")
	r.refuses("tenants.globex.auth", acmeIs, "{globex: {}, acme: {rules: [{require: 'false'}], ")
	expect("after faulty files", "channel:x", "hello", "")

	r.hangup(acmeIs, globexToo)
	gus := dial(t, r.url(), globexToken(t))
	if a := gus.ask("session:open", "", map[string]any{"rooms": []string{"channel:x"}}); a.Type != wire.TypeAck {
		t.Errorf("a new tenant: %s", a.Data)
	}
	r.hangup()
	if code := gus.awaitClose(); code != 4401 {
		t.Errorf("the sessions of a tenant that is gone are closed with %d", code)
	}
	if _, err := connect(r.url(), globexToken(t), wire.JSON, func(*wire.Envelope) {}); err == nil {
		t.Error("a tenant that is gone connects")
	}
	expect("while tenants come and go", "channel:x", "hello", "")

	r.hangup(acmeIs, "{acme: {rules: [{actions: ['message:*'], require: 'data.text != \"no\"'}], ")
	expect("against a new rule", "channel:x", "no", "forbidden")
	expect("within the rule", "channel:x", "yes", "")
	r.hangup("channel: {", "channel: {publish: server, ")
	expect("no rule, but a room that is read-only", "channel:x", "no", "forbidden")
	r.hangup()
	expect("all as before", "channel:x", "no", "")
	r.hangup("message_rate: 100000, message_burst: 100000", "message_rate: 0.01, message_burst: 2")
	codes := ""
	for range 4 {
		codes += ann.sends("channel:x", "hello") + " "
	}
	if !strings.HasSuffix(codes, "rate_limited rate_limited ") {
		t.Errorf("over a new limit: %q", codes)
	}

	r.rewrite("log: {", "workers: 9\nlog: {level: WARN, ", "max_per_ip: 100000", "max_per_ip: 7")
	r.signal(t, syscall.SIGHUP)
	r.done++ // which is no line any more at this level
	r.await("they need a restart", 1)
	if !strings.Contains(r.text(), `options="[socket.handshake.max_per_ip workers]"`) {
		t.Errorf("the log does not name what needs a restart\n%s", r.text())
	}
	for _, line := range []string{
		fmt.Sprintf("heddle_config_reloads_total{result=\"done\"} %d\n", r.done), fmt.Sprintf("heddle_config_reloads_total{result=\"refused\"} %d\n", r.not),
		"heddle_config_read_timestamp_seconds 1",
	} {
		eventually(t, "the metrics have "+line, func() bool { return strings.Contains(r.metrics(t), line) })
	}
}

func TestChangedFileIsTakenOver(t *testing.T) {
	r := serveReloading(t, "reload.watch=20ms")
	ann := speak(t, r.url(), "ann", "channel:x")
	r.rewrite(acmeIs, "{acme: {rules: [{actions: ['message:*'], require: 'data.text != \"no\"'}], ")
	r.awaitReload()
	if got := ann.sends("channel:x", "no"); got != "forbidden" {
		t.Errorf("the answer is %q", got)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.await("cannot be read", 1)
	if got := ann.sends("channel:x", "no"); got != "forbidden" {
		t.Errorf("without its file: the answer is %q", got)
	}
	r.rewrite()
	r.awaitReload()
	if got := ann.sends("channel:x", "no"); got != "" {
		t.Errorf("the answer is %q", got)
	}
}
