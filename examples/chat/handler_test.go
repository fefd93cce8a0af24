package chat

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path, etag string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	Handler().ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	cases := []struct {
		name, method, path string
		status             int
		contentType        string
	}{
		{"page", "GET", "/", 200, "text/html"},
		{"page by name", "GET", "/index.html", 200, "text/html"},
		{"script", "GET", "/app.js", 200, "text/javascript"},
		{"style", "GET", "/style.css", 200, "text/css"},
		{"icon", "GET", "/icon.svg", 200, "image/svg+xml"},
		{"head", "HEAD", "/", 200, "text/html"},
		{"unknown", "GET", "/nothing", 404, "text/plain"},
		{"no way out", "GET", "/../handler.go", 404, "text/plain"},
		{"post", "POST", "/", 405, "text/plain"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := get(t, c.method, c.path, "")
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, c.contentType) {
				t.Errorf("content type %q, want %q", got, c.contentType)
			}
			if c.status == 200 && w.Header().Get("Content-Security-Policy") != policy {
				t.Error("no content security policy")
			}
		})
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	etag := get(t, "GET", "/app.js", "").Header().Get("ETag")
	if w := get(t, "GET", "/app.js", etag); w.Code != http.StatusNotModified {
		t.Errorf("status %d, want 304", w.Code)
	}
}

// The policy forbids what is inline, so the page must not have it.
func TestPageObeysItsPolicy(t *testing.T) {
	page := get(t, "GET", "/", "").Body.String()
	inline := regexp.MustCompile(`<style|<script>|\son\w+=|\sstyle=|https?://`)
	if found := inline.FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
	script := get(t, "GET", "/app.js", "").Body.String()
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(script, bad) {
			t.Errorf("the script uses %s", bad)
		}
	}
}
