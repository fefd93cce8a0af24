package api

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// requestID is the header that names a request.
const requestID = "X-Request-Id"

// maxRequestID is the longest id of a caller's that is taken over, in bytes.
const maxRequestID = 128

// requestIDOf is the caller's own name for a request, or else a new one.
func requestIDOf(req *http.Request) string {
	id := req.Header.Get(requestID)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return rand.Text()
	}
	return id
}

// native refuses what a browser sends for a page of another origin: whoever can
// read an API key there can read everything. No answer ever has a header of CORS,
// so that pages would see none either.
func native(req *http.Request) error {
	bad := false
	switch req.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		bad = true
	}
	if origin := req.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		bad = bad || err != nil || u.Host == "" || !strings.EqualFold(u.Host, req.Host)
	}
	if bad {
		return fault.New(fault.Forbidden, "Origin", "the server API is for servers: it is closed to web pages of other origins")
	}
	return nil
}

// readJSON reads a body of JSON.
func readJSON(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	body, err := readBody(w, req, jsonType, "", maxBody)
	return bytes.TrimSpace(body), err
}

// readBody reads a body of a type, of at most so many bytes. One that says that it has
// more is not begun if its sender waits for that; others would lose the answer with the
// connection. field is what it is called.
func readBody(w http.ResponseWriter, req *http.Request, want, field string, most int64) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || kind != want || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, httpError(http.StatusUnsupportedMediaType, fault.Malformed, "Content-Type", "want "+want)
	}
	if e := req.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 12.5.3
		return nil, httpError(http.StatusUnsupportedMediaType, fault.Malformed, "Content-Encoding", "bodies are read as they are")
	}
	large := fault.New(fault.TooLarge, field, "a body has at most "+strconv.FormatInt(most, 10)+" bytes")
	if req.ContentLength > most && req.Header.Get("Expect") != "" {
		return nil, large
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &over):
		return nil, large
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, httpError(http.StatusRequestTimeout, fault.Timeout, "", "the body did not arrive in time")
	}
	return nil, fault.New(fault.Malformed, "", "the body could not be read")
}
