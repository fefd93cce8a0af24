package observe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve runs an Admin on a real port until the test ends.
func serve(t *testing.T, cfg Config, deps Deps) (a *Admin, url string) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	if deps.Registry == nil {
		deps.Registry = everyKind(100)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	a, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return a, "http://" + a.Addr().String()
}

func ask(t *testing.T, method, url, body string, header ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestRoutes(t *testing.T) {
	a, url := serve(t, Config{Pprof: true, CheckTimeout: time.Minute, StopTimeout: time.Minute}, Deps{Version: "v9"})
	a.Handle("GET /more", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "more") }))
	cases := map[string]string{
		"/metrics":                       "heddle_events_total{action=\"message:send\",tenant=\"acme\"} 3",
		"/healthz":                       `{"ok":true}`,
		"/readyz":                        `{"ready":true,"checks":[]}`,
		"/version":                       `"version":"v9"`,
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/profile?seconds=1": "",
		"/more":                          "more",
	}
	for path, want := range cases {
		if status, text := ask(t, "GET", url+path, ""); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.300s", path, status, text)
		}
	}
}

func TestPprofCanBeOff(t *testing.T) {
	_, url := serve(t, Config{CheckTimeout: time.Minute}, Deps{})
	if status, _ := ask(t, "GET", url+"/debug/pprof/", ""); status != 404 {
		t.Errorf("status %d", status)
	}
}

type readiness struct {
	Ready  bool
	Checks []verdict
}

func TestReadyNamesWhatFails(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	a, url := serve(t, Config{CheckTimeout: 50 * time.Millisecond}, Deps{Checks: []Check{
		{"log", func(context.Context) error { return nil }},
		{"disk", func(context.Context) error { return errors.New("4 MiB left") }},
	}})
	a.AddCheck(Check{"stuck", func(context.Context) error { <-hang; return nil }})
	a.AddCheck(Check{"broken", func(context.Context) error { panic("nil map") }})
	a.AddCheck(Check{"slow", func(ctx context.Context) error { <-ctx.Done(); return nil }})
	const late = "no answer in time"
	for rounds, tries := 0, 0; rounds < 3; tries++ { // the stuck probe is not started again
		status, text := ask(t, "GET", url+"/readyz", "")
		var got readiness
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		reasons := map[string]string{}
		for _, c := range got.Checks[:4] {
			reasons[c.Name] = c.Reason
			if c.OK != (c.Reason == "") {
				t.Errorf("%+v", c)
			}
		}
		if tries < 100 && (reasons["log"] == late || reasons["disk"] == late || reasons["broken"] == late) {
			continue // of all checks, on a slow machine
		}
		rounds++
		if status != 503 || got.Ready || reasons["log"] != "" || reasons["disk"] != "4 MiB left" || reasons["stuck"] != late || !strings.Contains(reasons["broken"], "nil map") {
			t.Errorf("%d %s", status, text)
		}
	}
}

func TestConcurrentReadinessSharesAProbe(t *testing.T) {
	var mu sync.Mutex
	calls, running := 0, 0
	_, url := serve(t, Config{CheckTimeout: time.Minute}, Deps{Checks: []Check{{"one", func(context.Context) error {
		mu.Lock()
		calls, running = calls+1, running+1
		tooMany := running > 1
		mu.Unlock()
		defer func() { mu.Lock(); running--; mu.Unlock() }()
		if tooMany {
			return errors.New("two at once")
		}
		return nil
	}}}})
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if status, text := ask(t, "GET", url+"/readyz", ""); status != 200 {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	wait.Wait()
	if calls == 0 {
		t.Error("never asked")
	}
}

func TestLogLevelOverHTTP(t *testing.T) {
	level := new(slog.LevelVar)
	_, url := serve(t, Config{CheckTimeout: time.Minute}, Deps{Level: level})
	if status, text := ask(t, "PUT", url+"/loglevel", `{"level":"DEBUG"}`); status != 200 || level.Level() != slog.LevelDebug || !strings.Contains(text, "DEBUG") {
		t.Errorf("%d %s", status, text)
	}
	for _, body := range []string{"", "{}", `{"level":"LOUD"}`} {
		if status, _ := ask(t, "PUT", url+"/loglevel", body); status != 400 || level.Level() != slog.LevelDebug {
			t.Errorf("%q: status %d", body, status)
		}
	}
}

func TestWebPagesAreKeptOut(t *testing.T) {
	_, url := serve(t, Config{CheckTimeout: time.Minute}, Deps{Level: new(slog.LevelVar)})
	if status, _ := ask(t, "GET", url+"/metrics", "", "Host", "rebound.example:9090"); status != 403 {
		t.Errorf("foreign name: %d", status)
	}
	if status, _ := ask(t, "GET", url+"/healthz", "", "Host", "localhost:1"); status != 200 {
		t.Errorf("localhost: %d", status)
	}
	if status, _ := ask(t, "PUT", url+"/loglevel", `{"level":"DEBUG"}`, "Origin", "https://evil.example"); status != 403 {
		t.Errorf("foreign origin: %d", status)
	}
}

func TestOnlyLoopbackUnlessExposed(t *testing.T) {
	cases := map[string]bool{
		"127.0.0.1:9090": true, "127.1.2.3:0": true, "[::1]:9090": true, "localhost:9090": true, "[::ffff:127.0.0.1]:1": true,
		":9090": false, "0.0.0.0:9090": false, "[::]:9090": false, "10.0.0.1:1": false, "node.example:1": false,
	}
	deps := Deps{Registry: everyKind(10), Log: slog.New(slog.DiscardHandler)}
	for listen, ok := range cases {
		if _, err := New(Config{Listen: listen}, deps); (err == nil) != ok {
			t.Errorf("%s: %v", listen, err)
		}
		if _, err := New(Config{Listen: listen, Expose: true}, deps); err != nil {
			t.Errorf("%s exposed: %v", listen, err)
		}
	}
	if _, err := New(Config{Listen: "9090", Expose: true}, deps); err == nil {
		t.Error("no port")
	}
}

func TestStopWaitsForRequestsWithinABound(t *testing.T) {
	for name, stop := range map[string]time.Duration{"in time": time.Minute, "too long": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			a, err := New(Config{Listen: "127.0.0.1:0", StopTimeout: stop}, Deps{Registry: everyKind(10), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			inside, leave := make(chan struct{}), make(chan struct{})
			a.Handle("/wait", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(inside)
				select {
				case <-leave:
				case <-r.Context().Done():
				}
			}))
			if err := a.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended, answered := make(chan error, 1), make(chan error, 1)
			go func() { ended <- a.Run(ctx) }()
			go func() {
				res, err := http.Get("http://" + a.Addr().String() + "/wait")
				if err == nil {
					err = res.Body.Close()
				}
				answered <- err
			}()
			<-inside
			cancel()
			if stop > time.Second {
				close(leave)
			}
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
			if err := <-answered; (err == nil) != (stop > time.Second) {
				t.Errorf("request: %v", err)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

func TestTakenAddressIsAnError(t *testing.T) {
	a, _ := serve(t, Config{CheckTimeout: time.Minute}, Deps{})
	b, err := New(Config{Listen: a.Addr().String()}, Deps{Registry: everyKind(10), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err == nil {
		t.Error("no error")
	}
}
