package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

type fakeKey struct{}

const fakeAPIKey = "dev.0123456789abcdef0123456789abcdef"

// fake is the server API of a node, as far as plugins go. It runs nothing.
type fake struct {
	server *httptest.Server

	mu      sync.Mutex
	plugins map[string]*fakePlugin
	deploys int
	away    bool          // it answers nobody
	missed  int           // requests since then
	changed chan struct{} // closed at the next deploy, line, or request that is missed
	rooms   map[string][]json.RawMessage
}

type fakePlugin struct {
	st      map[string]any // as host.Status is encoded
	bundles map[int][]byte
	metas   []host.Meta
	lines   []host.Line
	heard   int // of lines, that somebody has been given
}

func (f *fake) start() string {
	f.plugins, f.changed, f.rooms = map[string]*fakePlugin{}, make(chan struct{}), map[string][]json.RawMessage{}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request){
		"POST /v1/api/plugins": f.deploy, "GET /v1/api/plugins": f.list, "GET /v1/api/plugins/{name}": f.status,
		"GET /v1/api/plugins/{name}/bundle": f.bundle, "GET /v1/api/plugins/{name}/logs": f.logs, "GET /v1/api/plugins/{name}/diffs": f.diffs,
		"POST /v1/api/plugins/{name}/rollback": f.rollback, "POST /v1/api/plugins/{name}/promote": f.promote,
		"POST /v1/api/plugins/{name}/stop": f.end, "DELETE /v1/api/plugins/{name}": f.remove, "GET /v1/api/rooms/{room}/history": f.history,
	} {
		mux.HandleFunc(pattern, handle)
	}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.misses() {
			panic(http.ErrAbortHandler) // the connection ends
		}
		if r.Header.Get("Authorization") != "Bearer "+fakeAPIKey {
			refuse(w, 401, "unauthenticated", "", "the key is not known")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return f.server.URL
}

func (f *fake) stop() {
	f.server.CloseClientConnections()
	f.server.Close()
}

// leave has the fake answer nobody, or everybody again.
func (f *fake) leave(away bool) {
	f.mu.Lock()
	f.away, f.missed = away, 0
	f.mu.Unlock()
	if away {
		f.server.CloseClientConnections()
	}
}

func (f *fake) misses() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		f.missed++
		f.stir()
	}
	return f.away
}

func refuse(w http.ResponseWriter, status int, code, field, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "field": field, "retryable": false})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// stir wakes who waits, with mu held.
func (f *fake) stir() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) deploy(w http.ResponseWriter, r *http.Request) {
	packed, _ := io.ReadAll(r.Body)
	b, err := manifest.Unpack(packed, 1<<20)
	if err != nil || r.Header.Get("Content-Type") != "application/zip" {
		refuse(w, 400, "invalid", "bundle", fmt.Sprint(err))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.plugins[b.Manifest.Name]
	as := r.FormValue("as")
	if p == nil && as != host.Live {
		refuse(w, 409, "conflict", "as", "the first version of a plugin can only be live: there is nothing to compare it with")
		return
	}
	if p == nil {
		p = &fakePlugin{st: map[string]any{"plugin": b.Manifest.Name, "previous": 0}, bundles: map[int][]byte{}}
		f.plugins[b.Manifest.Name] = p
	}
	n := len(p.metas) + 1
	if was, _ := p.st[as].(int); was > 0 && p.metas[was-1].Digest == b.Digest() {
		d := deployed{Plugin: b.Manifest.Name, Meta: p.metas[was-1], Unchanged: true}
		if d.Live, _ = p.st["live"].(int); as == host.Canary {
			d.Share, _ = strconv.ParseFloat(r.FormValue("share"), 64)
			if before, _ := p.st["share"].(float64); before != d.Share {
				d.ShareWas, d.Unchanged, p.st["share"] = before, false, d.Share
			}
		}
		answer(w, 201, d)
		return
	}
	m := host.Meta{Number: n, Version: b.Manifest.Version, Digest: b.Digest(), By: "dev", Deployed: 1767225600000, Size: len(b.Module), Captured: true, Took: "5ms"}
	p.metas, p.bundles[n] = append(p.metas, m), packed
	if as == host.Live {
		if was, there := p.st["live"]; there {
			p.st["previous"] = was
		}
	}
	p.st[as] = n
	if as == host.Canary {
		p.st["share"], _ = strconv.ParseFloat(r.FormValue("share"), 64)
	}
	p.st["versions"] = p.metas
	f.deploys++
	f.stir()
	d := deployed{Plugin: b.Manifest.Name, Meta: m}
	d.Live, _ = p.st["live"].(int)
	answer(w, 201, d)
}

// live puts another version there, and ends what the fake has beside it, with mu held.
func (p *fakePlugin) live(name string, number int) deployed {
	d := deployed{Plugin: name, Meta: p.metas[number-1], Live: number, Ended: map[string]int{}}
	if was, _ := p.st["live"].(int); was != number {
		d.Was = was
	}
	for _, as := range []string{host.Canary, host.Shadow} {
		if n, _ := p.st[as].(int); n != 0 && n != number {
			d.Ended[as] = n
		}
		delete(p.st, as)
	}
	p.st["live"] = number
	d.Unchanged = d.Was == 0 && len(d.Ended) == 0
	return d
}

func (f *fake) named(w http.ResponseWriter, r *http.Request) *fakePlugin {
	p := f.plugins[r.PathValue("name")]
	if p == nil {
		refuse(w, 404, "not_found", "plugin", fmt.Sprintf("there is no plugin %q", r.PathValue("name")))
	}
	return p
}

func (f *fake) list(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []any{}
	for _, p := range f.plugins {
		out = append(out, p.st)
	}
	answer(w, 200, map[string]any{"plugins": out})
}

func (f *fake) status(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		p.st["stats"] = map[string]any{"live": map[string]any{
			"number": p.st["live"], "events": 1200, "failed": map[string]int{"fuel": 3, "deadline": 0}, "p50_ms": 0.012, "p99_ms": 0.2, "fuel_per_event": 1234.5, "instances": 2,
		}}
		answer(w, 200, p.st)
	}
}

func (f *fake) bundle(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		n, _ := p.st["live"].(int)
		if s := r.FormValue("number"); s != "" {
			n, _ = strconv.Atoi(s)
		}
		_, _ = w.Write(p.bundles[n])
	}
}

func (f *fake) rollback(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Number int }
	err := json.NewDecoder(r.Body).Decode(&ask)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.named(w, r)
	if p == nil {
		return
	}
	if ask.Number == 0 {
		ask.Number, _ = p.st["previous"].(int)
	}
	if err != nil || ask.Number == 0 {
		refuse(w, 409, "conflict", "", "there is no version before this one")
		return
	}
	if p.bundles[ask.Number] == nil {
		refuse(w, 404, "not_found", "number", fmt.Sprintf("version %d is not kept", ask.Number))
		return
	}
	answer(w, 200, p.live(r.PathValue("name"), ask.Number))
}

func (f *fake) promote(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		if p.st["canary"] == nil {
			refuse(w, 409, "conflict", "", "there is no canary")
			return
		}
		canary, _ := p.st["canary"].(int)
		answer(w, 200, p.live(r.PathValue("name"), canary))
	}
}

func (f *fake) end(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		live, _ := p.st["live"].(int)
		answer(w, 200, p.live(r.PathValue("name"), live))
	}
}

func (f *fake) remove(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		delete(f.plugins, r.PathValue("name"))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fake) logs(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.FormValue("after"))
	wait, _ := strconv.Atoi(r.FormValue("wait_ms"))
	over := time.After(time.Duration(wait) * time.Millisecond)
	for {
		f.mu.Lock()
		p := f.named(w, r)
		if p == nil {
			f.mu.Unlock()
			return
		}
		if lines := len(p.lines); after > p.heard && after <= lines {
			p.heard = after
			f.stir()
		}
		lines, changed := p.lines[min(after, len(p.lines)):], f.changed
		if len(lines) > 0 || wait == 0 {
			answer(w, 200, map[string]any{"lines": lines, "next": len(p.lines)})
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-over:
			wait = 0
		}
	}
}

// sick has a plugin's live version not run, and fail.
func (f *fake) sick(name, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plugins[name].st["cannot_run"], f.plugins[name].st["failed"] = map[string]string{"live": why}, 7
}

func (f *fake) say(name, level, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.plugins[name]
	p.lines = append(p.lines, host.Line{Sequence: uint64(len(p.lines) + 1), Time: 1767225600000, Number: 1, Level: level, Text: text})
	f.stir()
}

func (f *fake) diffs(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.named(w, r); p != nil {
		_, _ = io.WriteString(w, `{"diffs":[{"time":1767225600000,"action":"message:send","room":"conv:1","user":"ann","id":"m1",
			"live":[],"shadow":[{"do":"drop","code":"forbidden","text":"<no>"}],"live_failed":"fuel","shadow_failed":""}]}`)
	}
}

func (f *fake) remember(room string, events []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []json.RawMessage
	f.rooms[room] = nil
	err := json.Unmarshal(events, &list)
	f.rooms[room] = list
	return err
}

// history pages backwards; an event's offset is its place from 1.
func (f *fake) history(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.rooms[r.PathValue("room")]
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	end := len(all)
	if before, _ := strconv.Atoi(r.FormValue("before")); before > 0 {
		end = before - 1
	}
	from := max(0, end-min(limit, 2)) // small pages
	answer(w, 200, map[string]any{"events": all[from:end], "epoch": "e", "more": from > 0})
}

// until waits for something that is asked with mu held.
func (f *fake) until(what string, holds func() bool) error {
	over := time.After(30 * time.Second)
	for {
		f.mu.Lock()
		done, changed := holds(), f.changed
		f.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-over:
			return fmt.Errorf("%s: it does not come to that", what)
		}
	}
}
