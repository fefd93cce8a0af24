package app

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/session"
)

const maxConnections = 1000

// connections lists connections of this node, for operators:
// GET /connections?tenant=&user=&session=&limit= ; a session of a tenant that has
// no connection is found in the store.
func (a *App) connections(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := session.Filter{Tenant: q.Get("tenant"), User: q.Get("user"), Session: q.Get("session"), Limit: 100}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxConnections {
			http.Error(w, "limit is a number from 1 to "+strconv.Itoa(maxConnections), http.StatusBadRequest)
			return
		}
		f.Limit = n
	}
	list := a.sessions.Connections(f)
	if len(list) == 0 && f.Tenant != "" && f.Session != "" {
		c, found, err := a.sessions.Stored(r.Context(), f.Tenant, f.Session)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if found {
			list = append(list, c)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"node": a.cfg.Node, "connections": list}) // the client has gone away
}
