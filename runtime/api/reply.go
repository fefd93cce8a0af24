package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

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
	sendBytes(w, status, jsonType, b.Bytes())
}

// sendBytes writes an answer as it is. It may take longer if it is large.
func sendBytes(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(sendTimeout * time.Duration(1+len(body)/maxBody)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone away
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
}
