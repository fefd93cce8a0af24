package socketio

import (
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
	"github.com/heddle-rt/heddle/runtime/trail"
)

// pid is the private id of connection state recovery: the session and its secret.
//
//	<session>.<resume token>
//
// A client takes its state for recovered if it is given the pid that it had: a session
// whose state is not has another secret. Clients come with pids of other servers, too,
// and with offsets of those: their sessions begin anew.
type pid struct{ session, secret string }

func (p pid) String() string { return p.session + "." + p.secret }

func parsePID(s string) (p pid, ok bool) {
	p.session, p.secret, ok = strings.Cut(s, ".")
	return p, ok && fits(p.session, maxSession) && fits(p.secret, maxSecret)
}

// Longer ones session:resume would not take: they are another server's.
const (
	maxSession = 64
	maxSecret  = 128
)

func fits(s string, most int) bool { return s != "" && len(s) <= most }

// unreadable stands for an offset that is none of ours.
const unreadable = "?"

// opened are the members of auth that session:open and session:resume know.
var opened = map[string]bool{"token": true, "device": true, "attributes": true, "rooms": true, "acks": true}

// open makes session:open or session:resume of what a CONNECT packet brings.
func (d *Dialect) open(auth []byte, env *event.Envelope) error {
	env.Action, env.ID, env.Call = "session:open", "connect", connectCall
	data := append(make([]byte, 0, len(auth)+128), `{"namespaces":[`...)
	if d.own {
		data = jsonscan.AppendQuotedString(data, d.name)
	}
	data = append(data, ']')
	if len(auth) > 0 {
		if p := jsonscan.Valid(auth, around); p != jsonscan.OK {
			return fault.New(fault.Malformed, "auth", p.String())
		}
		var old, offset string
		err := members(auth, func(name string, value []byte) error {
			switch {
			case opened[name]:
				data = event.AppendMember(data, name, value)
			case name == "pid" && value[0] == '"':
				old = text(value)
			case name == "offset" && value[0] == '"':
				offset = text(value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.behind = offset // which the client keeps until it is sent another, whatever becomes of its state
		if p, ok := parsePID(old); ok {
			if _, ok := trail.ParseText(offset); !ok && offset != "" {
				offset = unreadable
			}
			env.Action, d.came = "session:resume", p
			data = appendText(data, `,"session":`, p.session)
			data = appendText(data, `,"resume_token":`, p.secret)
			data = appendText(data, `,"offset":`, offset)
		}
	}
	env.Data = append(data, '}')
	return nil
}

// Bears reports whether the data of a CONNECT packet has a token.
func Bears(auth []byte) (found bool) {
	if len(auth) == 0 || jsonscan.Valid(auth, around) != jsonscan.OK {
		return false
	}
	_ = members(auth, func(name string, _ []byte) error {
		found = found || name == "token"
		return nil
	})
	return found
}

// Behind is the trail of what the client is sent from here on: it came with an offset.
func (d *Dialect) Behind() trail.Trail {
	m, _ := trail.ParseText(d.behind)
	return trail.From(m)
}

func appendText(b []byte, name, s string) []byte {
	return jsonscan.AppendQuotedString(append(b, name...), s)
}
