package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// Namespace encodes what the sessions of one namespace are sent.
type Namespace struct {
	name  string
	own   bool // sessions know it; others are the application's
	index int
	tag   string // "/name," in front of ids and data, "" for the main one
}

// NewNamespace makes the encoder of a namespace. index is its slot among the frames of
// one event; own says that sessions know the namespace by its name.
func NewNamespace(name string, own bool, index int) *Namespace {
	n := &Namespace{name: name, own: own, index: index}
	if name != "/" {
		n.tag = name + ","
	}
	return n
}

// Dialect is one session's. It is used by one goroutine at a time.
type Dialect struct {
	*Namespace
	ids    uint64 // given to events until now
	prefix string // of those ids
	came   pid    // that the client came with
	behind string // and its offset
	// Recovered tells, once the session is open, whether the client's state is.
	Recovered bool
	// Later is why the session could not be opened, if another try may succeed. The client
	// is not told so: it would not try.
	Later string
	// Garbled tells whether the packet that was decoded last was none.
	Garbled bool
}

// New makes a session's dialect.
func (n *Namespace) New() *Dialect { return &Dialect{Namespace: n} }

// Name is for operators.
func (n *Namespace) Name() string { return "socketio" }

// Path is the namespace's own name.
func (n *Namespace) Path() string { return n.name }

// Binary says that packets are text, apart from attachments.
func (n *Namespace) Binary() bool { return false }

// Index is the slot among the frames of one event.
func (n *Namespace) Index() int { return n.index }

// nextID is an id that no other event has.
func (d *Dialect) nextID() string {
	if d.prefix == "" {
		var b [9]byte
		_, _ = rand.Read(b[:]) // never fails
		d.prefix = base64.RawURLEncoding.EncodeToString(b[:])
	}
	d.ids++
	return d.prefix + strconv.FormatUint(d.ids, 36)
}

// Encode makes the frame of what happens: [action, data, meta], and behind it the mark
// of a durable event. It is the same for all recipients.
func (n *Namespace) Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame {
	bin, data := attachments(env.Data), env.Data
	if bin != nil {
		data = placeheld(data, bin)
	}
	b, m := appendEvent(n.head(frame.Begin(n.size(env)), Event, bin), env, data)
	return joined(frame.Finish(b, false, class, key).Marked(m), bin)
}

// size bounds an event's bytes, escapes apart.
func (n *Namespace) size(e *event.Envelope) int {
	const fixed = len(`42["","",{"timestamp":1767225600000,"from":{"user":"","device":""},"room":"","id":"","ref":"","epoch":"","offset":1234567890123456,"expires_at":1767225600000},"kJfM0a9-_kQ.1234567890123456"]`)
	return fixed + len(n.tag) + len(e.Action) + len(e.Data) + len(e.ID) + len(e.Room) + len(e.Ref) + len(e.From.User) + len(e.From.Device) + len(e.Epoch)
}

func appendEvent(b []byte, env *event.Envelope, data []byte) ([]byte, frame.Mark) {
	b = jsonscan.AppendQuotedString(append(b, '['), env.Action)
	b = append(b, ',')
	if len(data) == 0 {
		b = append(b, "{}"...)
	} else {
		b = append(b, data...)
	}
	b = appendMeta(append(b, ','), env)
	if env.Type != event.TypeMessage || env.Epoch == "" {
		return append(b, ']'), frame.Mark{}
	}
	m := trail.Of(env.Room, env.Epoch, env.Offset)
	b = trail.AppendText(append(b, `,"`...), m)
	return append(b, `"]`...), m
}

// appendMeta writes what of an envelope is not payload, in the order of the native
// dialect; what is zero is left out.
func appendMeta(b []byte, e *event.Envelope) []byte {
	start := len(b)
	b = append(b, '{')
	b = appendString(b, `"id":`, e.ID)
	b = appendNumber(b, `"timestamp":`, e.Timestamp)
	b = appendString(b, `"room":`, e.Room)
	if e.From.User != "" {
		b = appendString(b, `"from":{"user":`, e.From.User)
		b = appendString(b, `"device":`, e.From.Device)
		b[len(b)-1] = '}'
		b = append(b, ',')
	}
	if e.Epoch != "" {
		b = appendString(b, `"epoch":`, e.Epoch)
		b = append(strconv.AppendUint(append(b, `"offset":`...), e.Offset, 10), ',')
	}
	b = appendString(b, `"ref":`, e.Ref)
	b = appendNumber(b, `"expires_at":`, e.Expires)
	if len(b) > start+1 {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// appendString and appendNumber leave a comma behind what they write.
func appendString(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return append(jsonscan.AppendQuotedString(append(b, name...), s), ',')
}

func appendNumber(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, name...), n, 10), ',')
}

// Encode makes the frame of an answer to the session's own packets, or of what happens.
func (d *Dialect) Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame {
	switch {
	case env.Type != event.TypeAck && env.Type != event.TypeError:
		return d.Namespace.Encode(env, class, key)
	case env.Call == connectCall:
		return d.connected(env)
	case env.Call > 0:
		return d.answer(env)
	case env.Type == event.TypeError:
		told := *env
		told.Action = "error"
		return d.Namespace.Encode(&told, class, key)
	}
	return nil // nobody waits for it
}

// answer is what a client's callback is called with: {"ok":true, "data":{…}, …}, or
// {"ok":false, "error":{…}, …}.
func (d *Dialect) answer(env *event.Envelope) *frame.Frame {
	b := make([]byte, 0, d.size(env)+len(`{"ok":false,"error":`))
	if env.Type == event.TypeAck {
		b = append(b, `[{"ok":true,"data":`...)
	} else {
		b = append(b, `[{"ok":false,"error":`...)
	}
	b = append(b, env.Data...)
	end := len(b)
	if b = appendMeta(b, env); len(b) > end+len("{}") {
		b[end] = ',' // in the place of its brace
	} else {
		b = append(b[:end], '}')
	}
	return d.Packet(Ack, strconv.FormatInt(env.Call-1, 10), append(b, ']'))
}

func finish(b []byte) *frame.Frame { return frame.Finish(b, false, frame.Control, "") }

// connected answers a CONNECT packet. Behind a good answer comes what the session is
// told when it opens, as an event.
func (d *Dialect) connected(env *event.Envelope) *frame.Frame {
	if env.Type == event.TypeError {
		return d.refused(env)
	}
	var w struct {
		Session   string `json:"session"`
		Token     string `json:"resume_token"`
		Recovered bool   `json:"recovered"`
	}
	_ = json.Unmarshal(env.Data, &w) // it was written by a session
	now := pid{w.Session, w.Token}
	d.Recovered = w.Recovered && now == d.came
	b := append(frame.Begin(128), '4', Connect)
	b = appendText(append(b, d.tag...), `{"sid":`, w.Session)
	b = appendText(b, `,"pid":`, now.String())
	told := event.Envelope{Type: event.TypeEvent, Action: env.Action, Data: env.Data, Timestamp: env.Timestamp}
	return frame.Join(finish(append(b, '}')), d.Namespace.Encode(&told, frame.Control, ""))
}

// refused is CONNECT_ERROR: the message, and as data the error object of the protocol.
func (d *Dialect) refused(env *event.Envelope) *frame.Frame {
	var e struct {
		Code, Message string
		Retryable     bool
	}
	_ = json.Unmarshal(env.Data, &e) // it was written by ack
	if e.Retryable {
		d.Later = e.Code + ": " + e.Message
		return nil
	}
	return d.Namespace.Refusal(e.Message, env.Data)
}

// Refusal is a CONNECT_ERROR packet; data is JSON, or nil.
func (n *Namespace) Refusal(message string, data []byte) *frame.Frame {
	b := append(frame.Begin(64+len(message)+len(data)), '4', ConnectError)
	b = appendText(append(b, n.tag...), `{"message":`, message)
	return finish(append(event.AppendMember(b, "data", data), '}'))
}

// Farewell is a DISCONNECT packet.
func (n *Namespace) Farewell() *frame.Frame {
	b := append(frame.Begin(8+len(n.tag)), '4', Disconnect)
	return finish(append(b, n.tag...))
}
