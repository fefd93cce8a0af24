package plugin

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
)

// RequestPath is where plugins are reached by HTTP: a webhook becomes a hook.
const RequestPath = "/hooks/{tenant}/{plugin}"

// maxRequest bounds the body of a request to a plugin.
const maxRequest = 256 << 10

// maxHeaders bounds the headers that a plugin sees.
const maxHeaders = 16 << 10

// ServeHTTP brings a request to the plugin that its path names, if that has a binding
// with hook request, and answers what the plugin says. Who may send requests, the
// plugin decides, by a signature or a word in a header.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := s.deps.Host.For(r.PathValue("tenant")).Named(r.PathValue("plugin"))
	if p == nil {
		http.Error(w, "no such plugin", http.StatusNotFound)
		return
	}
	v := p.Choose(r.RemoteAddr)
	if v == nil || !v.Wants(&host.Subject{Hook: hostapi.HookRequest}) {
		if v != nil {
			v.Release()
		}
		http.Error(w, "no such plugin", http.StatusNotFound)
		return
	}
	defer v.Release()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the body is too large, or was not sent", http.StatusRequestEntityTooLarge)
		return
	}
	c := called{hook: hostapi.HookRequest, codec: codecOf(r), data: body, more: []hostapi.Attribute{
		text("method", r.Method), text("query", r.URL.RawQuery), text("headers", headers(r)), text("remote", r.RemoteAddr),
	}}
	err = s.callVersion(r.Context(), v, &c)
	var refused *refusal
	var f *pool.Failure
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.fault.Msg, refused.fault.Kind.Status())
	case errors.As(err, &f) && (f.Reason == pool.ReasonBusy || f.Reason == pool.ReasonBroken):
		http.Error(w, "the plugin is not able to take this now", http.StatusServiceUnavailable)
	case err != nil:
		v.Plugin().Note("error", "hook request: "+err.Error())
		http.Error(w, "the plugin has failed on this", http.StatusBadGateway)
	default:
		reply(w, c.reply)
	}
}

func codecOf(r *http.Request) hostapi.Codec {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/json" {
		return hostapi.CodecJSON
	}
	return hostapi.CodecBytes
}

// headers are those of a request as lines "name: value", names in lower case.
func headers(r *http.Request) string {
	var b strings.Builder
	for name, values := range r.Header {
		for _, value := range values {
			if b.Len()+len(name)+len(value)+3 <= maxHeaders {
				b.WriteString(strings.ToLower(name) + ": " + value + "\n")
			}
		}
	}
	return b.String()
}

// reply writes what the plugin has answered; 204 if that is nothing.
func reply(w http.ResponseWriter, a *hostapi.Action) {
	if a == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	kind, status := string(a.B), int(a.Code)
	if kind == "" {
		kind = "application/json"
	}
	if status < 200 || status > 599 {
		status = http.StatusOK
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox") // a plugin is not to speak for the node's origin in a browser
	w.WriteHeader(status)
	_, _ = w.Write(a.A)
}
