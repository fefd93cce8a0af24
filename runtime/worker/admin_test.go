package worker_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/heddle-rt/heddle/runtime/worker"
)

// admin is a worker's admin server.
type admin struct {
	t   testing.TB
	mux *http.ServeMux
}

func newAdmin(t testing.TB, w *worker.Worker) *admin {
	a := &admin{t, http.NewServeMux()}
	for pattern, h := range w.Routes() {
		a.mux.Handle(pattern, h)
	}
	return a
}

func (a *admin) ask(method, path string, into any) {
	a.t.Helper()
	rec := httptest.NewRecorder()
	a.mux.ServeHTTP(rec, httptest.NewRequestWithContext(a.t.Context(), method, path, nil))
	body, _ := io.ReadAll(rec.Body)
	if err := json.Unmarshal(body, into); rec.Code != http.StatusOK || err != nil {
		a.t.Fatalf("%s %s: %d %s", method, path, rec.Code, body)
	}
}

func TestBadRequests(t *testing.T) {
	a := newAdmin(t, worker.New(worker.Config{}, worker.Deps{}))
	for _, c := range [][2]string{
		{http.MethodGet, "/worker/dlq?limit=0"}, {http.MethodGet, "/worker/dlq?limit=1001"}, {http.MethodGet, "/worker/dlq?limit=x"}, {http.MethodPost, "/worker/dlq/replay"},
	} {
		rec := httptest.NewRecorder()
		a.mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), c[0], c[1], nil))
		if rec.Code != http.StatusBadRequest {
			t.Errorf("%s %s: %d", c[0], c[1], rec.Code)
		}
	}
}
