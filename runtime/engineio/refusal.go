package engineio

import (
	"encoding/json"
	"net/http"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// reason is why a request is refused.
type reason uint8

const (
	unknownTransport reason = iota
	unknownSID
	otherNode // has the connection
	badMethod
	badRequest
	onWebSocket // and the request is a poll's
	overlap     // of two polls, or of two POSTs
	malformed   // a payload
	tooLarge    // a payload
	forbidden   // by the origin's policy, by the address's rate, by the handler
	badVersion
	tooMany // connections over polling
	perIP   // of them without a session, for one address
	draining
	overloaded // the node is short of memory
	failed     // a handler
	reasons
)

type row struct {
	name   string
	code   int // of Engine.IO's protocol
	text   string
	status int // 0: the kind's
	kind   fault.Kind
}

// Codes, texts and statuses of the first ones are those of Engine.IO's reference
// server, which clients may know. It has no codes for the others.
var table = [reasons]row{
	unknownTransport: {"unknown_transport", 0, "Transport unknown", 400, fault.Malformed},
	unknownSID:       {"unknown_sid", 1, "Session ID unknown", 400, fault.NotFound},
	otherNode:        {"other_node", 1, "Session ID unknown", 400, fault.NotFound},
	badMethod:        {"bad_method", 2, "Bad handshake method", 400, fault.Malformed},
	badRequest:       {"bad_request", 3, "Bad request", 400, fault.Malformed},
	onWebSocket:      {"on_websocket", 3, "Bad request", 400, fault.Conflict},
	overlap:          {"overlap", 3, "Bad request", 400, fault.Conflict},
	malformed:        {"malformed", 3, "Bad request", 400, fault.Malformed},
	tooLarge:         {"too_large", 3, "the payload is larger than maxPayload", 413, fault.TooLarge},
	forbidden:        {"forbidden", 4, "Forbidden", 0, fault.Forbidden},
	badVersion:       {"unsupported_version", 5, "Unsupported protocol version", 400, fault.UnsupportedVersion},
	tooMany:          {"overloaded", 4, "the node has all the connections over polling that it may have", 0, fault.Overloaded},
	perIP:            {"per_ip", 4, "too many connections from this address have no session yet", 0, fault.Overloaded},
	overloaded:       {"short_of_memory", 4, "the node is short of memory", 0, fault.Overloaded},
	draining:         {"draining", 4, "the node is going away", 0, fault.Draining},
	failed:           {"failed", 4, "the server failed", 0, fault.Internal},
}

func (r reason) row() row { return table[r] }

// refusal is an answer to a request that is not what the client wants.
type refusal struct {
	reason reason
	fault  *fault.Error // what it is in Heddle's words
}

func (r reason) refusal() *refusal {
	return &refusal{r, &fault.Error{Kind: r.row().kind, Msg: r.row().text}}
}

// notAdmitted is a refusal by err.
func notAdmitted(err error) *refusal { return &refusal{forbidden, fault.Of(err)} }

func (f *refusal) status() int {
	if n := f.reason.row().status; n != 0 {
		return n
	}
	return f.fault.Kind.Status()
}

// upgrade is f for package socket, which makes an answer of it.
func (f *refusal) upgrade() error {
	if f.status() == http.StatusBadRequest {
		return &fault.Error{Kind: fault.Malformed, Msg: f.fault.Message()}
	}
	return f.fault
}

func (f *refusal) body(bare bool) any {
	if !bare {
		return struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}{f.reason.row().code, f.fault.Message()}
	}
	return socket.ErrorObjectOf(f.fault)
}

// refuse answers with f.
func (s *Server) refuse(w http.ResponseWriter, p *point, f *refusal) {
	s.count.refused[f.reason].Add(1)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if after := socket.RetryAfter(f.fault); after != "" {
		h.Set("Retry-After", after)
	}
	if f.reason == tooLarge {
		h.Set("Connection", "close") // what the client still sends is not read
	}
	w.WriteHeader(f.status())
	_ = json.NewEncoder(w).Encode(f.body(p.Bare)) // the client has gone away
}
