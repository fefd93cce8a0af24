package heddle

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// Errors of the client itself.
var (
	ErrClosed   = errors.New("heddle: the client is closed")
	ErrBusy     = errors.New("heddle: too many requests wait for an answer")
	ErrTooLarge = errors.New("heddle: the envelope is larger than a frame may be")
	ErrRunning  = errors.New("heddle: Run was called before")
	// ErrOutcomeUnknown ends a request that was written, and not answered while the
	// server was sure to know its id: whether it happened is unknown, and written
	// again it could happen twice. History tells.
	ErrOutcomeUnknown = errors.New("heddle: sent long ago and never answered: it may have happened")
	// ErrOtherEvent is the answer of Event's methods that read data of another action.
	ErrOtherEvent = errors.New("heddle: the event is of another kind")

	errDrained = errors.New("heddle: the node is going away")
	errGap     = errors.New("heddle: a gap was not filled")
	errSilent  = errors.New("heddle: the server is silent")
	errOpening = errors.New("heddle: no answer to the session's opening")
)

// Error is the server's refusal of a request.
type Error struct {
	Code       string
	Message    string
	Field      string // the path of the offending field, "data.text"; may be empty
	Retryable  bool   // a request is then sent again by the client itself
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	s := "heddle: " + e.Code
	if e.Field != "" {
		s += " in " + e.Field
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

func parseError(data []byte) *Error {
	var d struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		Field      string `json:"field"`
		Retryable  bool   `json:"retryable"`
		RetryAfter int64  `json:"retry_after_ms"`
	}
	if err := json.Unmarshal(data, &d); err != nil || d.Code == "" {
		return &Error{Code: "internal", Message: "an error that cannot be read"}
	}
	after := time.Duration(min(max(d.RetryAfter, 0), time.Hour.Milliseconds())) * time.Millisecond
	return &Error{Code: d.Code, Message: d.Message, Field: d.Field, Retryable: d.Retryable, RetryAfter: after}
}

// CloseError is a WebSocket close by the server.
type CloseError struct {
	Code   uint16
	Reason string // "code" or "code: text"
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("heddle: closed with %d %s", e.Code, e.Reason)
}

// next is what the client does when a connection has ended.
type next uint8

const (
	resume  next = iota // reconnect, with the session if there is one
	reopen              // reconnect with a new session
	refresh             // reconnect if there may be another token
	stop
)

// afterClose follows the table of close codes in docs/PROTOCOL.md.
func afterClose(code uint16) next {
	switch {
	case code == 1000 || code == 1002 || code == 1003 || code == 1007 || code == 1009 || code == 1010:
		return stop
	case code >= 4100 && code < 4200:
		return reopen
	case code == 4402:
		return refresh
	case code >= 4400 && code < 4500:
		return stop
	}
	return resume
}

// afterError decides about an error that answers the opening of a session or
// its HTTP request.
func afterError(e *Error) next {
	switch {
	case e.Code == "token_expired":
		return refresh
	case e.Code == "session_lost":
		return reopen
	case e.Retryable:
		return resume
	}
	return stop
}
