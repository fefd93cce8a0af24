package socketio

import (
	"strconv"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// connectCall marks the request that a CONNECT packet is, as its answer's Call. Other
// calls are one more than the id of the ack that the client waits for.
const connectCall = -1

// ackAction is how a client acknowledges what it has handled: the envelope of type ack.
const ackAction = "session:ack"

// around is how many containers stand around an argument in the protocol's own terms:
// the envelope and its payload. So data may be as deep as in the other dialects.
const around = 1

// Split takes a frame for one packet, as runtime/socketio hands it over: its type, its
// id and its data, without the namespace.
func (d *Dialect) Split(packet []byte, _ int, fn func(raw []byte) error) error { return fn(packet) }

// Decode makes an envelope of a packet. An event without an id of the client's own gets
// one that no other has, since a client that names none does not send it again.
func (d *Dialect) Decode(raw []byte, env *event.Envelope) error {
	err := d.decode(raw, env)
	d.Garbled = fault.Is(err, fault.Malformed)
	return err
}

func (d *Dialect) decode(raw []byte, env *event.Envelope) error {
	p, err := ParsePacket(raw)
	if err != nil {
		return fault.Wrap("socketio", fault.Malformed, err)
	}
	p.Data = append(make([]byte, 0, len(p.Data)), p.Data...)
	env.Type = event.TypeEvent
	switch p.Type {
	case Connect:
		return d.open(p.Data, env)
	case Disconnect:
		env.Action, env.Data = "session:close", []byte("{}")
		return nil
	case Event:
		if p.ID != "" {
			n, _ := strconv.ParseInt(p.ID, 10, 64) // it has at most maxID digits
			env.Call = n + 1
		}
		return d.event(p.Data, env)
	}
	return fault.New(fault.Malformed, "", "a packet that is no request")
}

// arguments are those of an event: its name and at most two more.
type arguments [3][]byte

// split finds the elements of an array of at most three values; a callback is none.
func (a *arguments) split(b []byte) error {
	if !utf8.Valid(b) {
		return malformed(0, jsonscan.BadUTF8)
	}
	i, more := jsonscan.First(b, 0, ']')
	n := 0
	for more {
		end, p := jsonscan.Value(b, i, around)
		if p != jsonscan.OK {
			return malformed(end, p)
		}
		if n == len(a) {
			return fault.New(fault.Invalid, "", "emit(action, data, meta): there are more arguments")
		}
		a[n] = b[i:end:end]
		n++
		if i, more, p = jsonscan.Next(b, end, ']'); p != jsonscan.OK {
			return malformed(i, p)
		}
	}
	if i = jsonscan.Space(b, i); i != len(b) {
		return malformed(i, jsonscan.Trailing)
	}
	return nil
}

func malformed(at int, p jsonscan.Problem) error {
	return fault.New(fault.Malformed, "", "argument list, byte "+strconv.Itoa(at)+": "+p.String())
}

// event reads [action, data, meta].
func (d *Dialect) event(b []byte, env *event.Envelope) error {
	var a arguments
	if err := a.split(b); err != nil {
		return err
	}
	if len(a[0]) == 0 || a[0][0] != '"' {
		return fault.New(fault.Malformed, "payload.action", "an event's first argument is its action")
	}
	env.Action = text(a[0])
	if env.Data = a[1]; env.Action == ackAction {
		env.Type = event.TypeAck
	}
	switch {
	case a[1] == nil || string(a[1]) == "null":
		env.Data = []byte("{}")
	case a[1][0] != '{':
		return fault.New(fault.Invalid, "payload.data", "emit(action, data): data must be an object")
	}
	about, where := a[2], "meta."
	switch {
	case about == nil || string(about) == "null":
		about, where = env.Data, "data." // room and id may stand there
	case about[0] != '{':
		return fault.New(fault.Invalid, "meta", "emit(action, data, meta): meta must be an object")
	}
	if err := envelope(about, where, env); err != nil {
		return err
	}
	if env.ID == "" {
		env.ID = d.nextID()
	}
	return nil
}

// envelope takes from an object what of an envelope stands there.
func envelope(b []byte, where string, env *event.Envelope) error {
	return members(b, func(name string, value []byte) error {
		var to *string
		switch name {
		case "room":
			to = &env.Room
		case "id":
			to = &env.ID
		case "epoch":
			to = &env.Epoch
		case "offset":
			n, ok := jsonscan.Uint(value)
			if where == "meta." && (!ok || n > event.MaxOffset) {
				return fault.New(fault.Invalid, "meta.offset", "must be between 0 and 2^53-1")
			}
			env.Offset = n
			return nil
		default:
			return nil
		}
		switch {
		case value[0] == '"':
			*to = text(value)
		case where == "meta.":
			return fault.New(fault.Invalid, where+name, "must be a string")
		}
		return nil
	})
}

// members calls fn for each member of a valid object.
func members(b []byte, fn func(name string, value []byte) error) error {
	i, more := jsonscan.First(b, 0, '}')
	for more {
		end, _, _ := jsonscan.String(b, i)
		name := text(b[i:end])
		i, _ = jsonscan.Colon(b, end)
		end, _ = jsonscan.Value(b, i, 0)
		if err := fn(name, b[i:end:end]); err != nil {
			return err
		}
		i, more, _ = jsonscan.Next(b, end, '}')
	}
	return nil
}

// text is a valid JSON string's value.
func text(quoted []byte) string {
	in := quoted[1 : len(quoted)-1]
	for _, c := range in {
		if c == '\\' {
			return string(jsonscan.AppendUnescaped(nil, in))
		}
	}
	return string(in)
}

// Name takes the name off the arguments of an event; rest begins with the comma or the
// bracket behind it.
func Name(b []byte) (name string, rest []byte, err error) {
	if p := jsonscan.Valid(b, around); p != jsonscan.OK {
		return "", nil, malformed(0, p)
	}
	i, more := jsonscan.First(b, 0, ']')
	if !more || b[i] != '"' {
		return "", nil, malformed(i, jsonscan.Syntax)
	}
	end, _, _ := jsonscan.String(b, i)
	return text(b[i:end]), b[jsonscan.Space(b, end):], nil
}
