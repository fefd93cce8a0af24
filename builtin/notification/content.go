package notification

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// mentionsName is the beginning of the member that names whom a message means.
var mentionsName = []byte(`"mentions"`)

// message is a record that users are notified of.
type message struct {
	*event.Record
	text     string   // its beginning
	mentions []string // each once
}

// read finds in a record what notifications tell. What it cannot read it leaves out.
func read(r *event.Record, preview int) message {
	m := message{Record: r}
	b := r.Data
	if len(b) == 0 || b[0] != '{' {
		return m
	}
	i, more := jsonscan.First(b, 0, '}')
	for more {
		value, p := jsonscan.Name(b, i)
		if p != jsonscan.OK {
			break
		}
		end, p := jsonscan.Value(b, value, 1)
		if p != jsonscan.OK {
			break
		}
		switch name := b[i:value]; {
		case named(name, `"text"`) && b[value] == '"':
			m.text = beginning(b[value+1:end-1], preview)
		case named(name, `"mentions"`) && b[value] == '[':
			m.mentions = strs(b[value:end])
		}
		if i, more, p = jsonscan.Next(b, end, '}'); p != jsonscan.OK {
			break
		}
	}
	return m
}

// named reports whether a member, up to its value, has the name.
func named(member []byte, name string) bool {
	return len(member) > len(name) && string(member[:len(name)]) == name
}

// beginning is a string without its escapes, up to so many bytes of whole
// characters.
func beginning(quoted []byte, most int) string {
	if bound := most * len(`\u0000`); len(quoted) > bound {
		quoted = quoted[:bound] // no escape is longer for what it stands for
	}
	text := jsonscan.AppendUnescaped(nil, quoted)
	if len(text) > most {
		for text = text[:most]; len(text) > 0 && !utf8.Valid(text); {
			text = text[:len(text)-1]
		}
	}
	return string(text)
}

// strs reads an array of strings, each once.
func strs(b []byte) (out []string) {
	i, more := jsonscan.First(b, 0, ']')
	for more {
		end, _, p := jsonscan.String(b, i)
		if p != jsonscan.OK {
			break
		}
		if s := string(jsonscan.AppendUnescaped(nil, b[i+1:end-1])); !slices.Contains(out, s) {
			out = append(out, s)
		}
		if i, more, p = jsonscan.Next(b, end, ']'); p != jsonscan.OK {
			break
		}
	}
	return out
}

// data writes what a user's sessions are told.
func (m *message) data(reason Reason, devices []string, unread uint64) []byte {
	b := make([]byte, 0, 256+len(m.text)+len(m.Room)+32*len(devices))
	b = str(b, `{"room":`, m.Room)
	b = str(b, `,"epoch":`, m.Epoch)
	b = num(b, `,"offset":`, m.Offset)
	b = str(b, `,"id":`, m.ID)
	if m.From.User != "" {
		b = str(b, `,"from":`, m.From.User)
	}
	b = str(b, `,"reason":`, string(reason))
	if m.text != "" {
		b = str(b, `,"text":`, m.text)
	}
	b = append(b, `,"devices":[`...)
	for i, d := range devices {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsonscan.AppendQuotedString(b, d)
	}
	b = append(b, ']')
	if unread > 0 {
		b = num(b, `,"unread":`, unread)
	}
	return append(b, '}')
}

func str(b []byte, name, text string) []byte {
	return jsonscan.AppendQuotedString(append(b, name...), text)
}

func num(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}
