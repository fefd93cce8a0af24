package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// ErrorObject is the body of an HTTP answer that refuses, as docs/PROTOCOL.md has it.
type ErrorObject struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Retry   bool   `json:"retryable"`
	After   int64  `json:"retry_after_ms"`
}

// ErrorObjectOf is the error object of f.
func ErrorObjectOf(f *fault.Error) ErrorObject {
	return ErrorObject{f.Kind.Code(), f.Message(), f.Field, f.Kind.Retryable(), f.After.Milliseconds()}
}

// RetryAfter is the header of this name for f, in whole seconds; empty if f does not say.
func RetryAfter(f *fault.Error) string {
	if f.After <= 0 {
		return ""
	}
	return strconv.Itoa(int((f.After + time.Second - 1) / time.Second))
}

// refusal is an HTTP answer with an error object.
type refusal struct {
	status int
	fault  *fault.Error
	header string // more lines, each with its end
}

func refuse(f *fault.Error) *refusal { return &refusal{status: f.Kind.Status(), fault: f} }

func (f refusal) write(c net.Conn) error {
	body, err := json.Marshal(ErrorObjectOf(f.fault))
	if err != nil {
		return errors.Join(err, c.Close())
	}
	head := f.header
	if after := RetryAfter(f.fault); after != "" {
		head += "Retry-After: " + after + "\r\n"
	}
	_, err = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s",
		f.status, http.StatusText(f.status), len(body), head, body)
	return err
}
