package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

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

// maxRequests is how many requests one plugin has under way, of which the body has arrived.
const maxRequests = 64

// Time for a body to arrive, and for the whole answer.
const (
	bodyTimeout    = 10 * time.Second
	requestTimeout = 30 * time.Second
)

// ServeHTTP brings a request to the plugin that its path names, if that has a binding
// with hook request, and answers what the plugin says. Who may send requests, the
// plugin decides, by a signature or a word in a header.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := s.requested(r)
	if v == nil {
		http.Error(w, "no such plugin, or it takes no requests", http.StatusNotFound)
		return
	}
	defer v.Release()
	p := v.Plugin()
	from := arriving{Reader: http.MaxBytesReader(w, r.Body, maxRequest), of: &s.bodies, tenant: p.Tenant}
	defer from.leave()
	body, err := readBody(w, &from)
	if err != nil {
		return
	}
	defer p.Requests.Add(-1) // a place is for who has sent his body: others could keep it
	if p.Requests.Add(1) > maxRequests {
		busy(w, unable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	c := called{wants: wants{hook: hostapi.HookRequest}, codec: codecOf(r), data: body, more: []hostapi.Attribute{
		text("method", r.Method), text("query", r.URL.RawQuery), text("headers", headers(r)), text("remote", r.RemoteAddr),
	}}
	err = s.callVersion(ctx, v, &c)
	var f *pool.Failure
	switch {
	case c.refused != nil:
		http.Error(w, c.refused.Msg, c.refused.Kind.Status())
	case errors.As(err, &f) && (f.Reason == pool.ReasonBusy || f.Reason == pool.ReasonBroken):
		busy(w, unable)
	case err != nil:
		http.Error(w, "the plugin has failed on this", http.StatusBadGateway)
	default:
		reply(w, c.reply)
	}
}

// requested is the version that a request is for, held; nil if there is none.
func (s *Service) requested(r *http.Request) *host.Version {
	p := s.deps.Host.For(r.PathValue("tenant")).Named(r.PathValue("plugin"))
	if p == nil {
		return nil
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	v := p.Choose(from)
	if v != nil && !v.Wants(&host.Subject{Hook: hostapi.HookRequest}) {
		v.Release()
		return nil
	}
	return v
}

const unable = "the plugin is not able to take this now"

func busy(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, why, http.StatusServiceUnavailable)
}

// readBody answers the request if its body is not to be had.
func readBody(w http.ResponseWriter, r io.Reader) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // without one it is only slower to end
	body, err := io.ReadAll(r)
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errBodies):
		w.Header().Set("Connection", "close") // a client that is still sending reads the answer first
		_ = control.SetReadDeadline(time.Now().Add(time.Second))
		busy(w, "too many requests to plugins are under way")
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("the body has more than %d bytes", maxRequest), http.StatusRequestEntityTooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded):
		http.Error(w, "the body did not arrive in time", http.StatusRequestTimeout)
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
	default:
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
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
