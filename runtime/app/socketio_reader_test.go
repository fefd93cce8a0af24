package app

import (
	"encoding/json"
	"fmt"
	"testing"
)

// reader is what socket.io-client does for connection state recovery: it keeps the pid
// and the last argument of the last event that had a string there, and no more.
type reader struct {
	t    testing.TB
	n    *node
	s    *pieces
	user string

	token  string // "" for a fresh one
	auth   string // more of it
	pid    string
	offset string

	sid       string
	recovered bool
	reason    string
	lost      string
	rooms     map[string]uint64 // by name, where the last answer to CONNECT says they stand
	got       []heard           // durable events since the last CONNECT
}

// reader connects a client of its own to "/".
func (n *node) reader(t testing.TB, user string, by carrier) *reader {
	t.Helper()
	r := &reader{t: t, n: n, user: user}
	r.resume(by)
	return r
}

// resume connects, anew or again.
func (r *reader) resume(by carrier) {
	r.t.Helper()
	if p := r.try(by); p.kind != '0' {
		r.t.Fatalf("%s is refused: %s", r.user, p)
	}
}

// try is resume that may be refused.
func (r *reader) try(by carrier) packet5 {
	r.t.Helper()
	var err error
	if r.s, err = r.n.engine(r.t, r.user, by, nil); err != nil {
		r.t.Fatal(err)
	}
	auth := r.auth
	if r.pid != "" {
		auth = `"pid":` + quoted(r.pid)
		if r.offset != "" {
			auth += `,"offset":` + quoted(r.offset)
		}
		if r.auth != "" {
			auth += "," + r.auth
		}
	}
	token := r.token
	if token == "" {
		token = mint(r.t, claims("acme", r.user))
	}
	p, before := r.s.connectWith("/", token, auth)
	if len(before) > 0 {
		r.t.Errorf("%s is sent %v before it is connected", r.user, before)
	}
	if p.kind == '0' {
		r.connected(p)
	}
	return p
}

func (r *reader) connected(p packet5) {
	r.t.Helper()
	var c struct{ SID, PID string }
	if err := json.Unmarshal([]byte(p.data), &c); err != nil || c.PID == "" {
		r.t.Fatal(p, err)
	}
	r.recovered = r.pid != "" && r.pid == c.PID
	r.pid, r.sid, r.got, r.rooms = c.PID, c.SID, nil, map[string]uint64{}
	first, err := r.s.packet()
	if err != nil {
		r.t.Fatal(err)
	}
	var w struct {
		Session, Reason string
		Recovered       bool
		Lost            json.RawMessage
		Rooms           []struct {
			Room   string
			Offset uint64
		}
	}
	told := first.event(r.t)
	if err := json.Unmarshal([]byte(told.data), &w); err != nil || w.Recovered != r.recovered || w.Session != c.SID {
		r.t.Fatalf("%s is told %s, and recovered is %t (%v)", r.user, first, r.recovered, err)
	}
	r.reason, r.lost = w.Reason, string(w.Lost)
	for _, x := range w.Rooms {
		r.rooms[x.Room] = x.Offset
	}
}

// hear notes what a listener would.
func (r *reader) hear(ps ...packet5) {
	r.t.Helper()
	for _, p := range ps {
		if p.kind != '2' || p.space != "/" {
			continue
		}
		if h := p.event(r.t); h.offset != "" {
			r.offset = h.offset
			r.got = append(r.got, h)
		}
	}
}

// take reads until n durable events have come since the last CONNECT.
func (r *reader) take(n int) {
	r.t.Helper()
	for len(r.got) < n {
		p, err := r.s.packet()
		if err != nil {
			r.t.Fatalf("%s waits for event %d: %v", r.user, len(r.got)+1, err)
		}
		r.hear(p)
	}
}

// settle reads all that was sent before the answer to an event of its own.
func (r *reader) settle() {
	r.t.Helper()
	a, before := r.s.request("/", `["session:ping"]`)
	if !a.OK {
		r.t.Fatalf("%+v", a)
	}
	r.hear(before...)
}

// do is a request, around which events may come.
func (r *reader) do(args string) answered {
	r.t.Helper()
	a, before := r.s.request("/", args)
	if !a.OK {
		r.t.Fatalf("%s by %s: %+v", args, r.user, a)
	}
	r.hear(before...)
	return a
}

// heard is what has come, as room and offset.
func (r *reader) heard() (all []string) {
	for _, h := range r.got {
		all = append(all, fmt.Sprintf("%s/%d", h.meta.Room, h.meta.Offset))
	}
	return all
}
