package fault

// Kind is a class of failure. The list is append-only: codes are part of the
// protocol.
type Kind uint8

// The kinds. Their wire codes, close codes and statuses are in the table below.
const (
	Internal Kind = iota
	Malformed
	UnsupportedVersion
	UnknownAction
	Invalid
	Unauthenticated
	TokenExpired
	Forbidden
	NotFound
	Conflict
	TooLarge
	RateLimited
	SessionRequired
	Overloaded
	Unavailable
	StorageFull
	Timeout
	SlowConsumer
	HeartbeatTimeout
	Draining
	SessionReplaced
	Unacknowledged
	HandshakeTimeout
	SessionLost
	Changed
	Reconnect
	Disconnected
	PluginFailed
	kinds
)

type row struct {
	code      string
	close     uint16 // the close code when this ends a connection
	status    int    // of an HTTP answer
	retryable bool
	message   string
}

// Close codes: 4000 to 4099 reconnect and resume; 4100 to 4199 reconnect with a
// new session; 4400 to 4499 do not reconnect before something has changed (a
// token, a client's code).
var table = [kinds]row{
	Internal:           {"internal", 4005, 500, true, "the server failed; the request may be sent again"},
	Malformed:          {"malformed", 4400, 400, false, "not a readable envelope"},
	UnsupportedVersion: {"unsupported_version", 4405, 400, false, "this protocol version is not supported"},
	UnknownAction:      {"unknown_action", 4404, 404, false, "no such action"},
	Invalid:            {"invalid", 4400, 422, false, "a field is not valid"},
	Unauthenticated:    {"unauthenticated", 4401, 401, false, "a valid token is needed"},
	TokenExpired:       {"token_expired", 4402, 401, false, "the token has expired"},
	Forbidden:          {"forbidden", 4403, 403, false, "not permitted"},
	NotFound:           {"not_found", 4404, 404, false, "no such thing"},
	Conflict:           {"conflict", 4409, 409, false, "it is there already, or has changed meanwhile"},
	TooLarge:           {"too_large", 4413, 413, false, "larger than allowed"},
	RateLimited:        {"rate_limited", 4029, 429, true, "too many requests"},
	SessionRequired:    {"session_required", 4408, 400, false, "session:open or session:resume must come first"},
	Overloaded:         {"overloaded", 4003, 503, true, "the server is busy"},
	Unavailable:        {"unavailable", 4004, 503, true, "a part that this needs is away"},
	StorageFull:        {"storage_full", 4004, 507, true, "the server's storage is full"},
	Timeout:            {"timeout", 4004, 504, true, "not finished in time; it may be sent again under the same id"},
	SlowConsumer:       {"slow_consumer", 4001, 503, true, "the client reads too slowly; it may resume"},
	HeartbeatTimeout:   {"heartbeat_timeout", 4002, 408, true, "the client did not answer heartbeats"},
	Draining:           {"draining", 4000, 503, true, "the node is going away; resume elsewhere"},
	SessionReplaced:    {"session_replaced", 4406, 409, false, "the session was resumed on another connection"},
	Unacknowledged:     {"unacknowledged", 4006, 408, true, "delivered events were not acknowledged; it may resume"},
	HandshakeTimeout:   {"handshake_timeout", 4007, 408, true, "the connection was not set up in time"},
	SessionLost:        {"session_lost", 4100, 410, false, "the session is gone; open a new one"},
	Changed:            {"changed", 4004, 409, true, "what this is about changed at the same time; it may be sent again"},
	Reconnect:          {"reconnect", 4008, 503, true, "the tenant's server asks for a new connection"},
	Disconnected:       {"disconnected", 4410, 410, false, "the tenant's server has ended the session"},
	PluginFailed:       {"plugin_failed", 4005, 502, false, "a plugin of the tenant has failed on this"},
}

func (k Kind) row() row {
	if k >= kinds {
		k = Internal
	}
	return table[k]
}

// Kinds lists all of them, for documents and metrics.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Code is the word on the wire and in metrics.
func (k Kind) Code() string { return k.row().code }

func (k Kind) String() string { return k.Code() }

// Close is the WebSocket close code for a connection that ends because of k.
func (k Kind) Close() uint16 { return k.row().close }

// Status is the HTTP status.
func (k Kind) Status() int { return k.row().status }

// Retryable says that the same request may succeed later.
func (k Kind) Retryable() bool { return k.row().retryable }

// Default is the sentence a client reads when an error brings none of its own.
func (k Kind) Default() string { return k.row().message }
