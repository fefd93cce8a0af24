package chat

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// The page needs its own script, style and images, and the server that it came
// from; nothing else, and nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type asset struct {
	name string
	body []byte
	etag string
}

// Handler serves the page at "/" and its files beside it, to GET and HEAD. Mount
// it behind http.StripPrefix to serve it below a folder. The page connects to
// /v1/ws and fetches its token from POST /dev/token of the same host.
func Handler() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		a, ok := assets[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // ask each time; the answer is 304 by the ETag
		h.Set("ETag", a.etag)
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
	})
}

// load maps URL paths to files. The files are part of the binary: reading them
// cannot fail.
func load() map[string]asset {
	assets := make(map[string]asset)
	names, _ := fs.Glob(static, "static/*")
	for _, name := range names {
		body, _ := static.ReadFile(name)
		sum := sha256.Sum256(body)
		assets["/"+path.Base(name)] = asset{path.Base(name), body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	assets["/"] = assets["/index.html"]
	return assets
}
