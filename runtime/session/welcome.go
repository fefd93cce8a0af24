package session

import (
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// welcome is the data of the ack of session:open and session:resume.
type welcome struct {
	session, node, token, user, device string
	ttl                                time.Duration
	limits                             Limits
	rooms                              []roomState
	refused                            []without // rooms that may not be received
	recovered                          answer    // unasked in the ack of session:open
	reason                             string    // why not recovered
	lost                               []without // rooms whose missed events can not be replayed whole
}

// roomState is a room that the session has joined.
type roomState struct {
	event.Position
	room         string
	unread, read uint64
	member       bool
}

// without is a room that the session has not, or not whole, and why.
type without struct{ room, why string }

type answer uint8

const (
	unasked answer = iota
	yes
	no
)

// json writes w as docs/PROTOCOL.md has it. It is written by hand because every
// session begins with one: reflection would take a sixth of the time that opening
// a session takes.
func (w *welcome) json() []byte {
	b := make([]byte, 0, 320+len(w.user)+len(w.device)+128*len(w.rooms)+80*(len(w.refused)+len(w.lost)))
	b = appendText(b, `{"session":`, w.session)
	b = appendText(b, `,"node":`, w.node)
	b = appendText(b, `,"resume_token":`, w.token)
	b = appendNumber(b, `,"resume_ttl_ms":`, uint64(w.ttl.Milliseconds()))
	b = appendText(b, `,"user":`, w.user)
	b = appendText(b, `,"device":`, w.device)
	b = appendNumber(b, `,"heartbeat_ms":`, uint64(w.limits.Heartbeat.Milliseconds()))
	b = appendNumber(b, `,"max_frame_bytes":`, uint64(w.limits.MaxFrameBytes))
	b = append(b, `,"rooms":[`...)
	for i := range w.rooms {
		b = w.rooms[i].append(b, i > 0)
	}
	b = append(b, ']')
	b = appendWithout(b, `,"refused":[`, w.refused, `,"code":`)
	if w.recovered != unasked {
		b = append(b, `,"recovered":`...)
		b = strconv.AppendBool(b, w.recovered == yes)
	}
	if w.reason != "" {
		b = appendText(b, `,"reason":`, w.reason)
	}
	b = appendWithout(b, `,"lost":[`, w.lost, `,"reason":`)
	return append(b, '}')
}

func (r *roomState) append(b []byte, more bool) []byte {
	if more {
		b = append(b, ',')
	}
	b = appendText(b, `{"room":`, r.room)
	b = appendText(b, `,"epoch":`, r.Epoch)
	b = appendNumber(b, `,"offset":`, r.Offset)
	b = appendNumber(b, `,"unread":`, r.unread)
	b = appendNumber(b, `,"read_offset":`, r.read)
	b = append(b, `,"member":`...)
	return append(strconv.AppendBool(b, r.member), '}')
}

// appendWithout leaves an empty list out.
func appendWithout(b []byte, name string, list []without, why string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, name...)
	for i, r := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, `{"room":`, r.room)
		b = append(appendText(b, why, r.why), '}')
	}
	return append(b, ']')
}

func appendText(b []byte, name, text string) []byte {
	return jsonscan.AppendQuotedString(append(b, name...), text)
}

func appendNumber(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

// texts reads a validated array of strings, nil for none.
func texts(raw []byte) (out []string) {
	if raw == nil {
		return nil
	}
	i, more := jsonscan.First(raw, 0, ']')
	for more {
		end, escaped, _ := jsonscan.String(raw, i)
		text := raw[i+1 : end-1]
		if escaped {
			text = jsonscan.AppendUnescaped(nil, text)
		}
		out = append(out, string(text))
		i, more, _ = jsonscan.Next(raw, end, ']')
	}
	return out
}
