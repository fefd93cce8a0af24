package heddle

// Hook is when a plugin is called.
type Hook uint8

// The hooks. Of After, Disconnect, Leave, Timer and Response nothing is decided any
// more: what is said about the event itself has no effect, but Emit and others have.
const (
	Before     Hook = iota + 1 // an event, in front of its handler
	After                      // an event that was handled
	Handle                     // an event whose action is the plugin's own
	Connect                    // a session is about to be open
	Disconnect                 // a session is over
	Join                       // a session is about to join a room
	Leave                      // a session has left a room
	Timer                      // a timer that the plugin has set; ID is its name
	Response                   // the answer to an HTTP request of the plugin's
	Request                    // an HTTP request to the plugin
	hooks
)

// String is the hook's name in manifests.
func (h Hook) String() string {
	switch h {
	case Before:
		return "before"
	case After:
		return "after"
	case Handle:
		return "handle"
	case Connect:
		return "connect"
	case Disconnect:
		return "disconnect"
	case Join:
		return "join"
	case Leave:
		return "leave"
	case Timer:
		return "timer"
	case Response:
		return "response"
	case Request:
		return "request"
	}
	return "unknown"
}

// Codec is how a payload is written.
type Codec uint8

// The codecs.
const (
	NoPayload Codec = iota // there is none, or the manifest does not ask for it
	JSON                   // a JSON value in UTF-8
	Bytes                  // bytes as they came: bodies of HTTP
)

// String is the codec's name.
func (c Codec) String() string {
	switch c {
	case NoPayload:
		return "none"
	case JSON:
		return "json"
	case Bytes:
		return "bytes"
	}
	return "unknown"
}

// Status is how a call of the node went. Those but OK are errors, to be compared with
// == or errors.Is.
type Status int32

// The words of the contract.
const (
	OK          Status = 0
	NotFound    Status = -1
	Denied      Status = -2 // the manifest does not ask for it, or the tenant may not
	Quota       Status = -3 // as much as there may be is there
	Invalid     Status = -4 // an argument that cannot be
	Conflict    Status = -5 // the value is another by now
	Unavailable Status = -6 // later perhaps
	Failed      Status = -7 // the plugin's own word, and that of a full output arena
)

// Error is the word.
func (s Status) Error() string {
	switch s {
	case OK:
		return "ok"
	case NotFound:
		return "not_found"
	case Denied:
		return "denied"
	case Quota:
		return "quota"
	case Invalid:
		return "invalid"
	case Conflict:
		return "conflict"
	case Unavailable:
		return "unavailable"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// failure is the status as an error, nil for OK and for lengths. It allocates
// nothing: the compiler has the constants ready as interfaces.
func failure(n int32) error {
	switch Status(n) {
	case NotFound:
		return NotFound
	case Denied:
		return Denied
	case Quota:
		return Quota
	case Invalid:
		return Invalid
	case Conflict:
		return Conflict
	case Unavailable:
		return Unavailable
	}
	if n < 0 {
		return Failed
	}
	return nil
}
