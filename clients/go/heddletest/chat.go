package heddletest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// chat does what is about messages that there are already; false if the action is
// something else. The node keeps events as they came: its history is not folded.
func (s *Server) chat(k *conn, e *wire.Envelope) bool {
	switch e.Action {
	case "message:edit":
		s.edit(k, e)
	case "message:delete":
		s.erase(k, e)
	case "message:react":
		s.react(k, e)
	case "direct:send":
		s.direct(k, e)
	case "typing:start", "typing:stop":
		s.typing(k, e)
	default:
		return false
	}
	return true
}

// about lists the events of one action about a message; a failure if there is no
// such message, or none any more.
func (r *room) about(offset uint64, action string) (list []wire.Envelope, author string, fail *Failure) {
	for _, e := range r.events {
		var d struct{ Offset uint64 }
		_ = json.Unmarshal(e.Data, &d)
		switch {
		case e.Offset == offset && e.Action == "message:send":
			author = e.User
		case d.Offset == offset && e.Action == "message:delete":
			return nil, author, &Failure{Code: "conflict", Field: "data.offset", Message: "that message was deleted"}
		case d.Offset == offset && e.Action == action:
			list = append(list, e)
		}
	}
	if author == "" {
		return nil, "", &Failure{Code: "not_found", Field: "data.offset", Message: "there is no such message"}
	}
	return list, author, nil
}

// change stores an event about a message under the request's id.
func (s *Server) change(k *conn, e *wire.Envelope, data any, answer map[string]any) {
	out := wire.Envelope{User: k.user, Device: k.sess.device, Action: e.Action, Data: marshal(data)}
	stored, repeat := s.store(s.room(e.Room), out, k.key(e))
	if repeat {
		answer["repeat"] = true
	}
	k.answer(e, stored.Epoch, stored.Offset, stored.ID, answer)
}

func (k *conn) key(e *wire.Envelope) string { return k.user + "\x00" + e.ID }

func (s *Server) edit(k *conn, e *wire.Envelope) {
	var d map[string]any
	var about struct{ Offset, Version uint64 }
	_, _ = json.Unmarshal(e.Data, &d), json.Unmarshal(e.Data, &about)
	r := s.room(e.Room)
	edits, author, fail := r.about(about.Offset, e.Action)
	_, again := r.keys[k.key(e)]
	switch version := uint64(len(edits)); {
	case fail != nil:
	case author != k.user:
		fail = &Failure{Code: "forbidden", Field: "data.offset", Message: "only its author may edit a message"}
	case version != about.Version && !again:
		fail = &Failure{Code: "conflict", Field: "data.version", Message: fmt.Sprint("the message is at version ", version)}
	}
	if fail != nil {
		k.fail(e, fail)
		return
	}
	delete(d, "epoch")
	d["version"] = about.Version + 1
	s.change(k, e, d, map[string]any{"version": about.Version + 1})
}

func (s *Server) erase(k *conn, e *wire.Envelope) {
	var d struct {
		Room   string `json:"room,omitempty"`
		Epoch  string `json:"epoch,omitempty"`
		Offset uint64 `json:"offset"`
		For    string `json:"for,omitempty"`
	}
	_ = json.Unmarshal(e.Data, &d)
	r := s.room(e.Room)
	_, author, fail := r.about(d.Offset, "")
	if fail == nil && author != k.user && d.For != "me" {
		fail = &Failure{Code: "forbidden", Field: "data.offset", Message: "only its author may delete a message"}
	}
	switch {
	case fail != nil:
		k.fail(e, fail)
	case d.For == "me":
		d.Room, d.Epoch = r.name, r.epoch
		s.store(s.room("user:"+k.user), wire.Envelope{User: k.user, Action: e.Action, Data: marshal(d)}, "")
		k.answer(e, "", 0, "", struct{}{})
	default:
		s.change(k, e, map[string]uint64{"offset": d.Offset}, map[string]any{})
	}
}

func (s *Server) react(k *conn, e *wire.Envelope) {
	type reaction struct {
		Offset uint64 `json:"offset"`
		Key    string `json:"key"`
		Remove bool   `json:"remove,omitempty"`
	}
	var d reaction
	_ = json.Unmarshal(e.Data, &d)
	before, _, fail := s.room(e.Room).about(d.Offset, e.Action)
	if fail != nil {
		k.fail(e, fail)
		return
	}
	there := false
	for _, b := range before {
		var old reaction
		_ = json.Unmarshal(b.Data, &old)
		if b.User == k.user && old.Key == d.Key {
			there = !old.Remove
		}
	}
	if there != d.Remove {
		k.answer(e, "", 0, "", map[string]bool{"repeat": true})
		return
	}
	s.change(k, e, d, map[string]any{})
}

func (s *Server) direct(k *conn, e *wire.Envelope) {
	var d map[string]any
	_ = json.Unmarshal(e.Data, &d)
	to, _ := d["to"].(string)
	device, aimed := d["device"].(string)
	copied := marshal(d)
	delete(d, "to")
	delete(d, "device")
	out := wire.Envelope{User: k.user, Device: k.sess.device, Action: e.Action, Room: "user:" + to, Data: marshal(d)}
	if !aimed {
		s.store(s.room(out.Room), out, k.key(e))
		out.Data = copied
		stored, _ := s.store(s.room("user:"+k.user), out, k.key(e))
		k.answer(e, "", 0, stored.ID, struct{}{})
		return
	}
	out.Type, out.ID, out.Timestamp = wire.TypeEvent, s.next("msg"), now()
	n := 0
	for other := range s.conns {
		if other.user == to && other.sess != nil && other.sess.device == device {
			other.send(&out)
			n++
		}
	}
	if n == 0 {
		k.fail(e, &Failure{Code: "not_found", Field: "data.device", Message: "no session of this device is open"})
		return
	}
	k.answer(e, "", 0, "", map[string]int{"delivered": n})
}

func (s *Server) typing(k *conn, e *wire.Envelope) {
	r := s.room(e.Room)
	r.typers = slices.DeleteFunc(r.typers, func(user string) bool { return user == k.user })
	if strings.HasSuffix(e.Action, "start") {
		r.typers = append(r.typers, k.user)
	}
	s.publish(r, wire.Envelope{
		Type: wire.TypeEvent, ID: s.next("ev"), Timestamp: now(), Expires: now() + 8000, Room: r.name, Action: "typing:update",
		Data: marshal(map[string]any{"users": append([]string{}, r.typers...), "others": 0}),
	})
	k.answer(e, "", 0, "", struct{}{})
}

// update changes the members of a room.
func (s *Server) update(k *conn, e *wire.Envelope) {
	var d struct{ Add, Remove []string }
	_ = json.Unmarshal(e.Data, &d)
	r := s.room(e.Room)
	for _, user := range d.Add {
		r.members[user] = true
	}
	since := Position{r.epoch, r.top()}
	for other := range s.conns {
		if other.sess != nil && slices.Contains(d.Add, other.user) {
			s.subscribe(other, r)
		}
	}
	s.change(k, e, json.RawMessage(e.Data), map[string]any{"room": r.name})
	tell := func(user, action string, data any) {
		s.store(s.room("user:"+user), wire.Envelope{User: k.user, Action: action, Data: marshal(data)}, "")
	}
	for _, user := range d.Add {
		tell(user, "room:added", map[string]any{"room": r.name, "since": since})
	}
	for _, user := range d.Remove {
		s.expel(r, user)
		tell(user, "room:removed", map[string]any{"room": r.name})
	}
}

// expel ends a user's membership, and takes the user's sessions out of the room.
func (s *Server) expel(r *room, user string) {
	delete(r.members, user)
	for other := range s.conns {
		if other.user == user && other.sess != nil {
			delete(r.subscribers, other)
		}
	}
	for _, sess := range s.sessions {
		if sess.user == user {
			delete(sess.joined, r.name)
		}
	}
}

// Expel ends a user's membership of a room without a word, as if the user had been
// away and the events were forgotten.
func (s *Server) Expel(roomName, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expel(s.room(roomName), user)
}

// end deletes a room with its last event.
func (s *Server) end(k *conn, e *wire.Envelope) {
	r := s.room(e.Room)
	s.change(k, e, struct{}{}, map[string]any{"room": r.name})
	for member := range r.members {
		s.expel(r, member)
	}
	delete(s.rooms, r.name)
}

// devices lists those of the user's that are connected.
func (s *Server) devices(k *conn, e *wire.Envelope) {
	list := []map[string]any{}
	for other := range s.conns {
		if other.user == k.user && other.sess != nil {
			list = append(list, map[string]any{"device": other.sess.device, "sessions": []string{other.sess.id}, "connected": true})
		}
	}
	k.answer(e, "", 0, "", map[string]any{"devices": list})
}

// refresh takes a token of the same user.
func (s *Server) refresh(k *conn, e *wire.Envelope) {
	var d struct{ Token string }
	_ = json.Unmarshal(e.Data, &d)
	user, fail := s.opt.Authorize(d.Token)
	switch {
	case fail != nil:
		k.fail(e, fail)
	case user != k.user:
		k.fail(e, &Failure{Code: "forbidden", Field: "data.token", Message: "the token is another user's"})
	default:
		k.answer(e, "", 0, "", map[string]int64{"expires_at": now() + 3600_000})
	}
}

// Tell sends an ephemeral event to all sessions of a user.
func (s *Server) Tell(user, room, action string, data any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := wire.Envelope{Type: wire.TypeEvent, ID: s.next("ev"), Timestamp: now(), Room: room, Action: action, Data: marshal(data)}
	for k := range s.conns {
		if k.user == user && k.sess != nil {
			k.send(&e)
		}
	}
}
