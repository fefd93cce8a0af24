package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// shelf is Plugins with one plugin, "tiny".
type shelf struct {
	err  error
	busy chan struct{} // a deploy lasts until it is closed; nil: not at all

	mu     sync.Mutex
	asked  string
	deploy Deploy
	lines  []PluginLine
	more   chan struct{}
}

func (s *shelf) note(tenant, plugin, what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = tenant + " " + plugin + " " + what
	if plugin != "tiny" {
		return fault.New(fault.NotFound, "plugin", "there is no such plugin")
	}
	return s.err
}

func (s *shelf) MaxBundle(string) int64 { return 3 << 20 }

func (s *shelf) Deploy(_ context.Context, tenant string, d Deploy) (Deployed, error) {
	err := s.note(tenant, "tiny", "deploy")
	if s.busy != nil {
		<-s.busy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deploy = d
	return Deployed{Plugin: "tiny", PluginVersion: PluginVersion{Number: 7, By: d.By}, Live: 7, Unchanged: true}, err
}

func (s *shelf) Switch(_ context.Context, tenant, plugin string, to Switch) (Deployed, error) {
	return Deployed{Plugin: plugin, PluginVersion: PluginVersion{Number: 6}, Live: 6, Was: 7, Ended: map[string]int{"shadow": 8}}, s.note(tenant, plugin, fmt.Sprintf("switch %+v", to))
}

func (s *shelf) Remove(_ context.Context, tenant, plugin string) error {
	return s.note(tenant, plugin, "remove")
}

func (s *shelf) List(tenant string) []Plugin {
	_ = s.note(tenant, "tiny", "list") // which does not fail
	return nil
}

func (s *shelf) Plugin(tenant, plugin string) (Plugin, error) {
	return Plugin{Plugin: plugin, Live: 1, Stats: map[string]PluginStats{}}, s.note(tenant, plugin, "read")
}

func (s *shelf) Bundle(_ context.Context, tenant, plugin string, number int) ([]byte, error) {
	return []byte("PK..."), s.note(tenant, plugin, fmt.Sprint("bundle ", number))
}

func (s *shelf) Lines(tenant, plugin string, after uint64) ([]PluginLine, <-chan struct{}, error) {
	err := s.note(tenant, plugin, fmt.Sprint("lines ", after))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[min(int(after), len(s.lines)):], s.more, err
}

func (s *shelf) Diffs(tenant, plugin string) ([]PluginDiff, error) {
	return []PluginDiff{{Action: "message:send", Live: json.RawMessage("[]"), Shadow: json.RawMessage(`[{"do":"drop"}]`)}}, s.note(tenant, plugin, "diffs")
}

// say adds a line.
func (s *shelf) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, PluginLine{Sequence: uint64(len(s.lines) + 1), Level: "info", Text: text})
	close(s.more)
	s.more = make(chan struct{})
}

var zipped = http.Header{"Content-Type": {"application/zip"}}

func TestPluginRoutes(t *testing.T) {
	s, log := &shelf{}, &bytes.Buffer{}
	a := served(t, answers, func(d *Deps) { d.Plugins, d.Log = s, slog.New(slog.NewTextHandler(log, nil)) })
	without := served(t, answers, nil)
	long := "it is refused because\n" + strings.Repeat("of this, ", 1000)
	for _, c := range []struct {
		method, path, body string
		err                error
		status             int
		answer, asked      string
	}{
		{"POST", "plugins", "PK", nil, 201, `{"plugin":"tiny","number":7,`, "acme tiny deploy"},
		{"POST", "plugins?as=canary&share=0.05", "PK", nil, 201, `"by":"k"`, "acme tiny deploy"},
		{"POST", "plugins", "PK", nil, 201, `"live":7,"unchanged":true}`, "acme tiny deploy"},
		{"POST", "plugins?as=live&share=0.05", "PK", nil, 422, `"field":"share"`, ""},
		{"POST", "plugins", "PK", fault.New(fault.Invalid, "bundle", long), 400, strings.TrimRight(long[22:], " "), "acme tiny deploy"},
		{"POST", "plugins", "PK", fault.New(fault.Conflict, "as", "x"), 409, `"field":"as"`, "acme tiny deploy"},
		{"POST", "plugins", "PK", fault.New(fault.Overloaded, "", ""), 503, `"retryable":true`, "acme tiny deploy"},
		{"POST", "plugins", "PK", fault.Wrap("x", fault.StorageFull, errors.New("secret")), 507, `"code":"storage_full"`, "acme tiny deploy"},
		{"GET", "plugins", "", nil, 200, `{"plugins":[]}`, "acme tiny list"},
		{"GET", "plugins/tiny", "", nil, 200, `"stats":{}`, "acme tiny read"},
		{"GET", "plugins/none", "", nil, 404, `"field":"plugin"`, "acme none read"},
		{"GET", "plugins/a%2Fb", "", nil, 404, `"field":"plugin"`, "acme a/b read"},
		{"GET", "plugins/tiny/bundle", "", nil, 200, `PK...`, "acme tiny bundle 0"},
		{"GET", "plugins/tiny/bundle?number=3", "", nil, 200, `PK...`, "acme tiny bundle 3"},
		{"GET", "plugins/tiny/bundle?number=0", "", nil, 422, `"field":"number"`, ""},
		{"GET", "plugins/none/bundle", "", nil, 404, `"field":"plugin"`, "acme none bundle 0"},
		{"POST", "plugins/tiny/rollback", `{"number":3}`, nil, 200, `{"plugin":"tiny","number":6,`, "acme tiny switch {Promote:false Stop:false Number:3}"},
		{"POST", "plugins/tiny/rollback", "", nil, 200, `"number":6`, "acme tiny switch {Promote:false Stop:false Number:0}"},
		{"POST", "plugins/tiny/rollback", `{"to":3}`, nil, 422, `"field":"to"`, ""},
		{"POST", "plugins/tiny/promote", "", nil, 200, `"live":6,"was":7,"ended":{"shadow":8}}`, "acme tiny switch {Promote:true Stop:false Number:0}"},
		{"POST", "plugins/tiny/stop", "", fault.New(fault.Conflict, "", "no"), 409, `"message":"no"`, "acme tiny switch {Promote:false Stop:true Number:0}"},
		{"DELETE", "plugins/tiny", "", nil, 200, `{"plugin":"tiny","removed":true}`, "acme tiny remove"},
		{"GET", "plugins/tiny/logs?after=5", "", nil, 200, `{"lines":[],"next":5}`, "acme tiny lines 5"},
		{"GET", "plugins/tiny/logs?wait_ms=30001", "", nil, 422, `"field":"wait_ms"`, ""},
		{"GET", "plugins/none/logs?wait_ms=30000", "", nil, 404, `"field":"plugin"`, "acme none lines 0"},
		{"GET", "plugins/tiny/diffs", "", nil, 200, `"live":[],"shadow":[{"do":"drop"}]}`, "acme tiny diffs"},
	} {
		s.err, s.asked = c.err, ""
		log.Reset()
		header := http.Header{}
		if c.body == "PK" {
			header = zipped
		}
		w := request(a, c.method, c.path, c.body, header)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.answer) || strings.Contains(w.Body.String(), "secret") || s.asked != c.asked {
			t.Errorf("%s %s %s: %d %s, asked %q", c.method, c.path, c.body, w.Code, w.Body, s.asked)
		}
		if log.Len() > 2000 {
			t.Errorf("%s %s: %d bytes of log", c.method, c.path, log.Len())
		}
		if w = request(without, c.method, c.path, c.body, header); w.Code != 501 && w.Code != 422 {
			t.Errorf("%s %s without plugins: %d", c.method, c.path, w.Code)
		}
	}
}

func TestDeploy(t *testing.T) {
	s := &shelf{}
	a := served(t, answers, func(d *Deps) { d.Plugins = s })
	body := "PK" + strings.Repeat("x", 3<<20-2) // more than of other routes
	for _, c := range []struct {
		query string
		want  Deploy
	}{
		{"", Deploy{By: "k", As: "live"}}, {"?as=live", Deploy{By: "k", As: "live"}}, {"?as=shadow", Deploy{By: "k", As: "shadow"}}, {"?as=canary&share=1", Deploy{By: "k", As: "canary", Share: 1}},
	} {
		w := request(a, "POST", "plugins"+c.query, body, zipped)
		got := s.deploy
		if got.Bundle = nil; w.Code != 201 || fmt.Sprint(got) != fmt.Sprint(c.want) || string(s.deploy.Bundle) != body {
			t.Errorf("%s: %d %s, %+v", c.query, w.Code, w.Body, got)
		}
	}
	for name, c := range map[string]struct {
		body   string
		header http.Header
		status int
	}{
		"JSON":       {"{}", nil, 415},
		"compressed": {"PK", http.Header{"Content-Type": {"application/zip"}, "Content-Encoding": {"gzip"}}, 415},
		"too large":  {body + "x", zipped, 413},
		"nothing":    {"", zipped, 201}, // the bundle is judged elsewhere
	} {
		if w := request(a, "POST", "plugins", c.body, c.header); w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestBundleIsAnArchive as it is, with its type.
func TestBundleIsAnArchive(t *testing.T) {
	a := served(t, answers, func(d *Deps) { d.Plugins = &shelf{} })
	w := request(a, "GET", "plugins/tiny/bundle", "", nil)
	for range 2 * maxArchivesOfKey { // places are given back, also of what fails
		if again, none := request(a, "GET", "plugins/tiny/bundle", "", nil), request(a, "GET", "plugins/none/bundle", "", nil); again.Code != 200 || none.Code != 404 {
			t.Fatalf("%d %d", again.Code, none.Code)
		}
	}
	if h := w.Header(); w.Body.String() != "PK..." || h.Get("Content-Type") != "application/zip" || h.Get("Content-Length") != "5" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", w.Body, h)
	}
	for _, n := range a.Stats() {
		if strings.HasSuffix(n.Route, "/bundle") && n.ByStatus[200] != 1+2*maxArchivesOfKey {
			t.Errorf("counted %+v", n)
		}
	}
}

// TestArchivesAtOnce: a key has few, and all keys together have not many.
func TestArchivesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{busy: make(chan struct{})}
		var keys []Key
		for i := range maxArchives/maxArchivesOfKey + 1 {
			keys = append(keys, Key{ID: fmt.Sprint("k", i), Secret: secret, Scopes: allScopes(), Rate: 1, Burst: 100})
		}
		ring, err := NewKeyring(map[string][]Key{"acme": keys})
		if err != nil {
			t.Fatal(err)
		}
		a := served(t, answers, func(d *Deps) { d.Plugins, d.Keys = s, ring })
		upload := func(key string) *httptest.ResponseRecorder {
			return request(a, "POST", "plugins", "PK", http.Header{"Content-Type": {"application/zip"}, "Authorization": {"Bearer " + key + "." + secret}})
		}
		var under sync.WaitGroup
		for i := range maxArchives {
			under.Go(func() { // ends when the shelf is not busy any more
				if w := upload(fmt.Sprint("k", i/maxArchivesOfKey)); w.Code != 201 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		if w := upload("k0"); w.Code != 429 || !strings.Contains(w.Body.String(), "other bundles of this key") || w.Header().Get("Retry-After") == "" {
			t.Errorf("one more of a key: %d %s", w.Code, w.Body)
		}
		last := keys[len(keys)-1].ID
		for range 2 { // the key's place is given back
			if w := upload(last); w.Code != 503 || !strings.Contains(w.Body.String(), `"code":"overloaded"`) {
				t.Errorf("one more of all: %d %s", w.Code, w.Body)
			}
		}
		close(s.busy)
		under.Wait()
		for _, k := range []string{"k0", last} {
			if w := upload(k); w.Code != 201 {
				t.Errorf("afterwards: %d %s", w.Code, w.Body)
			}
		}
	})
}

// TestWaitForLines ends with a line, with time, with the client and with the node.
func TestWaitForLines(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(s *shelf, leave func(), drain chan struct{})
		after   time.Duration
		body    string
		close   string
	}{
		"a line":            {func(s *shelf, _ func(), _ chan struct{}) { s.say("hello") }, 0, `"text":"hello"}],"next":1}`, ""},
		"time":              {func(*shelf, func(), chan struct{}) {}, 20 * time.Second, `{"lines":[],"next":0}`, ""},
		"the client leaves": {func(_ *shelf, leave func(), _ chan struct{}) { leave() }, 0, "", ""},
		"the node drains":   {func(_ *shelf, _ func(), drain chan struct{}) { close(drain) }, 0, `{"lines":[],"next":0}`, "close"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, drain := &shelf{more: make(chan struct{})}, make(chan struct{})
				a := served(t, answers, func(d *Deps) { d.Plugins, d.Leaving, d.Timeout = s, drain, time.Second })
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				req := httptest.NewRequestWithContext(ctx, "GET", Prefix+"plugins/tiny/logs?wait_ms=20000", http.NoBody)
				req.Header.Set("Authorization", "Bearer k."+secret)
				w, began := httptest.NewRecorder(), time.Now()
				var wg sync.WaitGroup
				var answered atomic.Bool
				wg.Go(func() { // ends as each case says
					a.ServeHTTP(w, req)
					answered.Store(true)
				})
				synctest.Wait()
				if answered.Load() {
					t.Error("it does not wait")
				}
				c.happens(s, leave, drain)
				wg.Wait()
				if took := time.Since(began); took != c.after || !strings.Contains(w.Body.String(), c.body) || w.Header().Get("Connection") != c.close {
					t.Errorf("after %v: %s %v", took, w.Body, w.Header())
				}
			})
		})
	}
}

// TestSlowArchive has more time than a small body, and not for ever.
func TestSlowArchive(t *testing.T) {
	a := served(t, answers, func(d *Deps) { d.Plugins, d.Timeout = &shelf{}, time.Minute })
	for name, c := range map[string]struct {
		length int64
		want   time.Duration
	}{
		"small": {100, time.Minute}, "of a MiB": {1 << 20, 2 * time.Minute}, "of unknown length": {-1, 4 * time.Minute}, "with a lie": {1 << 40, 4 * time.Minute},
	} {
		req := httptest.NewRequest("POST", Prefix+"plugins", io.LimitReader(strings.NewReader("PK"), 2))
		req.ContentLength = c.length
		req.Header = http.Header{"Authorization": {"Bearer k." + secret}, "Content-Type": {"application/zip"}}
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		a.ServeHTTP(w, req)
		if w.Code != 201 || len(w.at) != 3 || !w.at[2].IsZero() {
			t.Fatalf("%s: %d %s, %v", name, w.Code, w.Body, w.at)
		}
		if got := w.at[1].Sub(began); got < c.want || got > c.want+30*time.Second {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// deadlines notes those that are set for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	at []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.at = append(d.at, at)
	return nil
}
