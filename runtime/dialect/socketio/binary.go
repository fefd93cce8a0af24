package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// MaxAttachments is how many binary arguments a packet may have, as in the reference
// implementation.
const MaxAttachments = 10

// Binary arguments in JSON.
const (
	binaryHead = `{"$binary":"`
	binaryTail = `"}`
)

// span is where in data an attachment stands, and what it is.
type span struct {
	from, to int
	bytes    []byte
}

// attachments finds the binary values in data; nil if there are none that can be sent as
// such, or more than a packet may have. What is not written as Attach writes it stays as
// it is. Data in which somebody has written a placeholder has none: a client would put an
// attachment in its place, or take the packet for garbled, and leave.
func attachments(data []byte) (found []span) {
	var q quotes
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(binaryHead))
		if i < 0 {
			break
		}
		from := at + i
		at = from + len(binaryHead)
		body := data[at:]
		end := bytes.IndexByte(body, '"')
		if end < 0 || !bytes.HasPrefix(body[end:], []byte(binaryTail)) || q.inside(data, from) {
			continue
		}
		raw := make([]byte, base64.StdEncoding.DecodedLen(end))
		n, err := base64.StdEncoding.Strict().Decode(raw, body[:end])
		if err != nil {
			continue
		}
		if len(found) == MaxAttachments {
			return nil
		}
		at += end + len(binaryTail)
		found = append(found, span{from, at, raw[:n]})
	}
	if found != nil && mentions(data, placeholder) {
		return nil
	}
	return found
}

const placeholder = "_placeholder"

// mentions reports whether a string of valid JSON is the word, however it is written.
func mentions(b []byte, word string) bool {
	for i := 0; i < len(b); {
		if b[i] != '"' {
			i++
			continue
		}
		end, escaped, _ := jsonscan.String(b, i)
		text := b[i+1 : end-1]
		if escaped {
			text = jsonscan.AppendUnescaped(nil, text)
		}
		if string(text) == word {
			return true
		}
		i = end
	}
	return false
}

// quotes tells what of valid JSON stands within strings, going forward once.
type quotes struct {
	at int
	in bool
}

func (q *quotes) inside(b []byte, at int) bool {
	for ; q.at < at; q.at++ {
		switch b[q.at] {
		case '\\':
			q.at++ // only strings have them
		case '"':
			q.in = !q.in
		}
	}
	return q.in
}

// placeheld puts placeholders in the place of attachments.
func placeheld(data []byte, bin []span) []byte {
	out := make([]byte, 0, len(data)+32*len(bin))
	at := 0
	for i, s := range bin {
		out = append(out, data[at:s.from]...)
		out = append(strconv.AppendInt(append(out, `{"_placeholder":true,"num":`...), int64(i), 10), '}')
		at = s.to
	}
	return append(out, data[at:]...)
}

// head begins a packet, up to its id.
func (n *Namespace) head(b []byte, kind byte, bin []span) []byte {
	b = append(b, '4', kind)
	if bin != nil {
		b[len(b)-1] += BinaryEvent - Event
		b = append(strconv.AppendInt(b, int64(len(bin)), 10), '-')
	}
	return append(b, n.tag...)
}

// joined is a packet with the attachments behind it.
func joined(packet *frame.Frame, bin []span) *frame.Frame {
	if bin == nil {
		return packet
	}
	parts := []*frame.Frame{packet}
	for _, s := range bin {
		parts = append(parts, frame.Finish(append(frame.Begin(len(s.bytes)), s.bytes...), true, packet.Class(), ""))
	}
	return frame.Join(parts...)
}

// Packet makes a packet of JSON, an event's arguments or an ack's.
func (n *Namespace) Packet(kind byte, id string, data []byte) *frame.Frame {
	bin := attachments(data)
	if bin != nil {
		data = placeheld(data, bin)
	}
	b := n.head(frame.Begin(32+len(n.tag)+len(data)), kind, bin)
	return joined(finish(append(append(b, id...), data...)), bin)
}

// Attach puts attachments in the place of their placeholders in a packet's data. It
// fails if there is one that has none, or the other way round.
func Attach(data []byte, bin [][]byte) ([]byte, error) {
	if jsonscan.Valid(data, around) != jsonscan.OK {
		return nil, ErrPacket
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, ErrPacket
	}
	a := attacher{bin: bin, used: make([]bool, len(bin))}
	if v = a.value(v); a.bad {
		return nil, ErrPacket
	}
	for _, used := range a.used {
		if !used {
			return nil, ErrPacket
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, ErrPacket
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

type attacher struct {
	bin  [][]byte
	used []bool
	bad  bool
}

// value goes no deeper than encoding/json has gone.
func (a *attacher) value(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = a.value(v[i])
		}
	case map[string]any:
		if v[placeholder] == true {
			return a.placeholder(v["num"])
		}
		for name := range v {
			v[name] = a.value(v[name])
		}
	}
	return v
}

func (a *attacher) placeholder(num any) any {
	text, _ := num.(json.Number)
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n >= len(a.bin) || a.used[n] {
		a.bad = true // an attachment that is used twice would make a packet grow
		return nil
	}
	a.used[n] = true
	return map[string]string{"$binary": base64.StdEncoding.EncodeToString(a.bin[n])}
}
