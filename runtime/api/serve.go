package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	jsonType = "application/json"
	notFound = fault.NotFound
)

// methods are the routes of one path.
type methods map[string]http.Handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := m[r.Method]; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	allowed := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	w.Header().Set("Allow", allowed)
	refuse(w, httpError(http.StatusMethodNotAllowed, fault.UnknownAction, "", "the methods of this path are "+allowed))
}

// serve makes a route's handler: who asks, may they, what do they say, then the
// deed.
func (a *API) serve(r *route, n *counter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status := r.status
		reply, err := a.answer(r, w, req)
		if err != nil {
			status = statusOf(err)
			a.logged(req, r, err)
			refuse(w, err)
		} else {
			send(w, status, reply)
		}
		n.byStatus[status/100].Add(1)
	})
}

// logged tells operators of failures that are no client's.
func (a *API) logged(req *http.Request, r *route, err error) {
	if f := fault.Of(err); f.Err != nil && f.Kind.Status() >= http.StatusInternalServerError && req.Context().Err() == nil {
		a.deps.Log.Warn("a request of the server API failed", "route", r.path, "error", err)
	}
}

func (a *API) answer(r *route, w http.ResponseWriter, req *http.Request) (reply any, err error) {
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
	g, err := a.deps.Keys.find(req.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	if r.scope != "" {
		if err := g.may(r.scope); err != nil {
			return nil, err
		}
	}
	if err := g.enter(a.deps.Now()); err != nil {
		return nil, err
	}
	defer g.leave()
	c := &call{grant: g}
	if err := c.query(r, req); err != nil {
		return nil, err
	}
	if r.takesBody() && body {
		if c.body, err = readBody(w, req); err != nil {
			return nil, err
		}
		_ = control.SetReadDeadline(time.Time{})
		w.Header().Del("Connection")
	}
	if r.body != nil {
		if err := c.read(r.body, c.body); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(req.Context(), a.deps.Timeout)
	defer cancel()
	return r.handle(a, ctx, c)
}

// readBody reads a body of JSON.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || kind != jsonType || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, httpError(http.StatusUnsupportedMediaType, fault.Malformed, "Content-Type", "want "+jsonType)
	}
	if e := req.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, httpError(http.StatusUnsupportedMediaType, fault.Malformed, "Content-Encoding", "bodies are read as they are")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return bytes.TrimSpace(body), nil
	case errors.As(err, &large):
		return nil, fault.New(fault.TooLarge, "", "a body has at most "+strconv.Itoa(maxBody)+" bytes")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, httpError(http.StatusRequestTimeout, fault.Timeout, "", "the body did not arrive in time")
	}
	return nil, fault.New(fault.Malformed, "", "the body could not be read")
}

// refuse answers with the error object.
func refuse(w http.ResponseWriter, err error) {
	f := fault.Of(err)
	if f.After > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.After+time.Second-1)/time.Second)))
	}
	status := statusOf(err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	said := failureOf(f)
	if status == http.StatusNotImplemented {
		said.Retryable = false
	}
	send(w, status, said)
}

// send writes an answer; a client that does not take it is let go.
func send(w http.ResponseWriter, status int, reply any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(reply); err != nil { // a part of the node gave something else than JSON
		status = http.StatusInternalServerError
		b.Reset()
		_ = enc.Encode(failureOf(fault.New(fault.Internal, "", "")))
	}
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(sendTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client has gone away
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
}
