package api

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Types of bodies.
const (
	jsonType = "application/json"
	zipType  = "application/zip"
)

// methods are the routes of one path.
type methods struct {
	by    map[string]http.Handler
	other func(w http.ResponseWriter, req *http.Request, err error)
}

func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m.by[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m.by[http.MethodGet] // whose body the HTTP server leaves out
	}
	if h != nil {
		h.ServeHTTP(w, r)
		return
	}
	allowed := m.allowed()
	w.Header().Set("Allow", allowed)
	if r.Method != http.MethodOptions {
		m.other(w, r, httpError(http.StatusMethodNotAllowed, fault.UnknownAction, "", "the methods of this path are "+allowed))
		return
	}
	if err := native(r); err != nil { // the question of a browser that would send more
		m.other(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (m *methods) allowed() string {
	all := append(slices.Collect(maps.Keys(m.by)), http.MethodOptions)
	if m.by[http.MethodGet] != nil {
		all = append(all, http.MethodHead)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// serve makes a route's handler: who asks, may they, what do they say, then the
// deed.
func (a *API) serve(r *route, n *counter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		begun, status := time.Now(), r.status
		reply, g, err := a.answer(r, w, req)
		if err != nil {
			status = statusOf(err)
			a.logged(w, req, r.path, g, err)
			refuse(w, err)
		} else {
			switch done := reply.(type) {
			case Result:
				if status == http.StatusCreated && done.repeated() {
					status = http.StatusOK // this time nothing was made
				}
			case *archive:
				sendBytes(w, status, zipType, done.bytes)
				done.sent()
				n.add(status, time.Since(begun))
				return
			}
			send(w, status, reply)
		}
		n.add(status, time.Since(begun))
	})
}

// logged writes a line for a request that failed, g is nil if nobody known sent it.
// One whose sender has gone away has not.
func (a *API) logged(w http.ResponseWriter, req *http.Request, path string, g *grant, err error) {
	if req.Context().Err() != nil {
		return
	}
	f, status := fault.Of(err), statusOf(err)
	attrs := []any{"method", req.Method, "route", path, "status", status, "code", f.Kind.Code(), "field", f.Field, "message", brief(f.Message()), "request", w.Header().Get(requestID)}
	if g != nil {
		attrs = append(attrs, "tenant", g.tenant, "key", g.id)
	} else {
		attrs = append(attrs, "remote", req.RemoteAddr)
	}
	level, text := slog.LevelInfo, "a request of the server API was refused"
	if status >= http.StatusInternalServerError {
		level, text = slog.LevelWarn, "a request of the server API failed"
	}
	if f.Err != nil {
		attrs = append(attrs, "error", err)
	}
	a.deps.Log.Log(req.Context(), level, text, attrs...)
}

// brief is the beginning of a message: what is wrong with a bundle may be long.
func brief(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// answer is what a route comes to, and the key that asked, nil if there is none.
func (a *API) answer(r *route, w http.ResponseWriter, req *http.Request) (reply any, g *grant, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.deps.Log.Error("a request of the server API panicked", "route", r.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "", "")
		}
	}()
	body := req.Body != http.NoBody
	control := http.NewResponseController(w)
	if body { // also what is not read is waited for
		_ = control.SetReadDeadline(time.Now().Add(a.deps.Timeout))
		w.Header().Set("Connection", "close") // until it was read
	}
	if g, err = a.admit(r, req); err != nil {
		return nil, g, err
	}
	defer g.leave()
	c := &call{grant: g}
	if err := c.query(r, req); err != nil {
		return nil, g, err
	}
	if r.scope == ScopePlugins && a.deps.Plugins == nil {
		return nil, g, missing("plugins")
	}
	if r.upload || r.archive {
		done, err := a.carry(g)
		if err != nil {
			return nil, g, err
		}
		defer func() {
			if given, ok := reply.(*archive); ok {
				given.sent = done
			} else {
				done()
			}
		}()
	}
	if body && (r.takesBody() || r.upload) {
		if c.body, err = a.read(r, c, w, req); err != nil {
			return nil, g, err
		}
		_ = control.SetReadDeadline(time.Time{})
		w.Header().Del("Connection")
	}
	if r.body != nil {
		if err := c.members(r.body, c.body); err != nil {
			return nil, g, err
		}
	}
	ctx, cancel := context.WithTimeout(req.Context(), a.deps.Timeout+r.longer)
	defer cancel()
	reply, err = r.handle(a, ctx, c)
	if c.last {
		w.Header().Set("Connection", "close")
	}
	if err != nil {
		reply = nil
	}
	return reply, g, err
}

// carry takes a place for an archive, which done gives back.
func (a *API) carry(g *grant) (done func(), err error) {
	if err := g.carry(); err != nil {
		return nil, err
	}
	select {
	case a.archives <- struct{}{}:
		return func() { <-a.archives; g.carried() }, nil
	default:
		g.carried()
		return nil, &fault.Error{Kind: fault.Overloaded, Msg: "as many bundles are under way as the node takes at once", After: time.Second}
	}
}

// read reads a body. An archive has the time of a usual body for each part of it that
// is as large as one.
func (a *API) read(r *route, c *call, w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if !r.upload {
		return readJSON(w, req)
	}
	most := a.deps.Plugins.MaxBundle(c.tenant)
	size := most
	if req.ContentLength >= 0 {
		size = min(size, req.ContentLength)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.deps.Timeout * time.Duration(1+size/maxBody)))
	return readBody(w, req, zipType, "bundle", most)
}

// admit finds the key, and has it pay for the request, which leave ends.
func (a *API) admit(r *route, req *http.Request) (*grant, error) {
	if err := native(req); err != nil {
		return nil, err
	}
	g, err := a.deps.Keys.find(req.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	if err := g.enter(a.deps.Now()); err != nil {
		return g, err
	}
	if r.scope != "" {
		if err := g.may(r.scope); err != nil {
			g.leave()
			return g, err
		}
	}
	return g, nil
}
