package app

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// TestNativeFaultsAreNamed: a program that cannot be started is named with the reason in
// the log and by the admin server, and the node runs; it is out of the load balancer only
// without an authenticator.
func TestNativeFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, p map[string]any)
		want  string
	}{
		"another file": {func(t *testing.T, p map[string]any) { p["sha256"] = strings.Repeat("0", 64) }, "and the configuration says 0000"},
		"no file":      {func(t *testing.T, p map[string]any) { p["path"] = p["path"].(string) + ".none" }, "no such file"},
		"a file that all may write": {func(t *testing.T, p map[string]any) {
			if err := os.Chmod(p["path"].(string), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "everybody may write"},
		"a program that fails": {func(t *testing.T, p map[string]any) { p["args"] = []string{"-none"} }, "exit status 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTokenFile(t)
			f.issue("acme", "ann", "ann-1", time.Time{})
			auth, sink := f.plugin("acme"), example(t, native.KindSink, "-dir", t.TempDir())
			c.spoil(t, auth)
			c.spoil(t, sink)
			n := &node{t: t, dir: t.TempDir(), set: []string{plugged(t, auth, sink)}, schema: compiled(), log: &lines{}, unready: true}
			n.start()
			t.Cleanup(n.stop)
			eventually(t, "/readyz says why", func() bool {
				r := n.admin("/readyz")
				return r.status == 503 && strings.Contains(r.body, "authenticator authenticator is in state backoff") && strings.Contains(r.body, c.want) && !strings.Contains(r.body, "sink")
			})
			var list struct {
				Plugins []struct{ Name, State, Failure string }
			}
			eventually(t, "/native says why", func() bool {
				if err := json.Unmarshal([]byte(n.admin("/native").body), &list); err != nil || len(list.Plugins) != 2 {
					t.Fatalf("%v: %+v", err, list)
				}
				return list.Plugins[1].Name == "sink" && strings.Contains(list.Plugins[1].Failure, c.want)
			})
			for _, plugin := range []string{"authenticator", "sink"} {
				if !regexp.MustCompile(`level=WARN msg="plugin failed" node=test plugin=` + plugin + ` error=.*` + c.want + `.* pause=`).MatchString(n.log.text()) {
					t.Errorf("%s: the log does not say why:\n%s", plugin, n.log.text())
				}
			}
			n.open(t, dial{user: "dan"})
		})
	}
}

func TestNativeConfig(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0", 64)
	plugin := func(name, kind, more string) string {
		return fmt.Sprintf("{name: %s, kind: %s, path: /x/y, sha256: '%s'%s}", name, kind, sum, more)
	}
	for name, c := range map[string]struct{ text, want string }{
		"good":                 {acmeOnly + "native: [" + plugin("a", "sink", "") + "," + plugin("b", "sink", ", tenants: [acme]") + "]\n", ""},
		"two of one name":      {acmeOnly + "native: [" + plugin("a", "sink", "") + "," + plugin("a", "notifier", "") + "]\n", `native[1].name: "a" is another plugin's name`},
		"no such tenant":       {acmeOnly + "native: [" + plugin("a", "sink", ", tenants: [acme, acmee]") + "]\n", `native[0].tenants[1]: there is no tenant "acmee"`},
		"the node's own":       {acmeOnly + "native: [" + plugin("webhook", "notifier", "") + "]\n", `native[0].name: "webhook" is a notifier of the node's own`},
		"no checksum":          {acmeOnly + "native: [{name: a, kind: sink, path: /x/y}]\n", `native[0].sha256: required`},
		"keyless":              {"tenants: {acme: {}}\n", `tenants.acme.auth: neither keys nor jwks_url is set`},
		"keyless, served":      {"tenants: {acme: {}}\nnative: [" + plugin("a", "authenticator", "") + "]\n", ""},
		"keyless, of another":  {"tenants: {acme: {}, globex: {}}\nnative: [" + plugin("a", "authenticator", ", tenants: [acme]") + "]\n", `tenants.globex.auth: neither keys nor jwks_url is set`},
		"keyless, with a sink": {"tenants: {acme: {}}\nnative: [" + plugin("a", "sink", "") + "]\n", `tenants.acme.auth: neither keys nor jwks_url is set`},
	} {
		if _, err := load(c.text); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNativeNeedsARestart: another list of plugins is told to need one, and a tenant that
// only the new list could serve is refused.
func TestNativeNeedsARestart(t *testing.T) {
	r := newReloading(t, acmeOnly)
	const plugin = "native: [{name: a, kind: authenticator, path: /x/y, sha256: '0000000000000000000000000000000000000000000000000000000000000000', env: {KEY: s3cret}}]\n"
	r.next(t, acmeOnly+plugin)
	if log := r.log.String(); !strings.Contains(log, "they need a restart") || !strings.Contains(log, "options=[native]") || strings.Contains(log, "s3cret") {
		t.Error(log)
	}
	first, err := load(acmeOnly)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := newTokens(first.Value, nil, authenticate.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	r.Others = append(r.Others, tokens.reload)
	r.next(t, strings.Replace(acmeOnly, "{acme", "{initech: {}, acme", 1)+plugin)
	if log := r.log.String(); !strings.Contains(log, "was not reloaded") || !strings.Contains(log, "tenants.initech.auth: the tenant has no keys") || tokens.serves("initech") {
		t.Error(log)
	}
}
