package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/rule"
)

const (
	acmeOnly  = "tenants: {acme: {auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"
	andGlobex = "tenants: {globex: {auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}}\n"
)

// reloading is a reloader whose files are texts, and what it has told the others.
type reloading struct {
	*reloader
	text  string
	level slog.Level // that a part knows
	log   bytes.Buffer
	told  []string
	cert  error
	bad   error // of a part
}

func load(text string) (*config.Result[Config], error) {
	return config.Load[Config](config.Options{
		Files: []string{"x.yaml"}, Open: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	})
}

func newReloading(t *testing.T, text string) *reloading {
	t.Helper()
	first, err := load(text)
	if err != nil {
		t.Fatal(err)
	}
	r, cfg := &reloading{text: text}, first.Value
	verifier, err := authenticate.NewReloadable(authConfigs(cfg.Tenants), authenticate.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := rule.New(nil, rule.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	r.reloader = newReloader(*cfg, 0, reloadDeps{
		Load: func() (*config.Result[Config], error) { return load(r.text) }, Level: new(slog.LevelVar),
		Verifier: verifier, Limits: limit.New(cfg.Limit), Rules: rules, Rooms: room.New(cfg.Rooms, nil), Socket: r, Sessions: r, Others: []func(*Config) (func(), error){r.other},
		Log: slog.New(slog.NewTextHandler(&r.log, nil)), Now: time.Now,
	})
	return r
}

func (r *reloading) Reload() error {
	r.told = append(r.told, "certificate")
	return r.cert
}

func (r *reloading) other(next *Config) (func(), error) {
	return func() { r.level = next.Log.Level }, r.bad
}

func (r *reloading) Disconnect(tenant, user string, revoked func(*event.Identity) bool, _ string) {
	r.told = append(r.told, fmt.Sprintf("disconnect %s%s %v", tenant, user, revoked(&event.Identity{})))
}

func (r *reloading) Readmit(_ context.Context, changed func(string) bool) {
	told := "readmit"
	for _, name := range []string{"channel", "conv", "desk", "user"} {
		if changed(name) {
			told += " " + name
		}
	}
	r.told = append(r.told, told)
}

// next reloads another text, and returns what was told.
func (r *reloading) next(t *testing.T, text string) []string {
	t.Helper()
	r.text, r.told = text, nil
	r.log.Reset()
	r.reload(t.Context(), "test")
	return r.told
}

func TestReloadTellsOpenSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReloading(t, acmeOnly)
		for _, c := range []struct {
			name, text string
			want       []string
		}{
			{"nothing", acmeOnly, nil},
			{"a limit", acmeOnly + "limit: {message_rate: 7}\n", nil},
			{"another tenant", andGlobex + "rooms: {desk: {}}\n", []string{"disconnect acme true", "readmit desk"}},
			{"types and tenants again", acmeOnly + "rooms: {channel: {publish: server}}\n", []string{"disconnect globex true", "readmit channel desk"}},
		} {
			if got := r.next(t, c.text); !slices.Equal(got, append([]string{"certificate"}, c.want...)) {
				t.Errorf("%s: told %q", c.name, got)
			}
		}
		if got := r.tenants(); !slices.Equal(got, []string{"acme"}) {
			t.Errorf("tenants %v", got)
		}
		// Those who were just about to open a session are told when they have.
		r.told = nil
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.run(ctx) }() // ends with stop
		time.Sleep(r.inForce.Load().Timeout + time.Second)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if want := []string{"disconnect globex true", "readmit channel desk"}; !slices.Equal(r.told, want) {
			t.Errorf("later: told %q", r.told)
		}
		if r.done.Load() != 4 || r.refused.Load() != 0 {
			t.Errorf("%d done, %d refused", r.done.Load(), r.refused.Load())
		}
	})
}

func TestReloadRefuses(t *testing.T) {
	r := newReloading(t, acmeOnly)
	r.cert = errors.New("no such certificate")
	for _, c := range []struct{ name, text, want string }{
		{"a typo", acmeOnly + "nod: x\n", "x.yaml:2:1: nod: no such option"},
		{"two faults", acmeOnly + "workers: 0\ndrain: x\n", "x.yaml:2:10: workers: want at least 1, not \"0\"; x.yaml:3:8: drain:"},
		{"a rule for no action", strings.Replace(acmeOnly, "{auth", "{rules: [{require: 'true', actions: ['a:b']}], auth", 1), "x.yaml:1:54: tenants.acme.rules[0].actions[0]: no action is called"},
		{"a certificate", andGlobex + "log: {level: WARN}\n", "no such certificate"},
	} {
		r.next(t, c.text)
		line := strings.ReplaceAll(r.log.String(), `\"`, `"`)
		if !strings.Contains(line, c.want) || strings.Count(line, "\n") != 1 || !strings.Contains(line, "level=ERROR") {
			t.Errorf("%s: the log says %s", c.name, line)
		}
		if got := r.tenants(); !slices.Equal(got, []string{"acme"}) || r.Level.Level() != slog.LevelInfo {
			t.Errorf("%s: it is in force: %v", c.name, got)
		}
	}
	if r.done.Load() != 0 || r.refused.Load() != 4 {
		t.Errorf("%d done, %d refused", r.done.Load(), r.refused.Load())
	}
}

func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	r := newReloading(t, acmeOnly)
	for range 2 { // for as long as it is so
		r.next(t, acmeOnly+"socket: {listen: ':1', handshake: {rate_per_ip: 3}}\nstorage: {dir: elsewhere}\nlimit: {message_rate: 7, actions: {'message:send': {rate: 1}}}\n")
		if log := r.log.String(); !strings.Contains(log, `options="[socket.listen socket.handshake.rate_per_ip storage.dir]"`) {
			t.Error(log)
		}
	}
	if r.next(t, acmeOnly+"limit: {message_rate: 8}\n"); !strings.Contains(r.log.String(), `changed="[limit.message_rate limit.actions.message:send]"`) || strings.Contains(r.log.String(), "WARN") {
		t.Error(r.log.String())
	}
	// With other files the certificate stays what it is.
	if told := r.next(t, acmeOnly); !slices.Equal(told, []string{"certificate"}) {
		t.Errorf("told %q", told)
	}
	r.inForce.Load().Socket.TLS.Cert = "old.pem"
	if told := r.next(t, acmeOnly); told != nil || !strings.Contains(r.log.String(), "socket.tls.cert") {
		t.Errorf("told %q: %s", told, r.log.String())
	}
}

func TestReloadSetsTheLevelOnlyIfItWasChanged(t *testing.T) {
	r := newReloading(t, acmeOnly)
	r.Level.Set(slog.LevelDebug) // over the admin server
	r.next(t, acmeOnly)
	if r.Level.Level() != slog.LevelDebug {
		t.Errorf("level %v", r.Level.Level())
	}
	r.next(t, acmeOnly+"log: {level: WARN}\n")
	if r.Level.Level() != slog.LevelWarn || r.level != slog.LevelWarn {
		t.Errorf("level %v, and %v", r.Level.Level(), r.level)
	}
	r.bad = errors.New("a part does not like it")
	r.next(t, acmeOnly+"log: {level: ERROR}\n")
	if r.Level.Level() != slog.LevelWarn || r.level != slog.LevelWarn || !strings.Contains(r.log.String(), "a part does not like it") {
		t.Errorf("level %v, and %v: %s", r.Level.Level(), r.level, r.log.String())
	}
}

func TestWatched(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "1")
	w := watched{files: []string{a, b}}
	w.loaded()
	look := func(what string, want ...bool) {
		t.Helper()
		for i, is := range want {
			if w.changed() != is {
				t.Errorf("%s, look %d: not %v", what, i+1, is)
			}
		}
	}
	look("nothing", false, false)
	write(a, "12")
	look("half a file", false)
	write(a, "123")
	look("a whole one", false, true, true)
	w.loaded()
	look("it was read", false, false)
	write(b, "")
	look("a file that was not there", false, true)
	w.loaded()
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	look("a file that goes", false, true)
	w.loaded()
	look("and was missed", false, false)
	write(a, "123")
	if err := os.Chtimes(a, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	look("it is back", false, true)
}
