package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/plugins/native/serve"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// say is a token that tells testdata/child what to answer.
func say(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnswersOfAnAuthenticator(t *testing.T) {
	r := run(t, native.Deps{Tenant: func(name string) bool { return name != "unknown" }}, child(t, "authenticator", "answers", "tenants: [acme, unknown]"))
	long := strings.Repeat("x", 1000)
	now := time.Now()
	ann := func(change func(*serve.Identity)) any {
		id := &serve.Identity{User: "ann"}
		change(id)
		return map[string]any{"Identity": id}
	}
	defer func() {
		if st := r.Stats()[0]; st.Restarts != 0 {
			t.Errorf("an answer has ended the program: %+v", st)
		}
	}()
	for name, c := range map[string]struct {
		tenant string
		say    any
		want   *event.Identity
		kind   fault.Kind
	}{
		"no room": {"acme", ann(func(*serve.Identity) {}), &event.Identity{Tenant: "acme", User: "ann", Subject: "ann", Rooms: []string{}}, 0},
		"all": {"", ann(func(id *serve.Identity) {
			id.Tenant, id.Device, id.Subject, id.TokenID, id.Rooms = "acme", "d", "s", "t", []string{"conv:*"}
			id.Limited, id.Metadata = []serve.Grant{{Room: "news:1", Actions: []string{"room:*"}}}, []byte(`{"a":1}`)
			id.Issued, id.Expires = time.UnixMilli(5), time.UnixMilli(1<<42)
		}), &event.Identity{
			Tenant: "acme", User: "ann", Device: "d", Subject: "s", TokenID: "t", Issued: 5, Expires: 1 << 42, Rooms: []string{"conv:*"},
			Limited: []event.Grant{{Room: "news:1", Actions: []string{"room:*"}}}, Metadata: []byte(`{"a":1}`),
		}, 0},
		"every room":         {"acme", ann(func(id *serve.Identity) { id.EveryRoom = true }), &event.Identity{Tenant: "acme", User: "ann", Subject: "ann"}, 0},
		"expired":            {"acme", ann(func(id *serve.Identity) { id.Expires = now.Add(-time.Second) }), nil, fault.TokenExpired},
		"another tenant":     {"acme", ann(func(id *serve.Identity) { id.Tenant = "other" }), nil, fault.Internal},
		"no tenant":          {"", ann(func(*serve.Identity) {}), nil, fault.Internal},
		"tenant not its own": {"", ann(func(id *serve.Identity) { id.Tenant = "other" }), nil, fault.Unauthenticated},
		"no such tenant":     {"", ann(func(id *serve.Identity) { id.Tenant = "unknown" }), nil, fault.Unauthenticated},
		"no user":            {"acme", map[string]any{"Identity": &serve.Identity{}}, nil, fault.Internal},
		"bad user":           {"acme", ann(func(id *serve.Identity) { id.User = "a:b" }), nil, fault.Internal},
		"bad device":         {"acme", ann(func(id *serve.Identity) { id.Device = "a b" }), nil, fault.Internal},
		"long token id":      {"acme", ann(func(id *serve.Identity) { id.TokenID = long }), nil, fault.Internal},
		"empty pattern":      {"acme", ann(func(id *serve.Identity) { id.Rooms = []string{""} }), nil, fault.Internal},
		"control character":  {"acme", ann(func(id *serve.Identity) { id.Limited = []serve.Grant{{Room: "a\n"}} }), nil, fault.Internal},
		"too many rooms":     {"acme", ann(func(id *serve.Identity) { id.Rooms = slices.Repeat([]string{"a"}, 129) }), nil, fault.Internal},
		"rooms and all":      {"acme", ann(func(id *serve.Identity) { id.EveryRoom, id.Rooms = true, []string{"a"} }), nil, fault.Internal},
		"no object":          {"acme", ann(func(id *serve.Identity) { id.Metadata = []byte(`[1]`) }), nil, fault.Internal},
		"broken metadata":    {"acme", ann(func(id *serve.Identity) { id.Metadata = []byte(`{`) }), nil, fault.Internal},
		"refused":            {"acme", map[string]any{"Refusal": serve.Refusal{Code: serve.Forbidden, Message: "not here"}}, nil, fault.Forbidden},
		"refused for now":    {"acme", map[string]any{"Refusal": serve.Refusal{Code: serve.RateLimited, After: time.Minute}}, nil, fault.RateLimited},
		"not its word":       {"acme", map[string]any{"Refusal": serve.Refusal{Code: "slow_consumer"}}, nil, fault.Internal},
		"its own fault":      {"acme", map[string]any{"Error": "secret: the directory is away"}, nil, fault.Unavailable},
		"nothing":            {"acme", map[string]any{}, nil, fault.Unavailable},
		"token too long":     {"acme", strings.Repeat("x", 9<<10), nil, fault.Unauthenticated},
		"not UTF-8":          {"acme", nil, nil, fault.Unauthenticated},
		"not for the tenant": {"other", map[string]any{}, nil, fault.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			token := say(t, c.say)
			if c.say == nil {
				token = "\xff"
			}
			id, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: c.tenant, Token: token})
			if c.want != nil {
				if err != nil || !reflect.DeepEqual(id, c.want) {
					t.Fatalf("%+v, %v", id, err)
				}
				return
			}
			f := fault.Of(err)
			if err == nil || f.Kind != c.kind || strings.Contains(f.Message(), "secret") {
				t.Fatalf("%+v, %v", id, err)
			}
			if name == "refused" && f.Msg != "not here" || name == "refused for now" && f.After != time.Minute {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestTokensShareMessages(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "authenticator", "echo")) // they wait until it is ready
	const many = 500
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			user := fmt.Sprint("user-", i)
			id, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: "acme", Token: user})
			if err != nil || id.User != user {
				t.Errorf("%s: %+v, %v", user, id, err)
			}
		})
	}
	all.Wait()
	st := r.Stats()[0]
	if st.Answered != many || st.Sent != many || st.Batches >= many/2 || st.Waiting+st.Open != 0 || st.Bytes != 0 || st.Latency.Count != many {
		t.Errorf("%+v", st)
	}
}

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("HEDDLE_OF_THE_NODE", "secret")
	r := run(t, native.Deps{}, child(t, "authenticator", "environment, '$HOME; true'", "env: {SECRET: s3cret}"))
	id, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Names, Args   []string
		Secret, Stdin string
	}
	if err := json.Unmarshal(id.Metadata, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range got.Names {
		switch {
		case name == "SECRET", name == "HEDDLE_LIFELINE_FD", name == "HEDDLE_NATIVE_PLUGIN", strings.HasPrefix(name, "PLUGIN_"):
		default:
			t.Errorf("variable %s", name)
		}
	}
	if !slices.Contains(got.Names, "PLUGIN_CLIENT_CERT") {
		t.Error("the connection is not authenticated by certificates")
	}
	if got.Secret != "s3cret" || len(got.Args) != 1 || got.Args[0] != "$HOME; true" || !strings.HasPrefix(got.Stdin, "Dc") { // a device: /dev/null
		t.Errorf("%+v", got)
	}
}

func TestTokensOfAStuckAuthenticator(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "authenticator", "stuck", "timeout: 50ms", "queue: 2"))
	r.ready(t, 1)
	var all sync.WaitGroup
	var mu sync.Mutex
	messages := map[string]int{}
	for range 5 {
		all.Go(func() {
			_, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: "acme", Token: "x"})
			f := fault.Of(err)
			if f.Kind != fault.Unavailable || !f.Kind.Retryable() || f.After == 0 {
				t.Errorf("%v", err)
			}
			mu.Lock()
			messages[f.Msg]++
			mu.Unlock()
		})
	}
	all.Wait()
	if messages["too many tokens wait to be checked"] != 3 || messages["the service that checks tokens does not answer now"] != 2 {
		t.Errorf("%v", messages)
	}
	r.wait(t, 1, "the program hangs") // and is started again, with nothing of the old one
	r.ready(t, 2)
	if st := r.Stats()[0]; st.Waiting+st.Open != 0 || st.Bytes != 0 || st.Restarts == 0 || st.Dropped != 3 || st.Failed != 2 {
		t.Errorf("%+v", st)
	}
}

// Tokens whose clients have gone take no room of others.
func TestTokensThatNobodyWaitsFor(t *testing.T) {
	cfg := child(t, "authenticator", "echo", "timeout: 20ms", "queue: 2", "stop: 0s")
	cfg.Hash = strings.Repeat("0", 64) // never ready
	r := run(t, native.Deps{}, cfg)
	for range 6 {
		if _, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: "acme", Token: "x"}); fault.Of(err).Msg != "the service that checks tokens does not answer now" {
			t.Error(err)
		}
	}
	if st := r.Stats()[0]; st.Dropped != 0 || st.Failed != 6 {
		t.Errorf("%+v", st)
	}
}

// A lookup that its caller gives up is no failure of the plugin.
func TestTokensThatAreGivenUp(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "authenticator", "stuck", "timeout: 1m"))
	r.ready(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { // ends with ctx
		_, err := r.Authenticators[0].Authenticate(ctx, native.Credentials{Tenant: "acme", Token: "x"})
		asked <- err
	}()
	for late := time.After(patience); r.Stats()[0].Open == 0; {
		select {
		case <-late:
			t.Fatal("the plugin is not asked")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-asked; !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if st := r.Stats()[0]; st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestStrayAnswersEndTheProgram(t *testing.T) {
	r := run(t, native.Deps{}, child(t, "authenticator", "strays"))
	for range 3 {
		id, err := r.Authenticators[0].Authenticate(t.Context(), native.Credentials{Tenant: "acme", Token: "x"})
		if !fault.Is(err, fault.Unavailable) {
			t.Fatalf("%+v, %v", id, err)
		}
	}
	r.wait(t, 3, "which is not open")
}

func TestRefusedPrograms(t *testing.T) {
	path, sum := program(t, "child")
	open := filepath.Join(t.TempDir(), "open")
	if raw, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(open, raw, 0o700); err != nil {
		t.Fatal(err)
	} else if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	good := child(t, "authenticator", "echo")
	for name, c := range map[string]struct {
		change func(*native.Config)
		want   string
	}{
		"checksum":      {func(c *native.Config) { c.Hash = strings.Repeat("ab", 32) }, "is " + sum + ", and the configuration says abab"},
		"no file":       {func(c *native.Config) { c.Path += ".not" }, "no such file"},
		"writable":      {func(c *native.Config) { c.Path = open }, "everybody may write"},
		"version":       {func(c *native.Config) { c.Args = []string{"version"} }, "incompatible API version"},
		"other program": {func(c *native.Config) { c.Args = []string{"nothing"} }, "Unrecognized remote plugin message"},
		"other kind":    {func(c *native.Config) { c.Kind = "sink" }, "the program is no sink"},
		"crash":         {func(c *native.Config) { c.Args = []string{"what"} }, "exit status 2"},
		"no answer":     {func(c *native.Config) { c.Args, c.Start = []string{"sleep"}, 100*time.Millisecond }, "timeout while waiting for plugin to start"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			r := run(t, native.Deps{}, cfg)
			r.wait(t, 2, c.want)
			if n, _ := r.count("plugin ready"); n > 0 {
				t.Error("it is ready")
			}
			if err := r.Check(); err == nil || !strings.Contains(r.Stats()[0].Failure, c.want) {
				t.Errorf("check: %v; failure: %s", err, r.Stats()[0].Failure)
			}
			r.stop()
			if left, err := filepath.Glob(filepath.Join(os.TempDir(), "plugin*")); err != nil || len(left) > 0 {
				t.Errorf("sockets are left: %v, %v", left, err)
			}
		})
	}
}

func TestAuthenticatorExample(t *testing.T) {
	path, sum := program(t, "authenticator")
	file := filepath.Join(t.TempDir(), "tokens.ndjson")
	key := strings.Repeat("k", 32)
	issue := exec.Command(path, "-tokens", file, "-issue", "ann", "-tenant", "acme")
	issue.Env = []string{"HEDDLE_TOKEN_KEY=" + key}
	token, err := issue.Output()
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, native.Deps{}, readme(t, "authenticator", map[string]string{"path": path, "sha256": sum, "args": fmt.Sprintf("[-tokens, %s]", file), "HEDDLE_TOKEN_KEY": key})...)
	a := r.Authenticators[0]
	id, err := a.Authenticate(t.Context(), native.Credentials{Token: string(bytes.TrimSpace(token)), Remote: "192.0.2.1:7", Transport: "websocket"})
	if err != nil || id.Tenant != "acme" || id.User != "ann" || id.Expires == 0 || !id.Grants("conv:1") {
		t.Fatalf("%+v, %v", id, err)
	}
	if _, err = a.Authenticate(t.Context(), native.Credentials{Token: "hdl_guess"}); !fault.Is(err, fault.Unauthenticated) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = a.Authenticate(ctx, native.Credentials{Token: "x"}); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	r.stop()
	if _, err = a.Authenticate(t.Context(), native.Credentials{Token: "x"}); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
}
