package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// failure is the error object of docs/PROTOCOL.md.
type failure struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Field     string `json:"field,omitempty"`
	Retryable bool   `json:"retryable"`
	After     int64  `json:"retry_after_ms,omitempty"`
}

func failureOf(f *fault.Error) failure {
	return failure{f.Kind.Code(), f.Message(), f.Field, f.Kind.Retryable(), f.After.Milliseconds()}
}

// readFailure is the failure that the route has answered.
func readFailure(data []byte) *fault.Error {
	var f failure
	_ = json.Unmarshal(data, &f) // the route's own
	e := &fault.Error{Field: f.Field, Msg: f.Message, After: time.Duration(f.After) * time.Millisecond}
	for _, k := range fault.Kinds() {
		if k.Code() == f.Code {
			e.Kind = k
		}
	}
	return e
}

// plain is a failure of HTTP itself, whose status says more than its kind's.
type plain struct {
	fault  *fault.Error
	status int
}

func (p plain) Error() string { return p.fault.Error() }

func (p plain) Unwrap() error { return p.fault }

func httpError(status int, kind fault.Kind, field, msg string) error {
	return plain{fault.New(kind, field, msg), status}
}

// missing is what a node answers that was built without a part.
func missing(what string) error {
	return httpError(http.StatusNotImplemented, fault.UnknownAction, "", "this node has no "+what)
}

// badBundle refuses a bundle. Its status says that it is no member or parameter that is
// wrong.
func badBundle(msg string) error {
	return httpError(http.StatusBadRequest, fault.Invalid, "bundle", msg)
}

func statusOf(err error) int {
	if p, ok := err.(plain); ok {
		return p.status
	}
	return fault.Of(err).Kind.Status()
}

// within says where in a request's body a failure is whose path was that of an
// envelope: data is the prefix that the envelope's data has in the body, "" if the
// body is the data.
func within(err error, data string) error {
	if _, ok := err.(plain); ok || err == nil {
		return err
	}
	f := *fault.Of(err)
	switch rest, inData := strings.CutPrefix(f.Field, "data."); {
	case f.Field == "payload.action":
		f.Field = "action"
	case f.Field == "payload.data" || f.Field == "data":
		f.Field = data
	case !inData:
	case data == "":
		f.Field = rest
	default:
		f.Field = data + "." + rest
	}
	return &f
}
