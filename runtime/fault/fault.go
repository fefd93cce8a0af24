package fault

import (
	"errors"
	"strings"
	"time"
)

// Error is a failure with a kind. Everything but Kind may be zero.
type Error struct {
	Op    string        // what was being done, "package.deed"
	Kind  Kind          // decides every code that a client sees
	Field string        // the JSON path of the offending field, "data.text"
	Msg   string        // for the client: why, in one sentence without a full stop
	After time.Duration // how long a client should wait before it tries again
	Err   error         // the cause, for logs alone: never sent to a client
}

// New is an Error that a client's own input caused.
func New(kind Kind, field, msg string) *Error {
	return &Error{Kind: kind, Field: field, Msg: msg}
}

// Wrap gives err a kind and the operation that failed. It returns nil for nil.
func Wrap(op string, kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Kind: kind, Err: err}
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(e.Kind.Code())
	if e.Field != "" {
		b.WriteString(" in " + e.Field)
	}
	if e.Msg != "" {
		b.WriteString(": " + e.Msg)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Message is what a client may read: Msg, or the kind's own sentence.
func (e *Error) Message() string {
	if e.Msg != "" {
		return e.Msg
	}
	return e.Kind.row().message
}

// Of finds the first Error in err's chain; an error that has none is Internal.
func Of(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Err: err}
}

// Is reports whether err has the kind.
func Is(err error, kind Kind) bool {
	return err != nil && Of(err).Kind == kind
}
