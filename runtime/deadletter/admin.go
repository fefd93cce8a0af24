package deadletter

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Replayer runs an event again.
type Replayer interface {
	// Replay takes the letter's envelope through the route, as from its sender, and
	// waits for the answer; a *fault.Error refuses it.
	Replay(ctx context.Context, n *Letter) error
}

// Page is a list of letters.
type Page struct {
	Letters []Letter `json:"letters"`
	Next    string   `json:"next,omitempty"` // after for the next page
}

// Outcome is what a replay has come to.
type Outcome struct {
	ID       string `json:"id"`
	Replayed bool   `json:"replayed"` // and the letter is gone
	Code     string `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// Routes are the handlers of the admin server, by pattern.
func (l *Letters) Routes(r Replayer) map[string]http.Handler {
	return map[string]http.Handler{
		"GET /deadletters":              http.HandlerFunc(l.list),
		"DELETE /deadletters/{id}":      http.HandlerFunc(l.drop),
		"POST /deadletters/{id}/replay": http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { l.replay(w, req, r) }),
	}
}

func (l *Letters) list(w http.ResponseWriter, r *http.Request) {
	q, limit := r.URL.Query(), defaultPage
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			http.Error(w, "limit is a number from 1 to "+strconv.Itoa(maxPage), http.StatusBadRequest)
			return
		}
	}
	p := Page{Letters: l.List(q.Get("tenant"), q.Get("after"), limit+1)}
	if len(p.Letters) > limit {
		p.Letters = p.Letters[:limit]
		p.Next = p.Letters[limit-1].ID
	}
	answer(w, http.StatusOK, p)
}

func (l *Letters) drop(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !l.Drop(id) {
		http.Error(w, "there is no such letter", http.StatusNotFound)
		return
	}
	l.deps.Log.Info("a dead letter was dropped", "id", id)
	w.WriteHeader(http.StatusNoContent)
}

// replay runs the event again under its id, unless it is stored already: it happens
// once, however often that is asked for. The letter goes when it has happened.
func (l *Letters) replay(w http.ResponseWriter, r *http.Request, by Replayer) {
	id := r.PathValue("id")
	n, ok := l.Find(id)
	if !ok {
		http.Error(w, "there is no such letter", http.StatusNotFound)
		return
	}
	done, err := l.stored(r.Context(), &n)
	if err == nil && !done {
		err = by.Replay(r.Context(), &n)
	}
	if err != nil {
		f := fault.Of(err)
		l.deps.Log.Warn("a dead letter failed again", "id", id, "tenant", n.Tenant, "action", n.Action, "error", err)
		answer(w, f.Kind.Status(), Outcome{ID: id, Code: f.Kind.Code(), Reason: reason(err)})
		return
	}
	l.Drop(id)
	l.deps.Log.Info("a dead letter was replayed", "id", id, "tenant", n.Tenant, "action", n.Action)
	answer(w, http.StatusOK, Outcome{ID: id, Replayed: true})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone away
}
